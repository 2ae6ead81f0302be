"""More sequential specifications: key-value maps, sets, queues, stacks, counters, locks.

Lives here: one function a model, its step beside it. An operation that may have happened ("info") has no result to
agree with, so each step says what it would have done. An initial value of None is the empty one.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable
from functools import cache
from operator import attrgetter

from checkers.elements import lost_or_resurrected
from checkers.history import Operation
from checkers.model import ILLEGAL, Aspects, Illegal, Model, ModelError, State, frozen_initial
from checkers.parts import (
    elements,
    items,
    of_elements,
    put_before,
    queued,
    said_before,
)
from checkers.stale import Sight, Update, stale_cells
from checkers.sums import out_of_bounds
from checkers.takes import taken_wrongly
from checkers.texts import UNSEEN


def kv(initial: object = None) -> Model:
    """Keys with text: `get`, `put`, `append`; each key starts as "", and is a copy of its own."""
    start = _text_at_first("kv", initial)
    return Model(
        "kv",
        start,
        _kv_step,
        frozenset({"get", "put", "append"}),
        frozenset({"get"}),
        frozenset({"put"}),
        hindsight=_unseen_as_one,
        extends=frozenset({"append"}) if isinstance(start, str) else frozenset(),
        possible=said_before(start),
        anomaly=stale_cells(lambda one: _told(None, one), lambda _: start, frozenset({"put"})),
        loose=Model("loose-kv", (start, False), _loose_step, reads=frozenset({"get"})),
    )


def kv_unsplit(initial: object = None) -> Model:
    """The same with all keys in one state, for those who want to see what the split by key saves."""
    start = _text_at_first("kv-unsplit", initial)

    def step(state: State, operation: Operation) -> State | Illegal:
        return _kv_unsplit_step(start, state, operation)

    return Model(
        "kv-unsplit",
        frozenset(),
        step,
        frozenset({"get", "put", "append"}),
        frozenset({"get"}),
        per_key=False,
        hindsight=_unseen_by_key,
        part=attrgetter("key"),
        possible=said_before(start),
        aspects=Aspects(lambda one: (one.key,), lambda _: kv(start), lambda key, one: one if one.key == key else None),
        anomaly=stale_cells(lambda one: _told(one.key, one), lambda _: start, frozenset({"put"}), aspects=True),
    )


def _text_at_first(name: str, initial: object) -> State:
    return "" if initial is None else frozen_initial(name, initial)


def _unseen_as_one(operations: Iterable[Operation]) -> Callable[[State], State]:
    """Merges all texts that begin no text that was got: whatever is appended to them, nobody sees it before a put."""
    seen = {one.result for one in operations if one.f == "get" and one.status == "ok"}
    got = sorted(text for text in seen if isinstance(text, str))

    @cache
    def begins(text: str) -> bool:
        place = bisect_left(got, text)
        return place < len(got) and got[place].startswith(text)

    def merged(text: State) -> State:
        return UNSEEN if isinstance(text, str) and not begins(text) else text

    return merged


def _unseen_by_key(operations: Iterable[Operation]) -> Callable[[State], State]:
    """The same for a state of many keys."""
    by_key: dict[object, list[Operation]] = {}
    for operation in operations:
        by_key.setdefault(operation.key, []).append(operation)
    merge = {key: _unseen_as_one(found) for key, found in by_key.items()}

    def merged(state: State) -> State:
        assert isinstance(state, frozenset)
        return frozenset((key, merge[key](text)) for key, text in state)

    return merged


def _kv_step(text: State, operation: Operation) -> State | Illegal:
    if operation.f == "get":
        return text if operation.status != "ok" or operation.result == text else ILLEGAL
    if operation.f == "put":
        value: State = operation.value
        return value
    return UNSEEN if text is UNSEEN else f"{text}{operation.value}"


def _loose_step(last: State, operation: Operation) -> State | Illegal:
    """What is known of a text by its last update: all of it after a put, how it ends after an append."""
    assert isinstance(last, tuple)
    value, ends = last
    if operation.f == "get":
        text = operation.result
        agrees = text == value or (ends and isinstance(text, str) and text.endswith(value))
        return last if operation.status != "ok" or agrees else ILLEGAL
    return (str(operation.value), True) if operation.f == "append" else (operation.value, False)


def _told(cell: Hashable, operation: Operation) -> tuple[list[Update], list[Sight]]:
    """What an operation on a text left there, and what it saw if it returned."""
    one = operation
    if one.f == "get":
        return [], [Sight(cell, one.result, one)] if one.returned and one.status == "ok" else []
    return ([Update(cell, one.value, one, one.f == "append")] if one.status != "fail" else []), []


def _kv_unsplit_step(start: State, state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, frozenset)
    texts = dict(state)
    before = texts.get(operation.key, start)
    after = _kv_step(before, operation)
    if isinstance(after, Illegal) or after is before:
        return ILLEGAL if isinstance(after, Illegal) else state
    return frozenset({**texts, operation.key: after}.items())


def set_model(initial: object = None) -> Model:
    """A set: `add`, `remove` an element, `read` of all elements as a set, or as a list in any order."""
    names, start = frozenset({"add", "remove", "read"}), elements(frozen_initial("set", initial))
    return Model(
        "set",
        start,
        _set_step,
        names,
        frozenset({"read"}),
        possible=put_before(start),
        aspects=of_elements(start),
        anomaly=lost_or_resurrected(start),
    )


def _set_step(state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, frozenset)
    if operation.f == "read":
        agrees = operation.status != "ok" or elements(operation.result) == state
        return state if agrees else ILLEGAL
    return state | {operation.value} if operation.f == "add" else state - {operation.value}


def queue(initial: object = None) -> Model:
    """A first-in first-out queue: `enqueue` a value, `dequeue` whose result is the oldest, null if it was empty."""
    start, names = items(frozen_initial("queue", initial)), frozenset({"enqueue", "dequeue"})
    return Model(
        "queue",
        start,
        _queue_step,
        names,
        possible=put_before(start),
        touches=queued(start),
        anomaly=taken_wrongly(start, "enqueue", newest_first=False),
    )


def _queue_step(values: State, operation: Operation) -> State | Illegal:
    assert isinstance(values, tuple)
    if operation.f == "enqueue":
        return (*values, operation.value)
    return _taken(operation, values[:1], values[1:])


def stack(initial: object = None) -> Model:
    """A last-in first-out stack: `push` a value, `pop` whose result is the newest, null if it was empty."""
    start, names = items(frozen_initial("stack", initial)), frozenset({"push", "pop"})
    return Model(
        "stack",
        start,
        _stack_step,
        names,
        possible=put_before(start),
        touches=queued(start),
        anomaly=taken_wrongly(start, "push", newest_first=True),
    )


def _stack_step(values: State, operation: Operation) -> State | Illegal:
    assert isinstance(values, tuple)
    if operation.f == "push":
        return (*values, operation.value)
    return _taken(operation, values[-1:], values[:-1])


def _taken(operation: Operation, values: tuple[State, ...], rest: State) -> State | Illegal:
    """What is left after one value was taken, or none of none, if the operation got that.

    A null that it got says both, that there was nothing and that there was a null: it agrees with either.
    """
    got = values[0] if values else None
    return rest if operation.status != "ok" or operation.result == got else ILLEGAL


def counter(initial: object = None) -> Model:
    """A counter: `add` a number (also negative), `read` its value; `add` may report the value after it."""
    start = 0 if initial is None else frozen_initial("counter", initial)
    if type(start) is not int:
        raise ModelError(f"model counter: the initial value is a whole number, not {start!r}")
    names = frozenset({"add", "read"})
    return Model(
        "counter", start, _counter_step, names, frozenset({"read"}), commutes=_only_adds, anomaly=out_of_bounds(start)
    )


def _only_adds(operation: Operation) -> bool:
    """Whether it adds and does not tell the total."""
    one = operation
    return one.f == "add" and (one.status == "info" or one.result is None or one.echoed)


def _counter_step(total: State, operation: Operation) -> State | Illegal:
    assert isinstance(total, int)
    if operation.f == "read":
        return total if operation.status != "ok" or operation.result == total else ILLEGAL
    if type(operation.value) is not int:  # sums of fractions are rounded, so that they depend on the order
        raise ModelError(f"it adds whole numbers, not {operation.value!r}")
    after: int = total + operation.value
    told = operation.status == "ok" and operation.result is not None and not operation.echoed
    return after if not told or operation.result == after else ILLEGAL


def mutex(initial: object = None) -> Model:
    """A lock: `acquire` only when free, `release` only when held; free at first, unless `initial` is true."""
    return Model("mutex", bool(initial), _mutex_step, frozenset({"acquire", "release"}))


def _mutex_step(held: State, operation: Operation) -> State | Illegal:
    if operation.f == "acquire":
        return ILLEGAL if held else True
    return False if held else ILLEGAL
