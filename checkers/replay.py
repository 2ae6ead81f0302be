"""Is this order a linearization? What every valid verdict has passed; it shares no code with any engine."""

from collections.abc import Sequence

from checkers.budget import Budget, Meter
from checkers.history import Operation
from checkers.models import ILLEGAL, Model, State

UNFINISHED = "the budget did not last to replay it"


def replay(
    witness: Sequence[Operation], operations: Sequence[Operation], model: Model, meter: Meter | None = None
) -> str | None:
    """What is wrong with the witness; None if it is legal, keeps real time and has all that returned. O(n).

    UNFINISHED if the budget does not last.
    """
    meter = meter or Meter(Budget())
    state: State = model.initial
    latest_call = -1
    placed: set[int] = set()
    for operation in witness:
        if operation.return_rank < latest_call:
            return f"{operation} comes after an operation that was called later than it returned"
        if operation.call_rank in placed:
            return f"{operation} is placed twice"
        if not meter.spend():
            return UNFINISHED
        after = model.step(state, operation)
        if after is ILLEGAL:
            return f"{operation} is illegal in state {state!r}"
        state = after
        placed.add(operation.call_rank)
        latest_call = max(latest_call, operation.call_rank)
    missing = [operation for operation in operations if operation.returned and operation.call_rank not in placed]
    return f"{missing[0]} is missing" if missing else None
