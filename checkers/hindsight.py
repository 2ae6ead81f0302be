"""What a valid history says of its unfinished operations: must, may or cannot have happened.

Lives here: two questions about each. Without it, is the history still linearizable? If not, it must have happened. Made
to happen, is it? If not, it cannot have. The witness answers one of them, and often, with a small change, the other;
the rest is put to the engines, whose no counts once the reference search has confirmed it. What the budget does not
answer, or nothing confirms, is said to be undecided.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec.structs import replace

from checkers.budget import Budget, Meter
from checkers.decision import Answer
from checkers.engines import decide
from checkers.explain import confirmed
from checkers.guard import guarded
from checkers.history import NEVER, History, Operation
from checkers.models import Illegal, Model, State
from checkers.result import Result
from checkers.values import told_apart

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
        if told_apart(state) == told_apart(states[later]):
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
    history = History(operations, "part")
    decision = decide(history, model, "auto", patience)
    meter.spend(patience.steps)
    if decision.answer is Answer.LINEARIZED:
        return "may"
    if decision.answer is Answer.EXHAUSTED or not confirmed(history, model, decision, meter):
        return "undecided"
    return if_refuted
