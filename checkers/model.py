"""What a sequential specification is.

Lives here: the model type and its errors. A model is an initial state and a pure
`step(state, operation) -> state or ILLEGAL`; states must be hashable, and two that are equal and of the same types are
one. `step` is asked only about operations that the model `observes`: those that ended "ok" (it must agree with their
result), those that may have happened ("info": it must say what they would do, or ILLEGAL where they could not), and the
failed ones that saw something. Of an operation it may look at `f`, `key`, `value`, `result`, `echoed`, `status`,
`version` and `actual`, and at whether the `error` is "mismatch": operations alike in these are one kind. A step of
one's own gets values as they were recorded, with lists as tuples and sets as frozensets. No search logic lives here.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from checkers.anomaly import Anomaly
from checkers.history import Operation
from checkers.values import NotAValueError, freeze

State = Hashable


class Illegal:
    """The type of ILLEGAL."""

    def __repr__(self) -> str:
        return "ILLEGAL"


ILLEGAL: Final = Illegal()
Step = Callable[[Any, Operation], State | Illegal]
"""Any for the state, since whoever writes a step knows what states it has: `step(total: int, ...) -> int | Illegal`."""


class ModelError(ValueError):
    """A model that does not fit the history, or that raised. The message is one line."""


class NotApplicableError(ModelError):
    """An engine that was asked for by name does not take this model or history."""


def _observes(operation: Operation) -> bool:
    return operation.status != "fail"


@dataclass(frozen=True)
class Model:
    """A sequential specification.

    operations: every f it knows; empty, not checked beforehand.
    reads: those that never change the state, so that an unfinished one constrains nothing.
    overwrites: those that lead to one and the same state from any.
    per_key: whether each key is a copy of its own.
    observes: which operations tell something; by default all but the failed.
    gapped: a weaker model under which any part of a linearizable history is linearizable too: it fills the gaps.
    looks_move: what only looks may change the state all the same: updates that we do not see may lie between, or the
        state is all that may be the case, and a look rules something out.
    single_value: the state is one value, which `read` returns, `write` sets and `cas` replaces.
    versioned: the state is a value and the number of updates that led to it, which replies carry as `version`.
    hindsight: given all operations, a map of states to states that none of the operations tells from them, so that
        the search merges states whose difference nobody can see any more.
    extends: those that put their value behind a text. If there are any, the state is a text: `reads` return all of it,
        `overwrites` set it to their value, and whatever is not ok tells nothing.
    part: the part of the state that an operation touches; operations on different parts commute. None: all of it.
    possible: given all operations, a test that fails only for those that nothing any of them puts there allows.
    touches: the values that an operation is on; without all operations on values so connected, a linearizable history
        is linearizable too. (): it leaves the state as it is. None: it has to stay.
    aspects: parts of the state that a simpler model can judge by themselves.
    commutes: those that commute with each other and are legal in any state.
    anomaly: a few operations that no order explains, found by rules; None if there are none that they see.
    loose: a weaker model, in which an update does not need the state that it replaced.
    """

    name: str
    initial: State
    step: Step
    operations: frozenset[str] = field(default=frozenset())
    reads: frozenset[str] = field(default=frozenset())
    overwrites: frozenset[str] = field(default=frozenset())
    per_key: bool = True
    observes: Callable[[Operation], bool] = _observes
    gapped: "Model | None" = None
    looks_move: bool = False
    single_value: bool = False
    versioned: bool = False
    hindsight: Callable[[Iterable[Operation]], Callable[[State], State | Illegal]] | None = None
    extends: frozenset[str] = field(default=frozenset())
    part: Callable[[Operation], Hashable] | None = None
    possible: Callable[[Iterable[Operation]], Callable[[Operation], bool]] | None = None
    touches: Callable[[Operation], tuple[State, ...] | None] | None = None
    aspects: "Aspects | None" = None
    commutes: Callable[[Operation], bool] | None = None
    anomaly: Callable[[Sequence[Operation]], Anomaly | None] | None = field(default=None, compare=False)
    loose: "Model | None" = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Raises ModelError for a field that is not what it has to be; names may come in any collection."""
        if not isinstance(self.name, str):
            raise ModelError(f"model {self.name!r}: its name is a text, not {self.name!r}")
        for field_name in ("operations", "reads", "overwrites", "extends"):
            object.__setattr__(self, field_name, names_of(self.name, field_name, getattr(self, field_name)))
        for field_name in ("per_key", "looks_move", "single_value", "versioned"):
            given = getattr(self, field_name)
            if not isinstance(given, bool):
                raise ModelError(f"model {self.name}: `{field_name}` is True or False, not {given!r}")
        for field_name in ("step", "observes", "hindsight", "part", "possible", "touches", "commutes", "anomaly"):
            given = getattr(self, field_name)
            if not callable(given) and (given is not None or field_name in ("step", "observes")):
                raise ModelError(f"model {self.name}: `{field_name}` is a function, not {given!r}")
        for field_name, kind in (("gapped", Model), ("loose", Model), ("aspects", Aspects)):
            given = getattr(self, field_name)
            if given is not None and not isinstance(given, kind):
                raise ModelError(f"model {self.name}: `{field_name}` is of type {kind.__name__}, not {given!r}")

    def looks(self, operation: Operation) -> bool:
        """Whether the operation leaves every state as it is."""
        return not self.looks_move and (operation.f in self.reads or operation.status == "fail")

    def relevant(self, operation: Operation) -> bool:
        """Whether the operation can matter to the verdict."""
        return self.observes(operation) and not (operation.status == "info" and operation.f in self.reads)


class Aspects(NamedTuple):
    """Parts of a state, each with a name: a history is linearizable only if what each aspect saw of it is.

    names: the aspects that an operation tells something of.
    model: the one that judges an aspect by itself.
    seen: an operation as that model knows it, None where it has nothing to do with the aspect.
    """

    names: Callable[[Operation], Iterable[Hashable]]
    model: Callable[[Hashable], Model]
    seen: Callable[[Hashable, Operation], Operation | None]


def names_of(model: str, field_name: str, given: object) -> frozenset[str]:
    """The names of operations in a field of a model; raises ModelError unless it is a collection of texts."""
    if isinstance(given, str):
        raise ModelError(f"model {model}: `{field_name}` is a set of names, not the text {given!r}; give {{{given!r}}}")
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise ModelError(f"model {model}: `{field_name}` is a set of names, not {given!r}")
    names = list(given)
    odd = next((name for name in names if not isinstance(name, str)), None)
    if odd is not None:
        raise ModelError(f"model {model}: `{field_name}` is a set of names, and {odd!r} is none")
    return frozenset(names)


def frozen_initial(name: str, value: object) -> State:
    """An initial value as values in a history are, so that it can be compared with them; raises ModelError."""
    try:
        initial: State = freeze(value)
    except NotAValueError as error:
        raise ModelError(f"model {name}: the initial value {value!r} {error}") from None
    return initial
