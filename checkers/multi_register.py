"""Several registers, read and written in one step: `read` and `write` of some of them, `txn` of both in order.

Lives here: the model, and what its parts are: one register sees of a transaction at most a read, a write, or a cas.

A transaction is a list of [r, name, value] and [w, name, value], or with `read` and `write` spelled out, as in Knossos
and Jepsen. It takes place at once; a read sees what the same transaction wrote before it. What an "ok" transaction read
stands in its result; null there is a value, of a register that holds null or was never written. The reads of a call, of
a transaction that may have happened, and of an "ok" one without a result constrain nothing.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeGuard

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from checkers.history import Operation
from checkers.model import ILLEGAL, Aspects, Illegal, Model, ModelError, State, frozen_initial
from checkers.registers import cas_register
from checkers.stale import Sight, Update, stale_cells
from checkers.values import Map

Possible = Callable[[Operation], bool]
READS = frozenset({"r", "read"})
WRITES = frozenset({"w", "write"})


class Contradiction:
    """The type of CONTRADICTION."""

    def __repr__(self) -> str:
        return "two values at once"


CONTRADICTION: Final = Contradiction()
"""Stands for what a transaction saw of a register if it saw two values without writing in between; equals no value."""


class Step(NamedTuple):
    """A read or a write in a transaction. The value is UNSET where a read says nothing."""

    writes: bool
    name: State
    value: State | UnsetType


def multi_register(initial: object = None) -> Model:
    """Several registers: `read` and `write` of [[name, value], ...], and `txn` of [[r or w, name, value], ...].

    A read names the registers that it looked at; one that was never written holds null, or what `initial` says. A map
    of names to values serves as well as a list of pairs, there and in reads and writes.
    """
    pairs = [*initial.items()] if isinstance(initial, Mapping) else [] if initial is None else initial
    found = frozen_initial("multi-register", pairs)
    if not are_pairs(found):
        raise ModelError(f"model multi-register: the initial value is a map of names to values, not {initial!r}")
    start = frozenset(_pairs(found))
    return Model(
        "multi-register",
        start,
        _step,
        frozenset({"read", "write", "txn"}),
        frozenset({"read"}),
        possible=_written_before(start),
        aspects=_of_registers(start),
        anomaly=stale_cells(_told, dict(start).get, frozenset({"write", "txn"}), aspects=True),
    )


def are_pairs(value: object) -> TypeGuard[tuple[tuple[State, State], ...] | Map]:
    """Whether the value is a map, or a list of pairs."""
    if isinstance(value, Map):
        return True
    return isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)


def is_transaction(value: object) -> TypeGuard[tuple[tuple[State, ...], ...]]:
    """Whether the value is a list of reads and writes."""
    return isinstance(value, tuple) and all(_is_step(step) for step in value)


def _is_step(step: object) -> bool:
    if not isinstance(step, tuple) or len(step) not in (2, 3):
        return False
    spelled = _spelled(step[0])
    return spelled in READS or (spelled in WRITES and len(step) == 3)


def _spelled(name: object) -> str:
    return str(name).removeprefix(":")


def _pairs(value: tuple[tuple[State, State], ...] | Map) -> Sequence[tuple[State, State]]:
    return [*value.items()] if isinstance(value, Map) else value


def without_null(step: object) -> object:
    """The step of a transaction without the null that it read, so that it says nothing of what it read."""
    if isinstance(step, list) and len(step) == 3 and step[2] is None and _spelled(step[0]) in READS:
        return step[:2]
    return step


def steps(operation: Operation) -> list[Step]:
    """What the operation did, as far as it is known. Raises ModelError for a value of another shape."""
    if operation.f == "txn":
        return _steps_of_transaction(operation)
    writes = operation.f == "write"
    if not writes and operation.status != "ok":
        return []
    value = operation.value if writes else operation.result
    if not are_pairs(value):
        raise ModelError(f"it takes [[name, value], ...], not {value!r}")
    return [Step(writes, name, held) for name, held in _pairs(value)]


def _steps_of_transaction(operation: Operation) -> list[Step]:
    told = operation.status == "ok" and operation.result is not None
    called = _parsed(operation.value, told=False)
    if not told:
        return called
    found = _parsed(operation.result, told=True)
    asked, done = ([(one.name, one.value) for one in some if one.writes] for some in (called, found))
    if asked != done:
        raise ModelError(f"it was called to write {asked!r}, but its result says {done!r}; they must be the same")
    return found


def _parsed(value: object, told: bool) -> list[Step]:
    if not is_transaction(value):
        raise ModelError(f"a txn is [[r, name, value], [w, name, value], ...], not {value!r}")
    return [
        Step(writes, step[1], step[2] if writes or (told and len(step) == 3) else UNSET)
        for step in value
        for writes in [_spelled(step[0]) in WRITES]
    ]


def _step(state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, frozenset)
    found = dict(state)
    for writes, name, value in steps(operation):
        if writes:
            found[name] = value
        elif value is not UNSET and found.get(name) != value:
            return ILLEGAL
    return frozenset(found.items())


def registers(operations: Iterable[Operation]) -> set[State]:
    """The names of all registers that the operations are on."""
    return {step.name for operation in operations for step in _known(operation)}


def _written_before(initial: frozenset[tuple[State, State]]) -> Callable[[Iterable[Operation]], Possible]:
    """The value that was read of each register was written there by somebody, or was there at first."""

    def possible(operations: Iterable[Operation]) -> Possible:
        first = dict(initial)
        written = {(one.name, one.value) for operation in operations for one in _known(operation) if one.writes}

        def fits(operation: Operation) -> bool:
            for name, (found, _) in _views(operation).items():
                if found is CONTRADICTION or not (
                    found is UNSET or (name, found) in written or first.get(name) == found
                ):
                    return False
            return True

        return fits

    return possible


def _of_registers(initial: frozenset[tuple[State, State]]) -> Aspects:
    """One of the registers, as a cas register: an order of all operations is an order for each."""
    first = dict(initial)

    def seen(name: Hashable, operation: Operation) -> Operation | None:
        view = _views(operation).get(name)
        if view is None:
            return None
        found, left = view
        if left is UNSET:
            return replace(operation, f="read", value=None, result=found)
        if found is UNSET:
            return replace(operation, f="write", value=left, result=left)
        return replace(operation, f="cas", value=(found, left), result=(found, left))

    return Aspects(names=_views, model=lambda name: cas_register(first.get(name)), seen=seen)


def _views(operation: Operation) -> dict[State, tuple[State | UnsetType, State | UnsetType]]:
    """By register, the value that the operation found there and the one that it left, UNSET where it did not say."""
    views: dict[State, tuple[State | UnsetType, State | UnsetType]] = {}
    for writes, name, value in _known(operation):
        found, left = views.get(name, (UNSET, UNSET))
        if writes:
            views[name] = found, value
        elif value is not UNSET and left is UNSET:
            views[name] = value if found in (UNSET, value) else CONTRADICTION, left
        elif value not in (UNSET, left):
            views[name] = CONTRADICTION, left
    return views


def _told(operation: Operation) -> tuple[list[Update], list[Sight]]:
    """What the operation left in each register, and what it saw in each if it returned."""
    if operation.status == "fail":
        return [], []
    views = _views(operation)
    updates = [Update(name, left, operation) for name, (_, left) in views.items() if not isinstance(left, UnsetType)]
    if not operation.returned:
        return updates, []
    sights = [
        Sight(name, found, operation)
        for name, (found, _) in views.items()
        if not isinstance(found, UnsetType | Contradiction)
    ]
    return updates, sights


def _known(operation: Operation) -> list[Step]:
    """The steps; none of a value that the model refuses."""
    try:
        return steps(operation)
    except ModelError:
        return []
