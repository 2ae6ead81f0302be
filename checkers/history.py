"""What clients saw: events as they were recorded, and the operations they pair up to.

Lives here: the event (one line of history.jsonl), the operation (an invocation with its completion), and the pairing,
which is the validation: a `History` that exists is well formed. Nothing here knows a file format or a model.

Order. Only ranks, which are all different, are ever compared: `a` precedes `b` if and only if
`a.return_rank < b.call_rank`. Events are ranked as they were written down: by line, or by `index` if every event has
one. Their times decide nothing: workers often take the time before they append. Operations given as intervals are
ranked by time; an interval is closed, so that at equal times calls come before returns.
"""

from abc import abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET, UnsetType

from checkers.shown import one_line
from checkers.texts import Texts
from checkers.values import PLAIN, told_apart
from checkers.wording import argument, outcome

if TYPE_CHECKING:
    from checkers.recording import Recording

NEMESIS: Final = "nemesis"
MISSING: Final = -1  # an index or a time that an event does not have
MOST_MADE = 50_000  # operations, up to which a history that was read has all of them made
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

    An event without an index or a time has -1 there, as in Jepsen's histories; None counts as -1. The `value` of an
    "ok" is what came back, or the argument once more if nothing did.
    """

    index: int = MISSING
    time: int = MISSING
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
    happen (though it may have seen something: `actual`); "info", unknown. `returned` says whether it ended otherwise
    than unknown. Times may be in any unit; where operations are given as intervals, each has a `call_time`, and one
    without a `return_time` never returned: it is "info", whatever its status says, and has no result. Where events were
    written down without times, both are None. `echoed`: the result only repeats the argument, in a form of history
    where a reply that says nothing does so too. The ranks order all calls and returns of one history; the lines and
    indexes say where it was written down.
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
    call_time: float | None
    return_time: float | None = None
    call_rank: int = -1
    return_rank: int = NEVER
    call_index: int = -1
    return_index: int = -1
    line: int = 0
    return_line: int = 0

    @property
    def returned(self) -> bool:
        """Whether it has to be placed: it was seen to return."""
        return self.return_rank != NEVER

    def __str__(self) -> str:
        """As people write it, with the moment of its call: `3: cas [1, 2] -> mismatch, saw 4`."""
        return one_line(f"{self.process}: {self.f}{argument(self.f, self.key, self.value)}{outcome(self)}")


class History:
    """A well-formed history: its operations in order of their calls, with distinct ranks.

    Build it with `History.of_events` or `History.of_operations`; both raise HistoryError. Nemesis events are dropped.
    """

    def __init__(
        self, operations: Sequence[Operation], source: str, columns: "Columns | None" = None, note: str = ""
    ) -> None:
        self.operations = operations
        self.source = source
        self.columns = Columns.of(operations, _events_by_rank(operations)) if columns is None else columns
        self.note = note

    @classmethod
    def of_events(cls, events: Iterable[Event], source: str = "history") -> "History":
        """The history that these events make, in this order or, if each has one, in that of their indexes.

        Event i counts as line i of `source`.
        """
        return cls.of_numbered_events(zip(count(1), events), source)

    @classmethod
    def of_numbered_events(cls, events: Iterable[tuple[int, Event]], source: str) -> "History":
        """The same from (line, event) pairs, as a reader of a format has them. O(n)."""
        from checkers.recording import Recording

        recording = Recording(source)
        recording.extend(events)
        return cls.of_recording(recording)

    @classmethod
    def of_recording(cls, recording: "Recording") -> "History":
        """The history of events that have been read into columns."""
        from checkers.recorded import Recorded

        pairs = recording.pair()
        recorded = Recorded(recording, pairs.calls, pairs.ends)
        operations = recorded.few()
        columns = Columns(operations, *recorded.keyed(), pairs.events)
        return cls(operations, recording.source, columns, recording.disorder())

    @classmethod
    def of_operations(cls, operations: Iterable[Operation], source: str = "history") -> "History":
        """The history of operations with call and return times; ranks that they carry are ignored. O(n log n).

        Where times are missing, the operations must come from a history, whose order they then keep.
        """
        from checkers.intervals import checked, ranked

        operations = list(operations)
        if any(map(_lacks_a_time, operations)) and _are_ranked(operations):
            return cls(sorted(operations, key=_call_rank), source)
        found, events = ranked([checked(one, source, number) for number, one in enumerate(operations)])
        return cls(found, source, Columns.of(found, events))

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def at(self, places: Sequence[int]) -> Sequence[Operation]:
        """The operations at these places, in that order."""
        return self.operations if places == range(len(self)) else _taken(self.operations, places)

    def part(self, places: Sequence[int]) -> "History":
        """The history of only the operations at these places, which ascend."""
        operations = self.at(places)
        return History(operations, self.source, self.columns.part(operations, places))

    def by_key(self) -> Iterator["History"]:
        """One sub-history a key, the smallest first, each made when it is asked for. O(n) in all."""
        columns = self.columns
        if len(columns.keys) <= 1:
            yield self
            return
        places, events = [array("q") for _ in columns.keys], [array("q") for _ in columns.keys]
        new = array("q")
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
            operations = _taken(self.operations, mine)
            yield History(operations, self.source, columns.at(operations, mine, theirs))

    def prefix(self, last: int) -> "History":
        """What was known when the operation at place `last` returned: of what was open then, nothing."""
        cut = self.operations[last].return_rank
        begun = bisect_left(self.operations, cut, key=_call_rank)
        operations: Sequence[Operation]
        if isinstance(self.operations, Unmade):
            operations = self.operations.until(begun, cut).few()
        else:
            operations = [one if one.return_rank <= cut else _unfinished(one) for one in self.operations[:begun]]
        return History(operations, self.source, self.columns.prefix(operations, ~last))

    def where(self, operation: Operation) -> str:
        """Where an operation was written down, for messages: `history.jsonl:12`."""
        if operation.line:
            return f"{self.source}:{operation.line}"
        return f"{self.source}: operation {operation.call_index}"


class Unmade(Sequence[Operation]):
    """Operations that are made each time they are asked for, as a long history has them: see `checkers.recorded`."""

    @abstractmethod
    def at(self, places: Sequence[int]) -> "Unmade":
        """The operations at these places."""

    @abstractmethod
    def until(self, count: int, rank: int) -> "Unmade":
        """The first operations as they stood at that rank: those that returned later are unfinished."""

    @property
    @abstractmethod
    def examples(self) -> Sequence[Operation]:
        """One operation for all that differ in their values, process, key and moment only."""

    @abstractmethod
    def like(self, wanted: Callable[[Operation], bool]) -> Iterator[Operation]:
        """The operations whose example is wanted."""

    def few(self) -> Sequence[Operation]:
        """The same, made once and for all if they are few."""
        return list(self) if len(self) <= MOST_MADE else self


class Columns:
    """Operations as integers, by their places in order of calls.

    `kinds` has one operation of each kind, `names` what makes it that kind; `kind` says which of them each operation
    is like, `key` which of the `keys` it is on. `events` are the calls and returns in order of rank: n where operation
    n is called, ~n where it returns. `texts` are those of the kinds, None if there is none. Of a long history the kinds
    are found once somebody asks, since every operation may be of its own: `counted` says whether they have been.
    """

    names: list[object]
    kinds: list[Operation]
    kind: "array[int]"
    texts: Texts | None

    def __init__(
        self,
        operations: Sequence[Operation],
        keys: list[Key],
        key: "array[int]",
        events: "array[int]",
        kinds: "Kinds | None" = None,
    ) -> None:
        self.keys, self.key, self.events = keys, key, events
        self._operations = operations
        if kinds is None and not isinstance(operations, Unmade):
            kinds = Kinds.of(operations)
        if kinds is not None:
            self.names, self.kinds, self.kind, self.texts = kinds

    def __getattr__(self, name: str) -> object:
        """The kinds, where they have not been counted yet."""
        if name not in Kinds._fields:
            raise AttributeError(name)
        self.names, self.kinds, self.kind, self.texts = Kinds.of(self._operations)
        return self.__dict__[name]

    @property
    def counted(self) -> bool:
        """Whether the kinds are known."""
        return "kinds" in self.__dict__

    @property
    def examples(self) -> Sequence[Operation]:
        """One operation of each kind; where kinds have not been counted, one for all that have the same fields."""
        return self.kinds if self.counted or not isinstance(self._operations, Unmade) else self._operations.examples

    @classmethod
    def of(cls, operations: Sequence[Operation], events: "array[int]") -> "Columns":
        """The columns of operations that are in order of their calls, given the events. O(n)."""
        keys: dict[Key, int] = {}
        key = array("q", [keys.setdefault(operation.key, len(keys)) for operation in operations])
        return cls(operations, list(keys), key, events)

    def renamed(self) -> "Columns":
        """The same with names of its own: what a search remembers of the names of one does not help the other."""
        kinds = Kinds([*self.names], self.kinds, self.kind, self.texts)
        return Columns(self._operations, self.keys, self.key, self.events, kinds)

    def part(self, operations: Sequence[Operation], places: Sequence[int]) -> "Columns":
        """The columns of only these operations, which are at these places. O(n)."""
        new = array("q", [-1]) * len(self.key)
        for number, place in enumerate(places):
            new[place] = number
        events = array("q")
        for code in self.events:
            if code >= 0:
                if new[code] >= 0:
                    events.append(new[code])
            elif new[~code] >= 0:
                events.append(~new[~code])
        return self.at(operations, places, events)

    def at(self, operations: Sequence[Operation], places: Sequence[int], events: "array[int]") -> "Columns":
        """The columns of these operations, given their places and events, with no kinds or keys but theirs."""
        keys, key = _renumbered(self.key, places)
        kinds = self._kinds_at(places) if self.counted else None
        return Columns(operations, [self.keys[number] for number in keys], key, events, kinds)

    def _kinds_at(self, places: Sequence[int]) -> "Kinds":
        kinds, kind = _renumbered(self.kind, places)
        return Kinds(
            names=[self.names[number] for number in kinds],
            kinds=[self.kinds[number] for number in kinds],
            kind=kind,
            texts=self.texts and self.texts.at(kinds),
        )

    def prefix(self, operations: Sequence[Operation], last: int) -> "Columns":
        """The columns of the first operations, as they stand here, and of the events up to `last`."""
        events, key = self.events[: self.events.index(last) + 1], self.key[: len(operations)]
        kinds = self._kinds_of_prefix(operations) if self.counted else None
        return Columns(operations, self.keys, key, events, kinds)

    def _kinds_of_prefix(self, operations: Sequence[Operation]) -> "Kinds":
        numbers = {name: number for number, name in enumerate(self.names)}
        kinds, kind, like = [*self.kinds], self.kind[: len(operations)], []
        for place, operation in enumerate(operations):
            if operation.return_rank == NEVER:
                kind[place] = numbers.setdefault(kind_key(operation), len(kinds))
                if kind[place] == len(kinds):
                    kinds.append(operation)
                    like.append(self.kind[place])
        texts = self.texts and self.texts.with_unfinished(like, kinds[len(self.kinds) :])
        return Kinds([*numbers], kinds, kind, texts)


class Kinds(NamedTuple):
    """The kinds of operations, as `Columns` has them."""

    names: list[object]
    kinds: list[Operation]
    kind: "array[int]"
    texts: Texts | None

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> "Kinds":
        """Those of the operations. O(n)."""
        numbers: dict[object, int] = {}
        kinds: list[Operation] = []
        kind = array("q")
        for operation in operations:
            number = numbers.setdefault(kind_key(operation), len(kinds))
            if number == len(kinds):
                kinds.append(operation)
            kind.append(number)
        return cls(list(numbers), kinds, kind, Texts.of(kinds))


def _renumbered(column: "array[int]", places: Sequence[int]) -> "tuple[dict[int, int], array[int]]":
    """New numbers for those that the column has at these places, in order of appearance, and the column in them."""
    found = [column[place] for place in places]
    numbers = {number: new for new, number in enumerate(dict.fromkeys(found))}
    return numbers, array("q", [numbers[number] for number in found])


def _taken(operations: Sequence[Operation], places: Sequence[int]) -> Sequence[Operation]:
    """The operations at these places."""
    if isinstance(operations, Unmade):
        return operations.at(places).few()
    return [operations[place] for place in places]


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


def _lacks_a_time(operation: Operation) -> bool:
    return operation.call_time is None or (operation.returned and operation.return_time is None)


def _are_ranked(operations: Sequence[Operation]) -> bool:
    """Whether all have the ranks that a history gave them, and no two the same."""
    ranks = [rank for one in operations for rank in (one.call_rank, one.return_rank) if rank != NEVER]
    return len(set(ranks)) == len(ranks) and all(type(rank) is int and rank >= 0 for rank in ranks)


def kind_key(operation: Operation) -> object:
    """What makes two operations the same to a model; short for the common ones, since it is hashed often."""
    one = operation
    value = one.value if type(one.value) in PLAIN else told_apart(one.value)
    result = one.result if type(one.result) in PLAIN else told_apart(one.result)
    if one.status == "ok" and one.version is None and one.actual is UNSET:
        return (one.f, value, result, one.key, one.echoed)
    mismatch = one.error == "mismatch"
    return (one.f, value, result, one.key, one.echoed, one.status, one.version, told_apart(one.actual), mismatch)
