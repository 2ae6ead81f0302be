"""Why not: the shortest failing prefix, the operation that cannot be placed, a small window wrong by itself.

Lives here: everything that makes an invalid verdict readable. Each claim is one that the reference search has
confirmed: the prefix is refuted, the prefix before it is not, and the window is refuted alone. A window is made by
deletion, and only by deletions that keep a linearizable history linearizable, so that it can not blame an operation
for the lack of another.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from checkers.budget import Budget, Meter
from checkers.history import NEVER, Key, Operation
from checkers.models import Model, State
from checkers.result import Violation
from checkers.wing_gong import Answer, search

Operations = Sequence[Operation]
STEPS_TO_MINIMISE = 2_000_000


def explain(operations: Operations, key: Key, model: Model) -> Violation:
    """The violation in refuted operations. O(log n) searches, and some more for the window."""
    returned = sorted((operation for operation in operations if operation.returned), key=lambda one: one.return_rank)
    low, high = 0, len(returned) - 1
    while low < high:  # the first return whose prefix is refuted
        middle = (low + high) // 2
        if _refuted(prefix(operations, returned[middle]), model):
            high = middle
        else:
            low = middle + 1
    blocked = returned[low]
    shown = prefix(operations, blocked)
    states = search(shown, model, Meter(Budget())).states
    window = _window(shown, model)
    return Violation(
        key=key,
        blocked=blocked,
        states=states,
        prefix=tuple(shown),
        window=tuple(window),
        sentence=_sentence(blocked, states),
    )


def prefix(operations: Operations, last: Operation) -> list[Operation]:
    """The operations called before `last` returned; those still open then may or may not take place."""
    cut = last.return_rank
    return [
        operation if operation.return_rank <= cut else replace(operation, return_rank=NEVER, return_time=None)
        for operation in operations
        if operation.call_rank < cut
    ]


def _refuted(operations: Operations, model: Model) -> bool:
    return search(operations, model, Meter(Budget())).answer is Answer.REFUTED


def _window(operations: Operations, model: Model) -> list[Operation]:
    """The smallest part of refuted operations found that is refuted by itself."""
    meter = Meter(Budget(steps=STEPS_TO_MINIMISE))
    gapped = model.gapped
    if gapped is not None:
        part = [operation for operation in operations if gapped.relevant(operation)]
        if _refutes(part, gapped, meter):
            return minimise([[operation] for operation in part], lambda rest: _refutes(rest, gapped, meter))
    return minimise(_removable(operations, model), lambda rest: _refutes(rest, model, meter))


def _refutes(operations: Operations, model: Model, meter: Meter) -> bool:
    return search(operations, model, meter).answer is Answer.REFUTED


def _removable(operations: Operations, model: Model) -> list[list[Operation]]:
    """The operations in groups, any of which may be left out: each observation alone, and all updates together."""
    observers = [operation for operation in operations if operation.f in model.reads or operation.status == "fail"]
    updates = [operation for operation in operations if operation not in observers]
    return [[observer] for observer in observers] + [updates]


def minimise(groups: list[list[Operation]], refuted: Callable[[Operations], bool]) -> list[Operation]:
    """The operations of as few groups as deleting halves, quarters, ... leaves refuted. About k log n tests."""
    size = len(groups)
    while size >= 1:
        size = (size + 1) // 2
        start = len(groups)
        while start > 0:
            start = max(0, start - size)
            rest = groups[:start] + groups[start + size :]
            if refuted(_flat(rest)):
                groups = rest
        if size == 1:
            break
    return _flat(groups)


def _flat(groups: list[list[Operation]]) -> list[Operation]:
    operations = [operation for group in groups for operation in group]
    return sorted(operations, key=lambda operation: operation.call_rank)


def _sentence(blocked: Operation, states: Sequence[State]) -> str:
    """Names the operation, where it is written, and every state it could have found."""
    where = f" (line {blocked.line})" if blocked.line else ""
    if not states:
        return f"{blocked}{where} cannot be placed"
    listed = ", ".join(repr(state) for state in states[:5]) + (
        f" and {len(states) - 5} more" if len(states) > 5 else ""
    )
    many = "states when it returned were" if len(states) > 1 else "state when it returned was"
    return f"{blocked}{where} cannot be placed: the only possible {many} {listed}"
