"""Is this order a linearization? What every valid verdict has passed; it shares no code with any engine."""

from collections.abc import Iterable, Sequence

from checkers.budget import Budget, Meter
from checkers.history import NEVER, Operation
from checkers.models import ILLEGAL, Model, State
from checkers.recorded import Recorded

FIRST_RANKS = 1 << 10
UNFINISHED = "the budget did not last to replay it"


def replay(
    witness: Sequence[Operation], operations: Sequence[Operation], model: Model, meter: Meter | None = None
) -> str | None:
    """What is wrong with the witness; None if it is legal, keeps real time and has all that returned. O(n).

    UNFINISHED if the budget does not last.
    """
    meter = meter or Meter(Budget())
    state: State = model.initial
    step, spend, latest_call = model.step, meter.spend, -1
    placed = bytearray(FIRST_RANKS)
    for operation in witness:
        call = operation.call_rank
        if operation.return_rank < latest_call:
            return f"{operation} comes after an operation that was called later than it returned"
        if call >= len(placed):
            placed.extend(bytes(call))  # twice as many, or more
        if placed[call]:
            return f"{operation} is placed twice"
        if not spend():
            return UNFINISHED
        after = step(state, operation)
        if after is ILLEGAL:
            return f"{operation} is illegal in state {state!r}"
        state = after
        placed[call] = 1
        if call > latest_call:
            latest_call = call
    missing = _missing(operations, placed)
    return None if missing is None else f"{missing} is missing"


def _missing(operations: Sequence[Operation], placed: bytearray) -> Operation | None:
    """The first operation that returned and is not placed."""
    ranks: Iterable[tuple[int, int]] = ((one.call_rank, one.return_rank) for one in operations)
    if isinstance(operations, Recorded):
        ranks = zip(operations.calls, operations.return_ranks, strict=True)
    known = len(placed)
    for place, (call, back) in enumerate(ranks):
        if back != NEVER and (call >= known or not placed[call]):
            return operations[place]
    return None
