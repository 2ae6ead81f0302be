"""Every model that there is, under one name: `from checkers import models`.

Lives here: the names that users say, the registry by name, and what makes a model of a step that may go several ways.
What a model is stands in `checkers.model`, the models in `checkers.registers` and `checkers.datatypes`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from checkers.datatypes import counter, kv, kv_unsplit, mutex, queue, set_model, stack
from checkers.guess import guess
from checkers.history import Operation
from checkers.model import ILLEGAL, Illegal, Model, ModelError, NotApplicableError, State, Step
from checkers.multi_register import multi_register
from checkers.registers import cas_argument, cas_register, register, saw_mismatch, versioned_register

__all__ = [
    "ILLEGAL",
    "MODELS",
    "Illegal",
    "Model",
    "ModelError",
    "NotApplicableError",
    "State",
    "Step",
    "cas_argument",
    "cas_register",
    "counter",
    "get",
    "guess",
    "kv",
    "kv_unsplit",
    "multi_register",
    "mutex",
    "nondeterministic",
    "queue",
    "register",
    "saw_mismatch",
    "set_model",
    "stack",
    "versioned_register",
]

MODELS: Mapping[str, Callable[[Any], Model]] = {
    "register": register,
    "cas-register": cas_register,
    "versioned-register": versioned_register,
    "multi-register": multi_register,
    "kv": kv,
    "kv-unsplit": kv_unsplit,
    "set": set_model,
    "queue": queue,
    "stack": stack,
    "counter": counter,
    "mutex": mutex,
}


def nondeterministic(
    name: str,
    initial: Iterable[State],
    steps: Callable[[Any, Operation], Iterable[State]],
    *,
    reads: frozenset[str] = frozenset(),
    per_key: bool = True,
) -> Model:
    """A model that may go several ways: `steps` gives every state that may follow, none if the operation is illegal.

    Its state is the set of all states that it may be in (the subset construction), so that every engine takes it. So a
    read, too, may change it, by what it rules out; `reads` says which constrain nothing while they are unfinished.
    """

    def step(states: State, operation: Operation) -> State | Illegal:
        assert isinstance(states, frozenset)
        after = frozenset(one for state in states for one in steps(state, operation))
        return after or ILLEGAL

    try:
        start = frozenset(initial)
    except TypeError as error:
        raise ModelError(
            f"model {name}: `initial` is every state that it may begin in, each hashable: {error}"
        ) from None
    return Model(name, start, step, per_key=per_key, reads=reads, looks_move=True)


def get(name: str, initial: object = None) -> Model:
    """The model of that name, with that initial value unless it is None; raises ModelError with the names there are."""
    if name not in MODELS:
        raise ModelError(f"no model named {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](initial)
