"""Every model that there is, under one name: `from checkers import models`.

Lives here: the names that users say, and the registry by name. What a model is stands in `checkers.model`, the models
in `checkers.registers` and `checkers.datatypes`, and what makes a model of a step that may go several ways in
`checkers.nondeterministic`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from checkers.datatypes import counter, kv, kv_unsplit, multi_register, mutex, queue, set_model, stack
from checkers.history import Operation
from checkers.model import ILLEGAL, Illegal, Model, ModelError, NotApplicableError, State, Step
from checkers.nondeterministic import nondeterministic
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
GUESSES = ("register", "cas-register", "kv", "counter", "set", "queue", "stack", "mutex", "multi-register")


def get(name: str, initial: object = None) -> Model:
    """The model of that name, with that initial value unless it is None; raises ModelError with the names there are."""
    if name not in MODELS:
        raise ModelError(f"no model named {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](initial)


def guess(operations: Iterable[Operation]) -> str:
    """The name of the strongest model that knows every operation: versioned where any reply carries a version."""
    names: set[str] = set()
    versioned = False
    for operation in operations:
        names.add(operation.f)
        versioned = versioned or operation.version is not None
    for name in ("versioned-register",) if versioned else GUESSES:
        if names <= get(name).operations:
            return name
    raise ModelError(f"no model has all of {', '.join(sorted(names))}; name one with --model")
