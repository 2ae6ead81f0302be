"""Why not: the first operation that cannot be placed, what it could have found, and a small window wrong by itself.

Lives here: everything that makes an invalid verdict readable. A window is made by deletion, and only by deletions
that keep a linearizable history linearizable, so that it cannot blame an operation for the lack of another: of
observations, of all operations on some values together, or, under the `gapped` model, of anything. The engines find
it; it counts only once the reference search has refuted it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from msgspec import UNSET

from checkers.budget import Budget, Meter
from checkers.decision import Answer, Decision
from checkers.engines import decide
from checkers.history import History, Key, Operation
from checkers.models import Model, State, cas_argument
from checkers.result import Violation
from checkers.wing_gong import search

Places = Sequence[int]
Refuted = Callable[[History], bool]
PREFIX_SEARCHED = 20_000  # operations, above which the failing prefix shown need not be the shortest
STEPS_TO_MINIMISE = 300_000
STEPS_TO_CONFIRM = 5_000_000
STEPS_TO_TELL_APART = 5_000


def explain(history: History, key: Key, model: Model, decision: Decision, meter: Meter) -> Violation | None:
    """The violation in a refuted history; None if the reference search did not confirm it within the budget.

    The history holds only operations that matter to the model.
    """
    effort = Meter(Budget(seconds=meter.seconds_left, steps=STEPS_TO_MINIMISE), meter.clock)
    refuted = _refuted_by(model, effort)
    operations, blocked = history.operations, decision.blocked
    if blocked < 0:
        returned = [place for place, one in enumerate(operations) if one.returned]
        blocked = max(returned, key=lambda place: operations[place].return_rank)
    told = decision.engine == "versions"  # the two operations say it all
    if len(operations) <= PREFIX_SEARCHED and not told:
        blocked = _first_refuted(history, blocked, refuted)
    shown = history.prefix(blocked)
    if not told and (blocked != decision.blocked or any(place >= len(shown) for place in decision.core)):
        decision = _decided_anew(shown, model, decision, effort)
    window, judge = _window(shown, model, decision, effort)
    if operations[blocked] not in window and judge.looks(operations[blocked]):  # that it failed is what told
        window = sorted([*window, operations[blocked]], key=lambda one: one.call_rank)
    confirmed = search(window, judge, Meter(Budget(seconds=meter.seconds_left, steps=STEPS_TO_CONFIRM), meter.clock))
    if confirmed.answer is not Answer.REFUTED:
        return None
    states = () if told else _states(shown, model, effort)
    return Violation(
        key=key,
        blocked=operations[blocked],
        states=states,
        prefix=tuple(shown),
        window=tuple(window),
        judge=judge,
        sentence=_sentence(operations[blocked], states, decision),
    )


def _refuted_by(model: Model, effort: Meter) -> Refuted:
    """Asks the engines whether a history has no linearization; false also if the effort does not last."""

    def refuted(part: History) -> bool:
        return decide(part, model, "auto", effort).answer is Answer.REFUTED

    return refuted


def _decided_anew(shown: History, model: Model, decision: Decision, effort: Meter) -> Decision:
    """What the engines say of the shorter history, or what is known without them if the effort does not last."""
    anew = decide(shown, model, "auto", effort)
    return anew if anew.answer is Answer.REFUTED else replace(decision, core=())


def _first_refuted(history: History, refuted_at: int, refuted: Refuted) -> int:
    """The first operation up to whose return the history is refuted. O(log n) decisions."""
    returned = [~code for code in history.columns.events if code < 0]
    low, high = 0, returned.index(refuted_at)
    if not refuted(history.prefix(refuted_at)):  # an engine may have looked ahead
        low, high = high + 1, len(returned) - 1
    while low < high:
        middle = (low + high) // 2
        if refuted(history.prefix(returned[middle])):
            high = middle
        else:
            low = middle + 1
    return returned[min(low, len(returned) - 1)]  # past the last if the effort does not last


def _window(shown: History, model: Model, decision: Decision, effort: Meter) -> tuple[Sequence[Operation], Model]:
    """The smallest part found of the refuted operations that is refuted by itself, and the model that refutes it."""
    gapped = model.gapped
    if gapped is not None:
        if decision.core and decision.engine == "versions":  # that of another engine contradicts the whole only
            return shown.part(sorted(decision.core)).operations, gapped
        part = shown.part([place for place, one in enumerate(shown) if gapped.relevant(one)])
        refuted_with_gaps = _refuted_by(gapped, effort)
        if refuted_with_gaps(part):
            return minimise(part, [[place] for place in range(len(part))], refuted_with_gaps).operations, gapped
    refuted = _refuted_by(model, effort)
    part = shown.part(sorted(decision.core)) if decision.core and model.single_value else shown
    if model.single_value:
        telling = [place for place, one in enumerate(part) if one.status != "fail" or one.actual is not UNSET]
        without_blind = part.part(telling)
        if len(telling) == len(part) or refuted(without_blind):  # a cas that saw only "not old" ties all values
            part = minimise(without_blind, _by_value(without_blind), refuted)
    observers = [place for place, one in enumerate(part) if model.looks(one)]
    updates = sorted(set(range(len(part))) - set(observers))
    return minimise(part, [[place] for place in observers], refuted, updates).operations, model


def _by_value(history: History) -> list[Places]:
    """The places of operations by the values that they touch, values that a cas connects together."""
    group_of: dict[State, list[State]] = {}
    for operation in history:
        merged: list[State] = []
        for value in _touched(operation):
            known = group_of.get(value, [value])
            merged.extend(one for one in known if one not in merged)
        for value in merged:
            group_of[value] = merged
    groups: dict[int, list[int]] = {}
    for place, operation in enumerate(history):
        groups.setdefault(id(group_of[_touched(operation)[0]]), []).append(place)
    return list(groups.values())


def _touched(operation: Operation) -> tuple[State, ...]:
    """The values that a register operation read, wrote or replaced."""
    if operation.f == "read":
        return (operation.result,)
    if operation.status == "fail":
        return (operation.actual,)
    return cas_argument(operation) if operation.f == "cas" else (operation.value,)


def minimise(history: History, groups: Sequence[Places], refuted: Refuted, kept: Places = ()) -> History:
    """The kept and those of as few groups as deleting halves, quarters, ... leaves refuted. About k log n tests."""
    groups = list(groups)
    smallest = history
    size = 2 * len(groups)
    while size > 1:
        size = (size + 1) // 2
        start = len(groups)
        while start > 0:
            start = max(0, start - size)
            rest = groups[:start] + groups[start + size :]
            part = history.part(sorted(place for group in (*rest, kept) for place in group))
            if refuted(part):
                groups, smallest = rest, part
    return smallest


def _states(shown: History, model: Model, effort: Meter) -> tuple[State, ...]:
    """All states that were possible when the last operation returned; none if the effort does not last.

    Where hindsight takes many states for one, they are told apart again, if that does not take long.
    """
    found = decide(shown, model, "search", effort)
    if found.answer is not Answer.REFUTED:
        return ()
    if model.hindsight is not None and not model.versioned:  # versions rule states out, and take none for another
        plain = replace(model, hindsight=None, extends=frozenset())
        brief = Meter(Budget(seconds=effort.seconds_left, steps=STEPS_TO_TELL_APART), effort.clock)
        each = decide(shown, plain, "search", brief)
        found = each if each.answer is Answer.REFUTED else found
    return found.states


def _sentence(blocked: Operation, states: Sequence[State], decision: Decision) -> str:
    """Names the operation, where it is written, and every state it could have found."""
    where = f" (line {blocked.line})" if blocked.line else ""
    why = f": {decision.sentence}" if decision.sentence else ""
    if not states:
        return f"{blocked}{where} cannot be placed{why}"
    listed = ", ".join(repr(state) for state in states[:5]) + (
        f" and {len(states) - 5} more" if len(states) > 5 else ""
    )
    many = "states when it returned were" if len(states) > 1 else "state when it returned was"
    return f"{blocked}{where} cannot be placed; the only possible {many} {listed}{why}"
