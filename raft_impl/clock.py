"""A node's own clock, which may be wrong, and the rule by which its readings become ticks. Pure: time is an argument.

Every timer of a node follows this clock, so that a fault on it reaches elections and heartbeats. Readings are
integers of nanoseconds and the arithmetic is exact, so a simulation repeats to the last bit.
"""

PER_UNIT = 10**9


class NodeClock:
    """A clock with an offset and a rate, given the true time. Right until it is set otherwise."""

    __slots__ = ("_anchor_node_ns", "_anchor_true_ns", "_rate_ppb")

    def __init__(self) -> None:
        self._anchor_true_ns = 0
        self._anchor_node_ns = 0
        self._rate_ppb = PER_UNIT

    def read(self, true_now_ns: int) -> int:
        """Return the node's time at a true time."""
        return self._anchor_node_ns + (true_now_ns - self._anchor_true_ns) * self._rate_ppb // PER_UNIT

    def set(self, true_now_ns: int, offset_ms: float | None = None, rate: float | None = None) -> None:
        """Step the clock to `offset_ms` from the true time, if given; let it run at `rate`, if given.

        Without an offset the reading goes on from where it is: a change of rate makes no step.
        """
        now_ns = self.read(true_now_ns) if offset_ms is None else true_now_ns + round(offset_ms * 1e6)
        self._anchor_true_ns = true_now_ns
        self._anchor_node_ns = now_ns
        if rate is not None:
            self._rate_ppb = round(rate * PER_UNIT)


class Ticker:
    """Turns readings into ticks that are due. A clock that goes back, or leaps ahead, is survived, not obeyed.

    Backwards: start anew from there. Ahead: at most `limit` ticks, an election timeout's worth, are due at once.
    """

    __slots__ = ("_last_ns", "_limit", "_tick_ns")

    def __init__(self, tick_ns: int, limit: int) -> None:
        self._tick_ns = tick_ns
        self._limit = limit
        self._last_ns: int | None = None

    def due(self, now_ns: int) -> int:
        """Return the number of ticks since the last call, whole ticks only; the rest is kept for the next call."""
        if self._last_ns is None or now_ns < self._last_ns:
            self._last_ns = now_ns
            return 0
        due = (now_ns - self._last_ns) // self._tick_ns
        if due > self._limit:
            self._last_ns = now_ns
            return self._limit
        self._last_ns += due * self._tick_ns
        return due
