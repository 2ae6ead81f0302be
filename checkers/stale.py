"""Reads of what was not there: never written, or overwritten before the read was called.

Lives here: the rule for everything that is made of cells, each of which holds what the last update of it left: a
register, the registers of a multi-register, the texts of a key-value map, and, as present or absent, the elements of a
set. What an operation r saw in a cell was left by the last update before r. Let w be an update that had returned before
r was called. Then that last update is w or comes after w, so it did not return before w was called; and it was called
before r returned. If no update that could leave what r saw is like that, r has no place: w and r contradict each other,
whatever else there is. The w called last rules out most. Without a w, r may also have seen the initial value.
O(n log n).
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from checkers.anomaly import Anomaly
from checkers.history import Operation
from checkers.wording import shown, shown_key

_call_rank, _return_rank = attrgetter("call_rank"), attrgetter("return_rank")


class Update(NamedTuple):
    """An operation that leaves a value in a cell; `appended`: any text that ends with it."""

    cell: Hashable
    value: Hashable
    operation: Operation
    appended: bool = False

    def leaves(self, seen: Hashable) -> bool:
        """Whether that could be there just after it."""
        if self.appended:
            return isinstance(seen, str) and seen.endswith(str(self.value))
        return seen == self.value


class Sight(NamedTuple):
    """What an operation that returned saw in a cell."""

    cell: Hashable
    value: Hashable
    operation: Operation


@dataclass
class _Makers:
    """The updates that leave the same: when they were called, and the latest return of those called so far."""

    calls: list[int] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)

    def add(self, operation: Operation) -> None:
        self.calls.append(operation.call_rank)
        self.returns.append(max(operation.return_rank, self.returns[-1] if self.returns else -1))

    def latest_return(self, before: int) -> int:
        """The latest return of those called before that rank; -1 if there are none."""
        place = bisect_left(self.calls, before)
        return self.returns[place - 1] if place else -1


class _Cell:
    """The updates of one cell, for questions about moments."""

    def __init__(self) -> None:
        self.makers: dict[Hashable, _Makers] = {}
        self.endings: dict[str, _Makers] = {}
        self.lengths: set[int] = set()
        self.returned: list[Update] = []
        self.ranks: list[int] = []

    def add(self, update: Update) -> None:
        """Adds an update; they come in order of their calls."""
        if update.appended:
            text = str(update.value)
            self.endings.setdefault(text, _Makers()).add(update.operation)
            self.lengths.add(len(text))
        else:
            self.makers.setdefault(update.value, _Makers()).add(update.operation)
        if update.operation.returned:
            self.returned.append(update)

    def close(self) -> None:
        """Keeps of those that returned, in order of that, each that was called later than all before it."""
        kept: list[Update] = []
        for update in sorted(self.returned, key=lambda one: one.operation.return_rank):
            if not kept or update.operation.call_rank > kept[-1].operation.call_rank:
                kept.append(update)
        self.returned, self.ranks = kept, [one.operation.return_rank for one in kept]

    def latest(self, before: int) -> Update | None:
        """Of those that had returned before that rank the one called last."""
        place = bisect_left(self.ranks, before)
        return self.returned[place - 1] if place else None

    def latest_return(self, seen: Hashable, before: int) -> int:
        """The latest return of the updates called before that rank that could leave that; -1 if there are none."""
        found = [self.makers[seen]] if seen in self.makers else []
        if isinstance(seen, str):
            ends = (seen[len(seen) - length :] for length in self.lengths if length <= len(seen))
            found += [self.endings[end] for end in ends if end in self.endings]
        return max((makers.latest_return(before) for makers in found), default=-1)


def cells_of(updates: Iterable[Update]) -> dict[Hashable, _Cell]:
    """The cells, given their updates in order of their calls."""
    cells: dict[Hashable, _Cell] = {}
    for update in updates:
        cells.setdefault(update.cell, _Cell()).add(update)
    for cell in cells.values():
        cell.close()
    return cells


NO_UPDATES = _Cell()


class Stale(NamedTuple):
    """A sight that has no place, and the update that had overwritten it; None if nothing had left what was seen."""

    sight: Sight
    overwritten: Update | None


def stale_sights(
    updates: Iterable[Update], sights: Iterable[Sight], initial: Callable[[Hashable], Hashable]
) -> Iterator[Stale]:
    """Those that saw what cannot have been there, in order of their returns; `initial` is what a cell held at first."""
    cells = cells_of(sorted(updates, key=lambda one: one.operation.call_rank))
    for sight in sorted(sights, key=lambda one: one.operation.return_rank):
        cell, one = cells.get(sight.cell, NO_UPDATES), sight.operation
        latest = cell.latest(one.call_rank)
        at_first = sight.value == initial(sight.cell)
        if at_first if latest is None else latest.leaves(sight.value):
            continue
        made = cell.latest_return(sight.value, one.return_rank)
        if made < (-1 if latest is None else latest.operation.call_rank) or made == -1:
            yield Stale(sight, latest if made >= 0 or at_first else None)


def as_anomaly(stale: Stale, overwrites: frozenset[str], aspect: tuple[Hashable, ...] = ()) -> Anomaly | None:
    """The anomaly that a stale sight is, in words; None if it takes more than these operations to show it."""
    one, value = stale.sight.operation, shown(stale.sight.value)
    of = f" in {shown_key(stale.sight.cell)}" if aspect else ""
    if stale.overwritten is None:
        return Anomaly((one,), one, f"nothing had written {value}{of} when it returned", aspect)
    update = stale.overwritten.operation
    if update.f not in overwrites and one.f == update.f and one.status == "ok":
        return None  # both compare before they replace, and the first only replaced, as far as is known
    what = "stale read" if one.f in ("read", "get") else "stale"
    sentence = f"{what}: [{update}] had completed before it was called, and nothing wrote {value}{of} after that"
    loose = update.f not in overwrites and not aspect
    return Anomaly((update, one), one, sentence, aspect, loose)


Finder = Callable[[Sequence[Operation]], Anomaly | None]
Told = Callable[[Operation], tuple[Sequence[Update], Sequence[Sight]]]


def stale_cells(
    told: Told, initial: Callable[[Hashable], Hashable], overwrites: frozenset[str], *, aspects: bool = False
) -> Finder:
    """The rule for a model, given what each operation says of cells; `aspects` if each cell is an aspect."""

    def found(operations: Sequence[Operation]) -> Anomaly | None:
        updates: list[Update] = []
        sights: list[Sight] = []
        for one in operations:
            new, seen = told(one)
            updates.extend(new)
            sights.extend(seen)
        for stale in stale_sights(updates, sights, initial):
            anomaly = as_anomaly(stale, overwrites, (stale.sight.cell,) if aspects else ())
            if anomaly is not None:
                return anomaly
        return None

    return found
