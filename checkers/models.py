"""Every model that there is, under one name: `from checkers import models`.

Lives here: the names that users say, and the registry by name. What a model is stands in `checkers.model`, the models
in `checkers.registers` and `checkers.datatypes`, and what makes a model of a step that may go several ways in
`checkers.nondeterministic`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from checkers.datatypes import counter, kv, kv_unsplit, mutex, queue, set_model, stack
from checkers.guess import guess
from checkers.model import ILLEGAL, Illegal, Model, ModelError, NotApplicableError, State, Step
from checkers.multi_register import multi_register
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


def get(name: str, initial: object = None) -> Model:
    """The model of that name, with that initial value unless it is None; raises ModelError with the names there are."""
    if name not in MODELS:
        raise ModelError(f"no model named {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](initial)
