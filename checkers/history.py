"""What clients saw: events as they were recorded, and the operations they pair up to.

Lives here: the event (one line of history.jsonl), the operation (an invocation with its completion), and the pairing,
which is the validation: a `History` that exists is well formed. Nothing here knows a file format or a model.

Time. An operation's interval is closed: two operations that touch at one instant are concurrent. So at equal stamps
invocations are ranked before completions, and from there on only the ranks, which are all different, are compared:
`a` precedes `b` if and only if `a.return_rank < b.call_rank`.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

NEMESIS = "nemesis"
NEVER = 1 << 62
"""The return rank of an operation that was never seen to return: later than every rank."""

Key = str | int | None
Process = int | str
EventType = Literal["invoke", "ok", "fail", "info"]
Status = Literal["ok", "fail", "info"]


class HistoryError(ValueError):
    """A history that cannot be judged. The message is one line: where, what is wrong, what would be right."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a history. `time` is in nanoseconds since the start; unset fields are not written."""

    index: int
    time: int
    type: EventType
    process: Process
    f: str
    key: Key = None
    value: Any = None
    error: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    actual: Any = UNSET


class Operation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An invocation and what became of it.

    `value` is the argument, `result` what came back. `status` says how it ended: "ok"; "fail", it certainly did not
    happen (though it may have seen something: `actual`); "info", unknown. Times may be in any unit; `return_time` is
    None if it never returned. The ranks order all calls and returns of one history; `line` and the indexes say where
    it was written down.
    """

    f: str
    value: Any = None
    result: Any = None
    process: Process = 0
    key: Key = None
    status: Status = "ok"
    version: int | None = None
    actual: Any = UNSET
    error: str | None = None
    call_time: int
    return_time: int | None = None
    call_rank: int = -1
    return_rank: int = NEVER
    call_index: int = -1
    return_index: int = -1
    line: int = 0

    @property
    def returned(self) -> bool:
        """Whether it has to be placed: it was seen to return."""
        return self.return_rank != NEVER

    def __str__(self) -> str:
        """As people write it, with the moment of its call: `3: cas (1, 2) -> mismatch, saw 4`."""
        return f"{self.process}: {self.f}{_argument(self)}{_outcome(self)}"


class History:
    """A well-formed history: its operations in order of their calls, with distinct ranks.

    Build it with `History.of_events` or `History.of_operations`; both raise HistoryError. Nemesis events are dropped.
    """

    def __init__(self, operations: Sequence[Operation], source: str) -> None:
        self.operations = operations
        self.source = source

    @cached_property
    def columns(self) -> "Columns":
        """The history as integers, for the engines. O(n log n) once."""
        return Columns.of(self.operations)

    @classmethod
    def of_events(cls, events: Iterable[Event], source: str = "history") -> "History":
        """The history that these events, in order of time, make. Event i counts as line i of `source`."""
        return cls.of_numbered_events(zip(count(1), events), source)

    @classmethod
    def of_numbered_events(cls, events: Iterable[tuple[int, Event]], source: str) -> "History":
        """The same from (line, event) pairs, as a reader of a format has them. O(n log n)."""
        return cls(_rank(list(_pair(events, source))), source)

    @classmethod
    def of_operations(cls, operations: Iterable[Operation], source: str = "history") -> "History":
        """The history of operations with call and return times; ranks that they carry are ignored. O(n log n)."""
        return cls(_rank([_checked(operation, source, number) for number, operation in enumerate(operations)]), source)

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def by_key(self) -> dict[Key, "History"]:
        """One sub-history a key, in order of first use."""
        keys: dict[Key, list[Operation]] = {}
        for operation in self.operations:
            keys.setdefault(operation.key, []).append(operation)
        if len(keys) == 1:
            return dict.fromkeys(keys, self)
        return {key: History(operations, self.source) for key, operations in keys.items()}

    def where(self, operation: Operation) -> str:
        """Where an operation was written down, for messages: `history.jsonl:12`."""
        if operation.line:
            return f"{self.source}:{operation.line}"
        return f"{self.source}: operation {operation.call_index}"


class Columns:
    """Operations as integers: `kinds` has one of each kind, by its key, and `kind` the position of each operation's.

    `events` are the calls and returns in order of rank: n where operation n is called, ~n where it returns.
    """

    def __init__(self, kinds: dict[object, Operation], kind: "array[int]", events: "array[int]") -> None:
        self.kinds = kinds
        self.kind = kind
        self.events = events

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> "Columns":
        """The columns of operations that are in order of their calls."""
        numbers: dict[object, int] = {}
        kinds: dict[object, Operation] = {}
        kind = array("i")
        for operation in operations:
            key = kind_key(operation)
            number = numbers.setdefault(key, len(kinds))
            if number == len(kinds):
                kinds[key] = operation
            kind.append(number)
        ranks = [(operation.call_rank, number) for number, operation in enumerate(operations)]
        ranks += [(one.return_rank, ~number) for number, one in enumerate(operations) if one.return_rank != NEVER]
        ranks.sort()
        return cls(kinds, kind, array("i", [code for _, code in ranks]))


def kind_key(operation: Operation) -> object:
    """What makes two operations the same to a model."""
    return (
        operation.f,
        operation.value,
        operation.result,
        operation.status,
        operation.version,
        operation.actual,
        operation.error == "mismatch",
        operation.key,
    )


def freeze(value: object) -> object:
    """The value with lists as tuples, so that it can be a state; raises TypeError for what has no hash (a map).

    Booleans become `Boolean`, since Python says True == 1 and a register that held 1 must not be read as true.
    """
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value
    if kind is bool:
        return TRUE if value else FALSE
    if isinstance(value, list | tuple):
        return tuple([freeze(item) for item in value])
    hash(value)
    return value


class Boolean(msgspec.Struct, frozen=True):
    """A JSON boolean that equals no number."""

    value: bool

    def __repr__(self) -> str:
        return "true" if self.value else "false"


TRUE, FALSE = Boolean(True), Boolean(False)


class _Open(msgspec.Struct, gc=False):
    """An invocation that waits for its completion."""

    line: int
    event: Event


def _pair(events: Iterable[tuple[int, Event]], source: str) -> Iterator[Operation]:
    """Operations in order of completion, then those that never completed; the first mistake raises."""
    waiting: dict[Process, _Open] = {}
    time, index = -NEVER, -NEVER
    for line, event in events:
        if event.time < time:
            raise HistoryError(
                f"{source}:{line}: time runs backwards, from {time} to {event.time}; order events by time"
            )
        if event.index <= index:
            raise HistoryError(f"{source}:{line}: index {event.index} follows {index}; indexes must grow")
        time, index = event.time, event.index
        if event.process == NEMESIS:
            continue
        opened = waiting.pop(event.process, None)
        if event.type == "invoke":
            if opened is not None:
                raise HistoryError(_still_open(source, line, event, opened))
            waiting[event.process] = _Open(line, event)
        else:
            _match(source, line, event, opened)
            assert opened is not None
            yield _operation(source, opened, line, event)
    for opened in waiting.values():
        yield _operation(source, opened, opened.line, None)


def _still_open(source: str, line: int, event: Event, opened: _Open) -> str:
    return (
        f"{source}:{line}: process {event.process} invokes {event.f} while its {opened.event.f} of line {opened.line} "
        "is still open; a process has one operation at a time, and a new number after an info"
    )


def _match(source: str, line: int, event: Event, opened: _Open | None) -> None:
    """Raises unless `opened` is the invocation that `event` completes."""
    where = f"{source}:{line}: process {event.process} completes {event.f} ({event.type})"
    if opened is None:
        raise HistoryError(f"{where} but has no open invocation; every completion follows its invoke")
    if event.f != opened.event.f:
        raise HistoryError(f"{where} but line {opened.line} invoked {opened.event.f}; a completion repeats f")
    if event.key != opened.event.key:
        keys = f"on key {event.key!r} but line {opened.line} invoked it on {opened.event.key!r}"
        raise HistoryError(f"{where} {keys}; a completion repeats key")


def _operation(source: str, opened: _Open, line: int, completion: Event | None) -> Operation:
    """The operation of an invocation and its completion, or of one that never completed."""
    call = opened.event
    value = _frozen(call.value, source, opened.line)
    if completion is None or completion.type == "info":
        error = completion.error if completion is not None and completion.error is not UNSET else None
        return_index = completion.index if completion is not None else -1
        return Operation(
            f=call.f, value=value, process=call.process, key=call.key, status="info", error=error,
            call_time=call.time, call_index=call.index, return_index=return_index, line=opened.line,
        )  # fmt: skip
    return Operation(
        f=call.f, value=value, result=_frozen(completion.value, source, line), process=call.process, key=call.key,
        status="ok" if completion.type == "ok" else "fail",
        version=None if completion.version is UNSET else completion.version,
        actual=_frozen(completion.actual, source, line), error=None if completion.error is UNSET else completion.error,
        call_time=call.time, return_time=completion.time,
        call_index=call.index, return_index=completion.index, line=opened.line,
    )  # fmt: skip


def _frozen(value: object, source: str, line: int) -> object:
    try:
        return freeze(value)
    except TypeError:
        right = "use null, a number, a string or a list of them"
        raise HistoryError(f"{source}:{line}: value {value!r} cannot be hashed; {right}") from None


def _checked(operation: Operation, source: str, number: int) -> Operation:
    """The operation with hashable values and its number as its index; raises where its times make no sense."""
    where = f"{source}: operation {number} ({operation})"
    if operation.return_time is not None and operation.return_time < operation.call_time:
        raise HistoryError(f"{where} returns at {operation.return_time}, before its call at {operation.call_time}")
    try:
        value, result, actual = freeze(operation.value), freeze(operation.result), freeze(operation.actual)
    except TypeError:
        raise HistoryError(f"{where} has a value that cannot be hashed; use null, a number, text or a tuple") from None
    return_time = None if operation.status == "info" else operation.return_time
    return msgspec.structs.replace(
        operation, value=value, result=result, actual=actual, return_time=return_time, call_index=number
    )


def _rank(operations: list[Operation]) -> list[Operation]:
    """The operations with distinct ranks, in order of their calls; at one instant calls come before returns."""
    moments = [(operation.call_time, 0, operation.call_index, number) for number, operation in enumerate(operations)]
    moments += [
        (operation.return_time, 1, operation.return_index, number)
        for number, operation in enumerate(operations)
        if operation.return_time is not None
    ]
    moments.sort()
    calls, returns = [0] * len(operations), [NEVER] * len(operations)
    order: list[int] = []
    for rank, (_, returning, _, number) in enumerate(moments):
        if returning:
            returns[number] = rank
        else:
            calls[number] = rank
            order.append(number)
    replace: Callable[..., Operation] = msgspec.structs.replace
    return [replace(operations[number], call_rank=calls[number], return_rank=returns[number]) for number in order]


def _argument(operation: Operation) -> str:
    key = "" if operation.key is None else f" [{operation.key}]"
    return key if operation.value is None else f"{key} {operation.value!r}"


def _outcome(operation: Operation) -> str:
    if operation.status == "info":
        return " -> ?"
    version = "" if operation.version is None else f" @{operation.version}"
    if operation.status == "fail":
        saw = "" if operation.actual is UNSET else f", saw {operation.actual!r}{version}"
        return f" -> {operation.error or 'failed'}{saw}"
    silent = operation.result == operation.value or (operation.result is None and operation.value is not None)
    return f" -> {'ok' if silent else repr(operation.result)}{version}"
