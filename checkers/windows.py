"""How a refuted history is made small: a window of it that is refuted by itself.

Lives here: deletion, and only of what a linearizable history can do without, so that a window cannot blame an operation
for the lack of another: of observations, of all operations on some values together, of all that a blind write made
forgotten (`checkers.cuts`), or, under the `gapped` model, of anything. They are applied in turn until none is left that
leaves a refuted history.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import UNSET

from checkers.budget import Meter
from checkers.cuts import beginning_at, latest_start, starts
from checkers.decision import Answer, Decision
from checkers.engines import decide
from checkers.history import History, Operation
from checkers.models import Model, State, cas_argument

Places = Sequence[int]
Touched = Callable[[Operation], tuple[State, ...] | None]
FEW = 64  # operations, up to which every beginning is tried at once


@dataclass(frozen=True)
class Refuter:
    """Asks the engines whether histories have no linearization. What does not last counts as one that may have."""

    model: Model
    effort: Meter
    enough: int
    doubts: list[int] = field(default_factory=list)
    """The sizes of the histories for which it did not last."""

    def __call__(self, part: History) -> bool:
        return self.decided(part).answer is Answer.REFUTED

    def decided(self, part: History, engine: str = "auto") -> Decision:
        """What an engine says, within a share of the effort."""
        if not self.effort.read_clock():
            return Decision(Answer.EXHAUSTED, engine)
        patience = self.effort.part(steps=self.enough)
        found = decide(part, self.model, engine, patience)
        self.effort.spend(patience.steps)
        if found.answer is Answer.EXHAUSTED:
            self.doubts.append(len(part))
        return found

    @property
    def spent(self) -> bool:
        return self.effort.exhausted is not None

    def under(self, model: Model) -> "Refuter":
        """The same effort, for another model."""
        return Refuter(model, self.effort, self.enough, self.doubts)


class Window(NamedTuple):
    """Operations that are refuted by themselves, and the model that does it.

    `shortest`: no deletion that is allowed leaves a refuted history. `begins` is the write that a window cut short
    begins at: without it what is read there would seem to be wrong for another reason.
    """

    operations: Sequence[Operation]
    judge: Model
    shortest: bool = False
    begins: Operation | None = None


def reduced(part: History, blocked: Operation, refuted: Refuter, begins: Operation | None = None) -> Window:
    """As few of the operations as allowed deletions leave refuted, within the effort."""
    thorough = False
    while True:
        size, doubts = len(part), len(refuted.doubts)
        part, begins = _cut_short(part, begins, blocked, refuted, thorough)
        part = _without_values(part, begins, refuted)
        if refuted.spent:
            return Window(part.operations, refuted.model, False, begins)
        if len(part) == size:
            if thorough or len(part) <= FEW:
                return Window(part.operations, refuted.model, len(refuted.doubts) == doubts, begins)
            thorough = True


def reduced_freely(part: History, refuted: Refuter) -> Window:
    """The same under a model that allows anything to be deleted."""
    doubts = len(refuted.doubts)
    found = minimise(part, [[place] for place in range(len(part))], refuted)
    return Window(found.operations, refuted.model, not refuted.spent and len(refuted.doubts) == doubts)


def _cut_short(
    part: History, begins: Operation | None, blocked: Operation, refuted: Refuter, thorough: bool
) -> tuple[History, Operation | None]:
    """The history from a later blind write on that is still refuted, and that write, if there is one."""
    if not refuted.model.overwrites:
        return part, begins
    if len(part) > FEW and not thorough:
        found, first = latest_start(part, blocked, refuted.model, refuted)
        return (part, begins) if first is None or len(found) == len(part) else (found, first)
    for place in reversed(starts(part, blocked, refuted.model)):
        if refuted.spent:
            break
        found = beginning_at(part, place, refuted.model)
        if len(found) < len(part) and refuted(found):
            return found, part.operations[place]
    return part, begins


def _without_values(part: History, begins: Operation | None, refuted: Refuter) -> History:
    """Without as many values as can be, but that of the first write, then without as much as can be that only looks."""
    model = refuted.model
    if model.single_value:
        telling = [place for place, one in enumerate(part) if one.status != "fail" or one.actual is not UNSET]
        without_blind = part.part(telling)
        if len(telling) == len(part) or refuted(without_blind):  # a cas that saw only "not old" ties all values
            part = _by_values(without_blind, _touched, begins, refuted)
    elif model.touches is not None:
        part = _by_values(part, model.touches, begins, refuted)
    observers = [place for place, one in enumerate(part) if model.looks(one)]
    updates = sorted(set(range(len(part))) - set(observers))
    return minimise(part, [[place] for place in observers], refuted, updates)


def _by_values(history: History, touched: Touched, begins: Operation | None, refuted: Refuter) -> History:
    """The history without as many values as can be."""
    groups = by_value(history, touched)
    kept = [place for place, one in enumerate(history) if touched(one) is None]
    if begins is not None:
        rank = begins.call_rank
        its = [group for group in groups if any(history.operations[place].call_rank == rank for place in group)]
        groups = [group for group in groups if group not in its]
        kept = sorted([*kept, *(place for group in its for place in group)])
    return minimise(history, groups, refuted, kept)


def by_value(history: History, touched: Touched) -> list[Places]:
    """The places of operations by the values that they touch, values that one operation connects together."""
    group_of: dict[State, list[State]] = {}
    for operation in history:
        merged: list[State] = []
        for value in touched(operation) or ():
            known = group_of.get(value, [value])
            merged.extend(one for one in known if one not in merged)
        for value in merged:
            group_of[value] = merged
    groups: dict[int, list[int]] = {}
    alone: list[Places] = []
    for place, operation in enumerate(history):
        values = touched(operation)
        if values:
            groups.setdefault(id(group_of[values[0]]), []).append(place)
        elif values is not None:
            alone.append([place])
    return [*groups.values(), *alone]


def _touched(operation: Operation) -> tuple[State, ...]:
    """The values that a register operation read, wrote or replaced."""
    if operation.f == "read":
        return (operation.result,)
    if operation.status == "fail":
        return (operation.actual,)
    return cas_argument(operation) if operation.f == "cas" else (operation.value,)


def minimise(history: History, groups: Sequence[Places], refuted: Refuter, kept: Places = ()) -> History:
    """The kept and those of as few groups as deleting halves, quarters, ... leaves refuted. About k log n tests.

    Deleting single groups is repeated until none can be deleted. Whatever is found when the effort is spent: it is
    refuted too.
    """
    groups = list(groups)
    smallest = history
    size = 2 * len(groups)
    while size > 1 and not refuted.spent:
        size = (size + 1) // 2
        start, before = len(groups), len(groups)
        while start > 0 and refuted.effort.read_clock():
            start = max(0, start - size)
            rest = groups[:start] + groups[start + size :]
            part = history.part(sorted(place for group in (*rest, kept) for place in group))
            if refuted(part):
                groups, smallest = rest, part
        if size == 1 and len(groups) < before and groups:
            size = 2  # once more
    return smallest
