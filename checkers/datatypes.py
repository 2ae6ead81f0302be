"""More sequential specifications: key-value maps, sets, queues, stacks, counters, locks, several registers at once.

Lives here: one function a model, its step beside it. An operation that may have happened ("info") has no result to
agree with, so each step says what it would have done. An initial value of None is the empty one.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter

from checkers.history import Operation
from checkers.models import ILLEGAL, Illegal, Model, ModelError, State
from checkers.texts import UNSEEN


def kv(initial: State = None) -> Model:
    """Keys with text: `get`, `put`, `append`; each key starts as "", and is a copy of its own."""
    start = "" if initial is None else initial
    return Model(
        "kv",
        start,
        _kv_step,
        frozenset({"get", "put", "append"}),
        frozenset({"get"}),
        frozenset({"put"}),
        hindsight=_unseen_as_one,
        extends=frozenset({"append"}) if isinstance(start, str) else frozenset(),
    )


def kv_unsplit(initial: State = None) -> Model:
    """The same with all keys in one state, for those who want to see what the split by key saves."""
    return Model(
        "kv-unsplit",
        frozenset(),
        _kv_unsplit_step,
        frozenset({"get", "put", "append"}),
        frozenset({"get"}),
        per_key=False,
        hindsight=_unseen_by_key,
        part=attrgetter("key"),
    )


def _unseen_as_one(operations: Iterable[Operation]) -> Callable[[State], State]:
    """Merges all texts that begin no text that was got: whatever is appended to them, nobody sees it before a put."""
    seen = {one.result for one in operations if one.f == "get" and one.status == "ok"}
    got = sorted(text for text in seen if isinstance(text, str))

    @cache
    def merged(text: State) -> State:
        if not isinstance(text, str):
            return text
        place = bisect_left(got, text)
        return text if place < len(got) and got[place].startswith(text) else UNSEEN

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
    return f"{text}{operation.value}"


def _kv_unsplit_step(state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, frozenset)
    texts = dict(state)
    before = texts.get(operation.key, "")
    after = _kv_step(before, operation)
    if isinstance(after, Illegal) or after == before:
        return ILLEGAL if isinstance(after, Illegal) else state
    return frozenset({**texts, operation.key: after}.items())


def multi_register(initial: State = None) -> Model:
    """Several registers, read and written in one step: `read` of [[name, value], ...] and `write` of the same.

    A read names the registers that it looked at; one that was never written holds null.
    """
    return Model(
        "multi-register", initial or frozenset(), _multi_step, frozenset({"read", "write"}), frozenset({"read"})
    )


def _multi_step(state: State, operation: Operation) -> State | Illegal:
    assert isinstance(state, frozenset)
    registers = dict(state)
    pairs = operation.result if operation.f == "read" else operation.value
    if operation.f == "read" and operation.status != "ok":
        return state
    if not isinstance(pairs, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise ModelError(f"multi-register takes [[name, value], ...], not {pairs!r}")
    if operation.f == "write":
        return frozenset({**registers, **dict(pairs)}.items())
    return state if all(registers.get(name) == value for name, value in pairs) else ILLEGAL


def set_model(initial: State = None) -> Model:
    """A set: `add`, `remove` an element, `read` of all elements as a list in any order."""
    names = frozenset({"add", "remove", "read"})
    return Model("set", frozenset(_items(initial)), _set_step, names, frozenset({"read"}))


def _set_step(elements: State, operation: Operation) -> State | Illegal:
    assert isinstance(elements, frozenset)
    if operation.f == "read":
        agrees = operation.status != "ok" or frozenset(_items(operation.result)) == elements
        return elements if agrees else ILLEGAL
    return elements | {operation.value} if operation.f == "add" else elements - {operation.value}


def queue(initial: State = None) -> Model:
    """A first-in first-out queue: `enqueue` a value, `dequeue` whose result is the oldest, null if it was empty."""
    return Model("queue", _items(initial), _queue_step, frozenset({"enqueue", "dequeue"}))


def _queue_step(values: State, operation: Operation) -> State | Illegal:
    assert isinstance(values, tuple)
    if operation.f == "enqueue":
        return (*values, operation.value)
    return _taken(operation, values[0] if values else None, values[1:], values)


def stack(initial: State = None) -> Model:
    """A last-in first-out stack: `push` a value, `pop` whose result is the newest, null if it was empty."""
    return Model("stack", _items(initial), _stack_step, frozenset({"push", "pop"}))


def _stack_step(values: State, operation: Operation) -> State | Illegal:
    assert isinstance(values, tuple)
    if operation.f == "push":
        return (*values, operation.value)
    return _taken(operation, values[-1] if values else None, values[:-1], values)


def _taken(operation: Operation, value: object, rest: tuple[object, ...], values: State) -> State | Illegal:
    """What is left after a value was taken, if that is the one that the operation got."""
    if operation.status == "ok" and operation.result != value:
        return ILLEGAL
    return rest if value is not None else values


def counter(initial: State = None) -> Model:
    """A counter: `add` a number (also negative), `read` its value; `add` may report the value after it."""
    return Model("counter", initial or 0, _counter_step, frozenset({"add", "read"}), frozenset({"read"}))


def _counter_step(total: State, operation: Operation) -> State | Illegal:
    assert isinstance(total, int)
    if operation.f == "read":
        return total if operation.status != "ok" or operation.result == total else ILLEGAL
    after: int = total + operation.value
    told = operation.status == "ok" and operation.result is not None and operation.result != operation.value
    return after if not told or operation.result == after else ILLEGAL


def mutex(initial: State = None) -> Model:
    """A lock: `acquire` only when free, `release` only when held."""
    return Model("mutex", bool(initial), _mutex_step, frozenset({"acquire", "release"}))


def _mutex_step(held: State, operation: Operation) -> State | Illegal:
    if operation.f == "acquire":
        return ILLEGAL if held else True
    return False if held else ILLEGAL


def _items(value: State) -> tuple[State, ...]:
    return tuple(value) if isinstance(value, tuple | frozenset) else () if value is None else (value,)


MODELS: dict[str, Callable[[State], Model]] = {
    "kv": kv,
    "kv-unsplit": kv_unsplit,
    "multi-register": multi_register,
    "set": set_model,
    "queue": queue,
    "stack": stack,
    "counter": counter,
    "mutex": mutex,
}
