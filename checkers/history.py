"""What clients saw: events as they were recorded, and the operations they pair up to.

Lives here: the event (one line of history.jsonl), the operation (an invocation with its completion), and the pairing,
which is the validation: a `History` that exists is well formed. Nothing here knows a file format or a model.

Time. An operation's interval is closed: two operations that touch at one instant are concurrent. So at equal stamps
invocations are ranked before completions, and from there on only the ranks, which are all different, are compared:
`a` precedes `b` if and only if `a.return_rank < b.call_rank`.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET, UnsetType

from checkers.texts import Texts
from checkers.values import PLAIN, NotAValueError, freeze, told_apart
from checkers.wording import argument, outcome

NEMESIS: Final = "nemesis"
NEVER = 1 << 62
"""The return rank of an operation that was never seen to return: later than every rank."""

Key = str | int | None
Process = int | str
_call_rank = attrgetter("call_rank")
EventType = Literal["invoke", "ok", "fail", "info"]
Status = Literal["ok", "fail", "info"]
STATUSES: tuple[Status, ...] = get_args(Status)


class HistoryError(ValueError):
    """A history that cannot be judged. The message is one line: where, what is wrong, what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # names in a history may have line ends


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a history. `time` is in nanoseconds since the start; unset fields are not written.

    The `value` of an "ok" is what came back, or the argument once more if nothing did.
    """

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


class Operation(msgspec.Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """An invocation and what became of it.

    `value` is the argument, `result` what came back. `status` says how it ended: "ok"; "fail", it certainly did not
    happen (though it may have seen something: `actual`); "info", unknown. Times may be in any unit; `return_time` is
    None if it never returned; an "ok" without one is "info". `echoed`: the result only repeats the argument, in a form
    of history where a reply that says nothing does so too. The ranks order all calls and returns of one history;
    `line` and the indexes say where it was written down.
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
    echoed: bool = False
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
        """As people write it, with the moment of its call: `3: cas [1, 2] -> mismatch, saw 4`."""
        return f"{self.process}: {self.f}{argument(self.key, self.value)}{outcome(self)}"


class History:
    """A well-formed history: its operations in order of their calls, with distinct ranks.

    Build it with `History.of_events` or `History.of_operations`; both raise HistoryError. Nemesis events are dropped.
    """

    def __init__(self, operations: Sequence[Operation], source: str, columns: "Columns | None" = None) -> None:
        self.operations = operations
        self.source = source
        self.columns = Columns.of(operations, _events_by_rank(operations)) if columns is None else columns

    @classmethod
    def of_events(cls, events: Iterable[Event], source: str = "history") -> "History":
        """The history that these events, in order of time, make. Event i counts as line i of `source`."""
        return cls.of_numbered_events(zip(count(1), events), source)

    @classmethod
    def of_numbered_events(cls, events: Iterable[tuple[int, Event]], source: str) -> "History":
        """The same from (line, event) pairs, as a reader of a format has them. O(n log n)."""
        return cls._of_unranked(list(_pair(events, source)), source)

    @classmethod
    def of_operations(cls, operations: Iterable[Operation], source: str = "history") -> "History":
        """The history of operations with call and return times; ranks that they carry are ignored. O(n log n)."""
        return cls._of_unranked([_checked(one, source, number) for number, one in enumerate(operations)], source)

    @classmethod
    def _of_unranked(cls, operations: list[Operation], source: str) -> "History":
        ranked, events = _rank(operations)
        return cls(ranked, source, Columns.of(ranked, events))

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def part(self, places: Sequence[int]) -> "History":
        """The history of only the operations at these places, which ascend."""
        return History([self.operations[place] for place in places], self.source, self.columns.part(places))

    def by_key(self) -> Iterator["History"]:
        """One sub-history a key, the smallest first, each made when it is asked for. O(n) in all."""
        columns = self.columns
        if len(columns.keys) <= 1:
            yield self
            return
        places: list[list[int]] = [[] for _ in columns.keys]
        events: list[list[int]] = [[] for _ in columns.keys]
        new: list[int] = []
        for place, key in enumerate(columns.key):
            new.append(len(places[key]))
            places[key].append(place)
        key_of = columns.key
        for code in columns.events:
            if code >= 0:
                events[key_of[code]].append(new[code])
            else:
                events[key_of[~code]].append(~new[~code])
        for mine, theirs in sorted(zip(places, events, strict=True), key=lambda share: len(share[0])):
            operations = [self.operations[place] for place in mine]
            yield History(operations, self.source, columns.at(mine, array("q", theirs)))

    def prefix(self, last: int) -> "History":
        """What was known when the operation at place `last` returned: of what was open then, nothing."""
        cut = self.operations[last].return_rank
        begun = bisect_left(self.operations, cut, key=_call_rank)
        operations = list(self.operations[:begun])
        for place, one in enumerate(operations):
            if one.return_rank > cut:
                operations[place] = _unfinished(one)
        return History(operations, self.source, self.columns.prefix(operations, ~last))

    def where(self, operation: Operation) -> str:
        """Where an operation was written down, for messages: `history.jsonl:12`."""
        if operation.line:
            return f"{self.source}:{operation.line}"
        return f"{self.source}: operation {operation.call_index}"


class Columns(NamedTuple):
    """Operations as integers, by their places in order of calls.

    `kinds` has one operation of each kind, `names` what makes it that kind; `kind` says which of them each operation
    is like, `key` which of the `keys` it is on. `events` are the calls and returns in order of rank: n where operation
    n is called, ~n where it returns. `texts` are those of the kinds, None if there is none.
    """

    names: list[object]
    kinds: list[Operation]
    kind: "array[int]"
    keys: list[Key]
    key: "array[int]"
    events: "array[int]"
    texts: Texts | None

    @classmethod
    def of(cls, operations: Iterable[Operation], events: "array[int]") -> "Columns":
        """The columns of operations that are in order of their calls, given the events. O(n)."""
        numbers: dict[object, int] = {}
        keys: dict[Key, int] = {}
        kinds: list[Operation] = []
        kind, key = array("q"), array("q")
        for operation in operations:
            number = numbers.setdefault(kind_key(operation), len(kinds))
            if number == len(kinds):
                kinds.append(operation)
            kind.append(number)
            key.append(keys.setdefault(operation.key, len(keys)))
        return cls(list(numbers), kinds, kind, list(keys), key, events, Texts.of(kinds))

    def part(self, places: Sequence[int]) -> "Columns":
        """The columns of only the operations at these places. O(n)."""
        new = {place: number for number, place in enumerate(places)}
        events = array("q")
        for code in self.events:
            if code >= 0:
                if code in new:
                    events.append(new[code])
            elif ~code in new:
                events.append(~new[~code])
        return self.at(places, events)

    def at(self, places: Sequence[int], events: "array[int]") -> "Columns":
        """The columns of the operations at these places, given their events, with no kinds or keys but theirs."""
        kind, key = [self.kind[place] for place in places], [self.key[place] for place in places]
        kinds = {number: place for place, number in enumerate(dict.fromkeys(kind))}
        keys = {number: place for place, number in enumerate(dict.fromkeys(key))}
        return Columns(
            names=[self.names[number] for number in kinds],
            kinds=[self.kinds[number] for number in kinds],
            kind=array("q", [kinds[number] for number in kind]),
            keys=[self.keys[number] for number in keys],
            key=array("q", [keys[number] for number in key]),
            events=events,
            texts=self.texts and self.texts.at(kinds),
        )

    def prefix(self, operations: Sequence[Operation], last: int) -> "Columns":
        """The columns of the first operations, as they stand here, and of the events up to `last`."""
        numbers = {name: number for number, name in enumerate(self.names)}
        kinds, kind, like = [*self.kinds], self.kind[: len(operations)], []
        for place, operation in enumerate(operations):
            if operation.return_rank == NEVER:
                kind[place] = numbers.setdefault(kind_key(operation), len(kinds))
                if kind[place] == len(kinds):
                    kinds.append(operation)
                    like.append(self.kind[place])
        events = self.events[: self.events.index(last) + 1]
        texts = self.texts and self.texts.with_unfinished(like, kinds[len(self.kinds) :])
        return Columns([*numbers], kinds, kind, self.keys, self.key[: len(operations)], events, texts)


def _unfinished(operation: Operation) -> Operation:
    """The operation as it was before it returned: it may take place or not."""
    one = operation
    return Operation(
        f=one.f, value=one.value, process=one.process, key=one.key, status="info", call_time=one.call_time,
        call_rank=one.call_rank, call_index=one.call_index, return_index=one.return_index, line=one.line,
    )  # fmt: skip


def _events_by_rank(operations: Sequence[Operation]) -> "array[int]":
    """The calls and returns of ranked operations in order. O(n log n)."""
    ranks = [(operation.call_rank, place) for place, operation in enumerate(operations)]
    ranks += [(one.return_rank, ~place) for place, one in enumerate(operations) if one.return_rank != NEVER]
    ranks.sort()
    return array("q", [code for _, code in ranks])


def kind_key(operation: Operation) -> object:
    """What makes two operations the same to a model; short for the common ones, since it is hashed often."""
    one = operation
    value = one.value if type(one.value) in PLAIN else told_apart(one.value)
    result = one.result if type(one.result) in PLAIN else told_apart(one.result)
    if one.status == "ok" and one.version is None and one.actual is UNSET:
        return (one.f, value, result, one.key, one.echoed)
    mismatch = one.error == "mismatch"
    return (one.f, value, result, one.key, one.echoed, one.status, one.version, told_apart(one.actual), mismatch)


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
    value = _frozen("value", call.value, source, opened.line)
    key = call.key if type(call.key) in PLAIN else _frozen("key", call.key, source, opened.line)
    if completion is None or completion.type == "info":
        error = completion.error if completion is not None and completion.error is not UNSET else None
        return_index = completion.index if completion is not None else -1
        return Operation(
            f=call.f, value=value, process=call.process, key=key, status="info", error=error,
            call_time=call.time, call_index=call.index, return_index=return_index, line=opened.line,
        )  # fmt: skip
    result = _frozen("value", completion.value, source, line)
    return Operation(
        f=call.f, value=value, result=result, process=call.process, key=key,
        status="ok" if completion.type == "ok" else "fail",
        version=None if completion.version is UNSET else completion.version,
        actual=_frozen("actual", completion.actual, source, line),
        error=None if completion.error is UNSET else completion.error,
        echoed=result is not None and result == value,
        call_time=call.time, return_time=completion.time,
        call_index=call.index, return_index=completion.index, line=opened.line,
    )  # fmt: skip


def _frozen(name: str, value: Any, source: str, line: int) -> Any:  # noqa: ANN401  (any value there is)
    if type(value) in PLAIN:
        return value
    try:
        return freeze(value)
    except NotAValueError as error:
        raise HistoryError(f"{source}:{line}: {name} {value!r} {error}") from None


def _checked(operation: Operation, source: str, number: int) -> Operation:
    """The operation with hashable values and its number as its index; raises where it makes no sense."""
    one, return_time = operation, operation.return_time
    found: dict[str, Any] = {}
    try:
        for name, value in (("value", one.value), ("result", one.result), ("actual", one.actual), ("key", one.key)):
            if type(value) not in PLAIN:
                found[name] = freeze(value)
    except NotAValueError as error:
        raise HistoryError(f"{source}: operation {number} ({one}): {name} {value!r} {error}") from None
    if one.status not in STATUSES:
        raise HistoryError(
            f"{source}: operation {number} ({one}) has status {one.status!r}; it is one of {', '.join(STATUSES)}"
        )
    if not (one.call_time if return_time is None else return_time) >= one.call_time:  # NaN is no time either
        called = f"before its call at {one.call_time}"
        raise HistoryError(f"{source}: operation {number} ({one}) returns at {return_time}, {called}")
    if one.status == "ok" and return_time is None:  # what it is said to have answered, nobody got
        found |= {"status": "info", "result": None, "version": None, "actual": UNSET}
    found["return_time"] = None if one.status == "info" else return_time
    return msgspec.structs.replace(operation, call_index=number, **found)


def _rank(operations: list[Operation]) -> "tuple[list[Operation], array[int]]":
    """The operations with distinct ranks, in order of their calls, and the events; at one instant calls come first."""
    moments = [(operation.call_time, 0, operation.call_index, number) for number, operation in enumerate(operations)]
    moments += [
        (operation.return_time, 1, operation.return_index, number)
        for number, operation in enumerate(operations)
        if operation.return_time is not None
    ]
    moments.sort()
    calls, returns, places = [0] * len(operations), [NEVER] * len(operations), [0] * len(operations)
    order: list[int] = []
    events = array("q")
    for rank, (_, returning, _, number) in enumerate(moments):
        if returning:
            returns[number] = rank
            events.append(~places[number])
        else:
            calls[number], places[number] = rank, len(order)
            events.append(len(order))
            order.append(number)
    replace: Callable[..., Operation] = msgspec.structs.replace
    return [replace(operations[one], call_rank=calls[one], return_rank=returns[one]) for one in order], events
