"""Times as they stand in windows: since the start of the run, in a unit that people read.

Lives here: which unit that is. Small whole numbers (lines of a log, ticks of a test) are shown as they are; what spans
a million of them or more is nanoseconds, as event files have them, and shown in milliseconds.
"""

from collections.abc import Iterable

from checkers.history import Operation

NANOSECONDS = 1_000_000  # a run that lasts so many units at least is counted in nanoseconds
NS_A_MS = 1e6


class Times:
    """The times of some operations, made readable; the lines that they are on where a time is not known.

    `unit` goes into a title above them, `suffix` behind a single one; both are empty if the unit is not known.
    """

    def __init__(self, operations: Iterable[Operation], start: float) -> None:
        ones = list(operations)
        self._timed = all(
            one.call_time is not None and (one.return_time is not None or not one.returned) for one in ones
        )
        ends = [time for one in ones for time in (one.call_time, one.return_time) if time is not None]
        last = max(ends, default=0)
        self._in_ms = self._timed and all(isinstance(time, int) for time in ends) and last - start >= NANOSECONDS
        self._start = start if self._in_ms or abs(last) >= NANOSECONDS or any(map(_is_fraction, ends)) else 0
        self.unit = ", times in ms" if self._in_ms else "" if self._timed else ", by line"
        self.suffix = " ms" if self._in_ms else ""

    def called(self, operation: Operation) -> str:
        """When the operation was called, since the start."""
        time = operation.call_time
        return self._of(time) if self._timed and time is not None else str(operation.line)

    def returned(self, operation: Operation) -> str:
        """When it returned; "open" if it did not."""
        if not operation.returned:
            return "open"
        time = operation.return_time
        return self._of(time) if self._timed and time is not None else str(operation.return_line)

    def _of(self, time: float) -> str:
        if self._in_ms:
            return f"{(time - self._start) / NS_A_MS:.3f}"
        since = time - self._start
        return f"{since:.6f}" if _is_fraction(since) else str(since)


def _is_fraction(time: float) -> bool:
    return isinstance(time, float)
