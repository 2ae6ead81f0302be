"""Why not: the first operation that cannot be placed, what it could have found, and a small window wrong by itself.

Lives here: everything that makes an invalid verdict readable. A window is made by deletion, and only by deletions
that keep a linearizable history linearizable, so that it cannot blame an operation for the lack of another: of
observations, of all operations on some values together, or, under the `gapped` model, of anything. The engines find
it; it counts only once the reference search has refuted it.
"""

from collections.abc import Callable, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from checkers.budget import Budget, Meter
from checkers.engines import Decision, decide
from checkers.history import NEVER, History, Key, Operation
from checkers.models import Model, State, cas_argument
from checkers.result import Violation
from checkers.wing_gong import Answer, search

Operations = Sequence[Operation]
Refuted = Callable[[Operations], bool]
PREFIX_SEARCHED = 20_000  # operations, above which the failing prefix shown need not be the shortest
STEPS_TO_MINIMISE = 300_000
STEPS_TO_CONFIRM = 5_000_000


def explain(operations: Operations, key: Key, model: Model, decision: Decision, meter: Meter) -> Violation | None:
    """The violation in refuted operations; None if the reference search did not confirm it within the budget."""
    effort = Meter(Budget(seconds=meter.seconds_left, steps=STEPS_TO_MINIMISE), meter.clock)

    def refuted(part: Operations) -> bool:
        return decide(History(part, "part"), model, "auto", effort).answer is Answer.REFUTED

    blocked = decision.blocked or max((one for one in operations if one.returned), key=lambda one: one.return_rank)
    told = decision.engine == "versions"  # the two operations say it all
    if len(operations) <= PREFIX_SEARCHED and not told:
        blocked = _first_refuted(operations, blocked, refuted)
    shown = prefix(operations, blocked)
    window, judge = _window(shown, model, decision, effort, refuted)
    confirmed = search(window, judge, Meter(Budget(seconds=meter.seconds_left, steps=STEPS_TO_CONFIRM), meter.clock))
    if confirmed.answer is not Answer.REFUTED:
        return None
    states, exact = ((), False) if told else _states(shown, model, decision, blocked, effort)
    return Violation(
        key=key,
        blocked=blocked,
        states=states,
        exact=exact,
        prefix=tuple(shown),
        window=tuple(window),
        judge=judge,
        sentence=_sentence(blocked, states, exact, decision),
    )


def prefix(operations: Operations, last: Operation) -> list[Operation]:
    """The operations called before `last` returned; those still open then may or may not take place."""
    cut = last.return_rank
    return [
        operation if operation.return_rank <= cut else replace(operation, return_rank=NEVER, return_time=None)
        for operation in operations
        if operation.call_rank < cut
    ]


def _first_refuted(operations: Operations, refuted_at: Operation, refuted: Refuted) -> Operation:
    """The first operation up to whose return the history is refuted. O(log n) decisions."""
    returned = sorted((operation for operation in operations if operation.returned), key=lambda one: one.return_rank)
    low, high = 0, next(place for place, one in enumerate(returned) if one.call_rank == refuted_at.call_rank)
    while low < high:
        middle = (low + high) // 2
        if refuted(prefix(operations, returned[middle])):
            high = middle
        else:
            low = middle + 1
    return returned[low]


def _window(
    shown: Operations, model: Model, decision: Decision, effort: Meter, refuted: Refuted
) -> tuple[list[Operation], Model]:
    """The smallest part found of the refuted operations that is refuted by itself, and the model that refutes it."""
    gapped = model.gapped
    if gapped is not None:
        if decision.core:
            return sorted(decision.core, key=lambda one: one.call_rank), gapped
        part = [operation for operation in shown if gapped.relevant(operation)]

        def refuted_with_gaps(rest: Operations) -> bool:
            return decide(History(rest, "part"), gapped, "auto", effort).answer is Answer.REFUTED

        if refuted_with_gaps(part):
            return minimise([[operation] for operation in part], refuted_with_gaps), gapped
    part = list(decision.core or shown)
    if model.single_value:
        telling = [one for one in part if one.status != "fail" or one.actual is not UNSET]
        if len(telling) == len(part) or refuted(telling):  # a cas that saw only "not old" ties all values together
            part = minimise(_by_value(telling), refuted)
    observers = [[one] for one in part if one.f in model.reads or one.status == "fail"]
    updates = [one for one in part if not (one.f in model.reads or one.status == "fail")]
    return minimise(observers, refuted, updates), model


def _by_value(operations: Operations) -> list[list[Operation]]:
    """The operations by the values that they touch, values that a cas connects together."""
    group_of: dict[State, list[State]] = {}
    for operation in operations:
        merged: list[State] = []
        for value in _touched(operation):
            known = group_of.get(value, [value])
            merged.extend(one for one in known if one not in merged)
        for value in merged:
            group_of[value] = merged
    groups: dict[int, list[Operation]] = {}
    for operation in operations:
        groups.setdefault(id(group_of[_touched(operation)[0]]), []).append(operation)
    return list(groups.values())


def _touched(operation: Operation) -> tuple[State, ...]:
    """The values that a register operation read, wrote or replaced."""
    if operation.f == "read":
        return (operation.result,)
    if operation.status == "fail":
        return (operation.actual,)
    return cas_argument(operation) if operation.f == "cas" else (operation.value,)


def minimise(groups: list[list[Operation]], refuted: Refuted, kept: Operations = ()) -> list[Operation]:
    """The kept and those of as few groups as deleting halves, quarters, ... leaves refuted. About k log n tests."""
    size = 2 * len(groups)
    while size > 1:
        size = (size + 1) // 2
        start = len(groups)
        while start > 0:
            start = max(0, start - size)
            rest = groups[:start] + groups[start + size :]
            if refuted(_flat([*rest, kept])):
                groups = rest
    return _flat([*groups, kept])


def _flat(groups: Sequence[Operations]) -> list[Operation]:
    operations = [operation for group in groups for operation in group]
    return sorted(operations, key=lambda operation: operation.call_rank)


def _states(
    shown: Operations, model: Model, decision: Decision, blocked: Operation, effort: Meter
) -> tuple[tuple[State, ...], bool]:
    """The states possible when the blocked operation returned, and whether they are all and no others."""
    if not (decision.exact and decision.blocked is blocked):
        decision = decide(History(shown, "prefix"), model, "search", effort)
    if decision.answer is not Answer.REFUTED:
        return (), False
    return decision.states, decision.exact


def _sentence(blocked: Operation, states: Sequence[State], exact: bool, decision: Decision) -> str:
    """Names the operation, where it is written, and every state it could have found."""
    where = f" (line {blocked.line})" if blocked.line else ""
    why = f": {decision.sentence}" if decision.sentence else ""
    if not states:
        return f"{blocked}{where} cannot be placed{why}"
    listed = ", ".join(repr(state) for state in states[:5]) + (
        f" and {len(states) - 5} more" if len(states) > 5 else ""
    )
    many = "states when it returned were" if len(states) > 1 else "state when it returned was"
    at_most = "" if exact else "at most "
    return f"{blocked}{where} cannot be placed; the only possible {many} {at_most}{listed}{why}"
