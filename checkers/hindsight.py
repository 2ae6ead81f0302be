"""What a valid history says of its unfinished operations: must, may or cannot have happened.

Lives here: two questions about each. Without it, is the history still linearizable? If not, it must have happened. Made
to happen, is it? If not, it cannot have. The witness answers one of them, and often, with a small change, the other;
the rest is put to the engines. What the budget does not answer is said to be undecided.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec.structs import replace

from checkers.budget import Budget, Meter
from checkers.decision import Answer
from checkers.engines import decide
from checkers.guard import guarded
from checkers.history import NEVER, History, Operation
from checkers.models import Illegal, Model, State
from checkers.result import Result

Fate = Literal["must", "may", "cannot", "undecided"]
STEPS_EACH = 100_000
END = NEVER - 1


def unfinished(result: Result, model: Model, meter: Meter | None = None) -> Iterator[tuple[Operation, Fate]]:
    """Each unfinished operation of a valid result (of one key) and its fate, in order of calls. A decision each."""
    if result.witness is None:
        return
    model = guarded(model)
    meter = meter or Meter(Budget())
    states: list[State] = [model.initial]  # before each operation of the witness, and at the end
    for one in result.witness:
        after = model.step(states[-1], one)
        assert not isinstance(after, Illegal), "a witness was replayed"
        states.append(after)
        if not meter.spend():
            break
    place_of = {one.call_rank: place for place, one in enumerate(result.witness)}
    for operation in result.unfinished:
        if not meter.read_clock():
            yield operation, "undecided"
        elif operation.call_rank in place_of:
            spared = _spared(result.witness, place_of[operation.call_rank], states, model, meter)
            without = [one for one in result.relevant if one.call_rank != operation.call_rank]
            yield operation, "may" if spared else _fate(without, model, meter, "must")
        elif not isinstance(model.step(states[-1], operation), Illegal):
            yield operation, "may"
        else:
            forced = replace(operation, return_rank=END)
            with_it = [forced if one.call_rank == operation.call_rank else one for one in result.relevant]
            yield operation, _fate(with_it, model, meter, "cannot")


def _spared(witness: Sequence[Operation], place: int, states: Sequence[State], model: Model, meter: Meter) -> bool:
    """Whether the witness is one also without the operation at that place, seen as soon as the states are the same."""
    state = states[place]
    for later in range(place + 1, len(witness)):
        if state == states[later]:
            return True
        after = model.step(state, witness[later])
        if isinstance(after, Illegal) or not meter.spend():
            return False
        state = after
    return True


def _fate(operations: list[Operation], model: Model, meter: Meter, if_refuted: Fate) -> Fate:
    """What follows if the operations have no linearization; else it may have happened or not."""
    steps = STEPS_EACH if meter.steps_left is None else min(STEPS_EACH, meter.steps_left)
    patience = meter.part(steps=steps)
    answer = decide(History(operations, "part"), model, "auto", patience).answer
    meter.spend(patience.steps)
    if answer is Answer.EXHAUSTED:
        return "undecided"
    return if_refuted if answer is Answer.REFUTED else "may"
