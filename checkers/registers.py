"""Registers: one value, read, written and compared; and one that numbers its updates.

Lives here: one function a model, its steps beside it, and what a failed cas tells.
"""

from collections.abc import Callable, Iterable

from msgspec import UNSET

from checkers.history import Operation
from checkers.model import ILLEGAL, Illegal, Model, ModelError, State, frozen_initial
from checkers.stale import Sight, Update, stale_cells


def saw_mismatch(operation: Operation) -> bool:
    """Whether the operation tells something: of the failed only a cas does that says what it saw, or "mismatch"."""
    if operation.status != "fail":
        return True
    return operation.f == "cas" and (operation.actual is not UNSET or operation.error == "mismatch")


READS = frozenset({"read"})
WRITES = frozenset({"write"})
LOOSE = "cas-register whose cas need not match"


def holds_one_value(model: Model) -> bool:
    """Whether its operations are those of a register of single values, whatever it asks of them."""
    return model.single_value or model.name == LOOSE


def register(initial: object = None) -> Model:
    """A register with `read` and `write`."""
    start = frozen_initial("register", initial)
    return Model(
        "register",
        start,
        _cas_register_step,
        frozenset({"read", "write"}),
        READS,
        WRITES,
        single_value=True,
        anomaly=stale_cells(_told, lambda _: start, WRITES),
    )


def cas_register(initial: object = None) -> Model:
    """A register with `read`, `write` and `cas` of [old, new]; a failed cas saw a value that is not `old`."""
    names, start = frozenset({"read", "write", "cas"}), frozen_initial("cas-register", initial)
    loose = Model(LOOSE, start, _loose_step, names, READS, observes=saw_mismatch)
    return Model(
        "cas-register",
        start,
        _cas_register_step,
        names,
        READS,
        WRITES,
        observes=saw_mismatch,
        single_value=True,
        anomaly=stale_cells(_told, lambda _: start, WRITES),
        loose=loose,
    )


def versioned_register(initial: object = None) -> Model:
    """A cas register whose state is (value, version); each write and each cas that took place adds one to the version.

    A reply carries the version after it; where a reply has none, or none came, the version is not compared.
    """
    names = frozenset({"read", "write", "cas"})
    start = frozen_initial("versioned-register", initial), 0
    gapped = Model("gapped-versioned-register", start, _gapped_step, names, observes=_saw_version, looks_move=True)
    return Model(
        "versioned-register",
        start,
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


def _loose_step(value: State, operation: Operation) -> State | Illegal:
    """The same, but a cas takes place whatever there was, and a failed one tells only what it saw."""
    if operation.f != "cas":
        return _cas_register_step(value, operation)
    if operation.status == "fail":
        return value if operation.actual in (UNSET, value) else ILLEGAL
    return cas_argument(operation)[1]


def _told(operation: Operation) -> tuple[list[Update], list[Sight]]:
    """What a register operation left, and what it saw if it returned."""
    one = operation
    if one.f == "write":
        return ([Update(None, one.value, one)] if one.status != "fail" else []), []
    if one.f == "read":
        return [], [Sight(None, one.result, one)] if one.returned and one.status == "ok" else []
    old, new = cas_argument(one)
    if one.status == "fail":
        return [], [Sight(None, one.actual, one)] if one.returned and one.actual is not UNSET else []
    return [Update(None, new, one)], [Sight(None, old, one)] if one.returned else []


def _versioned_register_step(state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, tuple)
    value, version = state
    after = _cas_register_step(value, operation)
    if isinstance(after, Illegal):
        return ILLEGAL
    if operation.f != "read" and operation.status != "fail":
        version += 1
    told = operation.status != "info" and operation.version is not None
    return (after, version) if not told or operation.version == version else ILLEGAL


def _told_values(operations: Iterable[Operation]) -> Callable[[State], State | Illegal]:
    """Rules out states that a reply denies: each version has one value, and there are no more than updates."""
    told: dict[int, State] = {}
    updates = 0
    for one in operations:
        updates += one.f != "read" and one.status != "fail"
        if (
            one.version is not None
            and one.returned
            and saw_mismatch(one)
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
    return operation.version is not None and operation.status != "info" and saw_mismatch(operation)


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
