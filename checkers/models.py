"""Sequential specifications: what a single correct copy would do.

Lives here: the model type, the registers, and the registry by name. A model is an initial state and a pure
`step(state, operation) -> state or ILLEGAL`; states must be hashable. `step` is asked only about operations that the
model `observes`: those that ended "ok" (it must agree with their result), those that may have happened ("info": it
must say what they would do, or ILLEGAL where they could not), and the failed ones that saw something. No search logic
lives here.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from msgspec import UNSET

from checkers.history import Operation

State = Hashable


class Illegal:
    """The type of ILLEGAL."""

    def __repr__(self) -> str:
        return "ILLEGAL"


ILLEGAL: Final = Illegal()
Step = Callable[[State, Operation], State | Illegal]


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
    has_gaps: updates that we do not see may lie between, so that even what only looks may change the state.
    single_value: the state is one value, which `read` returns, `write` sets and `cas` replaces.
    versioned: the state is a value and the number of updates that led to it, which replies carry as `version`.
    hindsight: given all operations, a map of states to states that none of the operations tells from them, so that
        the search merges states whose difference nobody can see any more.
    extends: those that put their value behind a text. If there are any, the state is a text: `reads` return all of it,
        `overwrites` set it to their value, and whatever is not ok tells nothing.
    part: the part of the state that an operation touches; operations on different parts commute. None: all of it.
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
    has_gaps: bool = False
    single_value: bool = False
    versioned: bool = False
    hindsight: Callable[[Iterable[Operation]], Callable[[State], State | Illegal]] | None = None
    extends: frozenset[str] = field(default=frozenset())
    part: Callable[[Operation], Hashable] | None = None

    def looks(self, operation: Operation) -> bool:
        """Whether the operation leaves every state as it is."""
        return not self.has_gaps and (operation.f in self.reads or operation.status == "fail")

    def relevant(self, operation: Operation) -> bool:
        """Whether the operation can matter to the verdict."""
        return self.observes(operation) and not (operation.status == "info" and operation.f in self.reads)


def saw_mismatch(operation: Operation) -> bool:
    """Whether a failed cas is an observation: it says what it saw, or at least that it compared and found another."""
    return operation.status != "fail" or operation.actual is not UNSET or operation.error == "mismatch"


READS = frozenset({"read"})
WRITES = frozenset({"write"})


def register(initial: State = None) -> Model:
    """A register with `read` and `write`."""
    return Model(
        "register", initial, _cas_register_step, frozenset({"read", "write"}), READS, WRITES, single_value=True
    )


def cas_register(initial: State = None) -> Model:
    """A register with `read`, `write` and `cas` of [old, new]; a failed cas saw a value that is not `old`."""
    names = frozenset({"read", "write", "cas"})
    return Model(
        "cas-register", initial, _cas_register_step, names, READS, WRITES, observes=saw_mismatch, single_value=True
    )


def versioned_register(initial: State = None) -> Model:
    """A cas register whose state is (value, version); each write and each cas that took place adds one to the version.

    A reply carries the version after it; where a reply has none, the version is not compared.
    """
    names = frozenset({"read", "write", "cas"})
    gapped = Model("gapped-versioned-register", (initial, 0), _gapped_step, names, observes=_saw_version, has_gaps=True)
    return Model(
        "versioned-register",
        (initial, 0),
        _versioned_register_step,
        names,
        READS,
        observes=saw_mismatch,
        gapped=gapped,
        versioned=True,
        hindsight=_told_values,
    )


def _cas_register_step(value: State, operation: Operation) -> State | Illegal:
    if operation.f == "read":
        return value if operation.status != "ok" or operation.result == value else ILLEGAL
    if operation.f == "write":
        written: State = operation.value
        return written
    old, new = cas_argument(operation)
    if operation.status == "fail":
        return value if value != old and operation.actual in (UNSET, value) else ILLEGAL
    return new if value == old else ILLEGAL


def _versioned_register_step(state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, tuple)
    value, version = state
    after = _cas_register_step(value, operation)
    if isinstance(after, Illegal):
        return ILLEGAL
    if operation.f != "read" and operation.status != "fail":
        version += 1
    return (after, version) if operation.version in (None, version) else ILLEGAL


def _told_values(operations: Iterable[Operation]) -> Callable[[State], State | Illegal]:
    """Rules out states that a reply denies: each version has one value, and there are no more than updates."""
    told: dict[int, State] = {}
    updates = 0
    for one in operations:
        updates += one.f != "read" and one.status != "fail"
        if (
            one.version is not None
            and one.returned
            and (one.f != "cas" or one.actual is not UNSET or one.status == "ok")
        ):
            value = one.result if one.f == "read" else one.actual if one.status == "fail" else one.value
            told.setdefault(one.version, value[1] if one.f == "cas" and one.status == "ok" else value)

    def possible(state: State) -> State | Illegal:
        assert isinstance(state, tuple)
        value, version = state
        return state if version <= updates and told.get(version, value) == value else ILLEGAL

    return possible


def _saw_version(operation: Operation) -> bool:
    return operation.version is not None and saw_mismatch(operation)


def _gapped_step(state: State, operation: Operation) -> State | Illegal:
    """What a versioned register may do when updates that we do not see may lie between: versions only ever grow."""
    assert isinstance(state, tuple)
    value, version = state
    seen = operation.version
    if operation.f == "read" or operation.status == "fail":
        found = operation.result if operation.f == "read" else operation.actual
        if operation.f == "cas" and (found == cas_argument(operation)[0] or found is UNSET):
            return state if found is UNSET and seen >= version else ILLEGAL
        return (found, seen) if seen > version or (found, seen) == state else ILLEGAL
    if seen <= version:
        return ILLEGAL
    if operation.f == "write":
        return (operation.value, seen)
    old, new = cas_argument(operation)
    return (new, seen) if seen > version + 1 or value == old else ILLEGAL


def cas_argument(operation: Operation) -> tuple[State, State]:
    """(old, new) of a cas; raises ModelError for any other shape."""
    if isinstance(operation.value, tuple) and len(operation.value) == 2:
        return operation.value
    raise ModelError(f"cas takes [old, new], not {operation.value!r}")


def nondeterministic(
    name: str,
    initial: Iterable[State],
    steps: Callable[[State, Operation], Iterable[State]],
    *,
    reads: frozenset[str] = frozenset(),
    per_key: bool = True,
) -> Model:
    """A model that may go several ways: `steps` gives every state that may follow, none if the operation is illegal.

    Its state is the set of all states that it may be in (the subset construction), so that every engine takes it.
    """

    def step(states: State, operation: Operation) -> State | Illegal:
        assert isinstance(states, frozenset)
        after = frozenset(one for state in states for one in steps(state, operation))
        return after or ILLEGAL

    return Model(name, frozenset(initial), step, per_key=per_key, reads=reads)


GUESSES = ("register", "cas-register", "kv", "counter", "set", "queue", "stack", "mutex", "multi-register")


@cache
def get(name: str, initial: State = None) -> Model:
    """The model of that name, with that initial value unless it is None; raises ModelError with the names there are."""
    from checkers import datatypes  # here, since it builds on this module

    registers = {"register": register, "cas-register": cas_register, "versioned-register": versioned_register}
    models = {**registers, **datatypes.MODELS}
    if name not in models:
        raise ModelError(f"no model named {name!r}; there are {', '.join(sorted(models))}")
    return models[name](initial)


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
