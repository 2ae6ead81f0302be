"""A node's own clock, which may be wrong, and the rule by which its readings become ticks. Pure: time is an argument.

Every timer of a node follows this clock, so that a fault on it reaches elections and heartbeats. Readings are
integers of nanoseconds and the arithmetic is exact, so a simulation repeats to the last bit.
"""

PER_UNIT = 10**9


class NodeClock:
    """A clock that is wrong by an offset and a rate, steadily or by turns. Right until it is set otherwise."""

    __slots__ = ("_offset_ns", "_rate_ppb", "_since_ns", "_strobe_ns")

    def __init__(self) -> None:
        self.set(0)

    def read(self, true_now_ns: int) -> int:
        """Return the node's time at a true time."""
        elapsed_ns = true_now_ns - self._since_ns
        if self._strobe_ns and elapsed_ns // self._strobe_ns % 2:
            return true_now_ns
        return self._since_ns + self._offset_ns + elapsed_ns * self._rate_ppb // PER_UNIT

    def set(self, since_ns: int, offset_ms: float = 0.0, rate: float = 1.0, strobe_ms: float = 0.0) -> None:
        """From the true time `since_ns` on, be off by `offset_ms` and run at `rate`.

        With `strobe_ms` that holds by turns with the true time, for so long each (Jepsen's strobe), wrong time first.
        """
        self._since_ns = since_ns
        self._offset_ns = round(offset_ms * 1e6)
        self._rate_ppb = round(rate * PER_UNIT)
        self._strobe_ns = round(strobe_ms * 1e6)


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
        last_ns = self._last_ns
        if last_ns is None or now_ns < last_ns:
            self._last_ns = now_ns
            return 0
        due = (now_ns - last_ns) // self._tick_ns
        if due > self._limit:
            self._last_ns = now_ns
            return self._limit
        self._last_ns = last_ns + due * self._tick_ns
        return due
