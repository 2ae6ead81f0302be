"""Numbers that a counter cannot have had.

Lives here: the bounds of what an operation that tells the total may have found: what had been added before it was
called counts in full; of what was added while it was open, or may have been, at least what is negative and at most what
is positive. Outside of that it contradicts the additions called before it returned, whatever is read besides.
O(n log n).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from checkers.anomaly import Anomaly
from checkers.history import NEVER, Operation
from checkers.stale import Finder
from checkers.values import PLAIN


class _Sums:
    """Sums of what was added up to a moment."""

    def __init__(self, adds: Sequence[Operation], rank: Callable[[Operation], int]) -> None:
        ordered = sorted((one for one in adds if rank(one) != NEVER), key=rank)
        self._ranks = [rank(one) for one in ordered]
        self._positive = [0, *accumulate(max(0, one.value) for one in ordered)]
        self._negative = [0, *accumulate(min(0, one.value) for one in ordered)]

    def before(self, rank: int) -> tuple[int, int]:
        """What is positive and what is negative."""
        place = bisect_left(self._ranks, rank)
        return self._positive[place], self._negative[place]


def out_of_bounds(initial: int) -> Finder:
    """The rule for a counter that begins with that number."""

    def found(operations: Sequence[Operation]) -> Anomaly | None:
        adds = [one for one in operations if one.f == "add" and one.status != "fail" and type(one.value) is int]
        called, returned = _Sums(adds, lambda one: one.call_rank), _Sums(adds, lambda one: one.return_rank)
        tells = [one for one in operations if one.returned and _tells(one)]
        for one in sorted(tells, key=lambda one: one.return_rank):
            more, less = called.before(one.return_rank)
            definite_more, definite_less = returned.before(one.call_rank)
            least = initial + definite_more + less
            most = initial + more + definite_less
            if one.f == "add":  # its own addition counts in full
                least, most = least + max(0, one.value), most + min(0, one.value)
            number = type(one.result) is int
            if not (least <= one.result <= most if number else type(one.result) not in PLAIN):
                return _anomaly(one, least, most, adds)
        return None

    return found


def _tells(one: Operation) -> bool:
    """Whether it told the total."""
    return one.status == "ok" and (one.f == "read" or (one.result is not None and not one.echoed))


def _anomaly(one: Operation, least: int, most: int, adds: Sequence[Operation]) -> Anomaly:
    core = {other.call_rank: other for other in adds if other.call_rank < one.return_rank} | {one.call_rank: one}
    bounds = f"between {least} and {most}" if least < most else f"{least}"
    ordered = tuple(core[rank] for rank in sorted(core))
    return Anomaly(ordered, one, f"the total was {bounds}, by all that was or may have been added until it returned")
