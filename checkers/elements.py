"""Elements of a set that a read lost, or that came back: the rule of `checkers.stale` for one element after the other.

Lives here: what spares looking at every element for every read. An element is certainly there from the return of an
`add`, during which no `remove` of it was open, until the next `remove` of it is called; a read called and returned
within that time has to have it. What a read has, it has to have by an `add` that the rule allows.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from checkers.anomaly import Anomaly
from checkers.history import NEVER, Operation
from checkers.parts import elements
from checkers.stale import Finder, Sight, Stale, Update, stale_sights
from checkers.wording import shown

ABSENT, PRESENT = 0, 1
NAMED = 3  # elements, above which the others are counted


class _Certain(NamedTuple):
    """From when to when an element is certainly there, and the `add` that made it so; None: it was there at first."""

    start: int
    end: int
    element: Hashable
    add: Operation | None


def lost_or_resurrected(initial: frozenset[Hashable]) -> Finder:
    """The rule for a set that begins with these elements."""

    def found(operations: Sequence[Operation]) -> Anomaly | None:
        changes = [one for one in operations if one.f != "read" and one.status != "fail"]
        reads = sorted((one for one in operations if one.f == "read" and one.status == "ok"), key=_returned)
        lost = _lost(changes, [one for one in reads if one.returned], initial)
        extra = _extra(changes, [one for one in reads if one.returned], initial)
        if lost is None or (extra is not None and extra.blocked.return_rank <= lost.blocked.return_rank):
            return extra
        return lost

    return found


def _returned(operation: Operation) -> int:
    return operation.return_rank


def _extra(changes: Sequence[Operation], reads: Sequence[Operation], initial: frozenset[Hashable]) -> Anomaly | None:
    """The first read that has an element which was never added, or removed before and not added again."""
    updates = [Update(one.value, PRESENT if one.f == "add" else ABSENT, one) for one in changes]
    sights = (Sight(element, PRESENT, one) for one in reads for element in elements(one.result))
    stale = next(stale_sights(updates, sights, lambda one: PRESENT if one in initial else ABSENT), None)
    return stale and _as_anomaly(stale)


def _as_anomaly(stale: Stale) -> Anomaly:
    one, element = stale.sight.operation, stale.sight.cell
    if stale.overwritten is None:
        return Anomaly((one,), one, f"nothing had added {shown(element)} when it returned", (element,))
    update = stale.overwritten.operation
    sentence = f"resurrected element: [{update}] had completed before it was called, and nothing added it after that"
    return Anomaly((update, one), one, sentence, (element,))


def _lost(changes: Sequence[Operation], reads: Sequence[Operation], initial: frozenset[Hashable]) -> Anomaly | None:
    """The first read without an element that was certainly there."""
    spans = _spans(changes, initial)
    moments = sorted([(one.start, 1, place) for place, one in enumerate(spans)])
    moments += [(one.end, 0, place) for place, one in enumerate(spans) if one.end < NEVER]
    moments.sort()
    there: dict[Hashable, _Certain] = {}
    next_moment = 0
    for read in reads:
        while next_moment < len(moments) and moments[next_moment][0] < read.return_rank:
            _, begins, place = moments[next_moment]
            span = spans[place]
            next_moment += 1
            if begins:
                there.setdefault(span.element, span)
            else:
                there.pop(span.element, None)
        missing = there.keys() - elements(read.result)
        certain = sorted(
            (there[one] for one in missing if there[one].start < read.call_rank), key=lambda one: one.start
        )
        if certain:
            return _lost_by(read, certain, len(there))
    return None


def _lost_by(read: Operation, certain: Sequence[_Certain], count: int) -> Anomaly:
    first = certain[0]
    also = ""
    if len(certain) > 1:
        names = ", ".join(shown(one.element) for one in certain[:NAMED])
        also = f" ({len(certain)} of {count} missing: {names}{', ...' if len(certain) > NAMED else ''})"
    if first.add is None:
        sentence = f"lost element: {shown(first.element)} was there at first, and nothing removed it{also}"
        return Anomaly((read,), read, sentence, (first.element,))
    sentence = f"lost element: [{first.add}] had completed before it was called, and nothing removed it{also}"
    return Anomaly((first.add, read), read, sentence, (first.element,))


def _spans(changes: Iterable[Operation], initial: frozenset[Hashable]) -> list[_Certain]:
    """When each element is certainly there: at first, and after each add that no remove overlaps with."""
    adds: dict[Hashable, list[Operation]] = {}
    removes: dict[Hashable, list[Operation]] = {}
    for one in changes:
        (adds if one.f == "add" else removes).setdefault(one.value, []).append(one)
    found = []
    for element in initial:
        end = min((one.call_rank for one in removes.get(element, ())), default=NEVER)
        found.append(_Certain(-1, end, element, None))
    for element, made in adds.items():
        against = sorted(removes.get(element, ()), key=lambda one: one.call_rank)
        for add in sorted((one for one in made if one.returned), key=_returned):
            later = [one for one in against if one.return_rank > add.call_rank]
            end = min((one.call_rank for one in later), default=NEVER)
            if end > add.return_rank:
                found.append(_Certain(add.return_rank, end, element, add))
                if not against:
                    break
    return found
