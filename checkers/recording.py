"""Events as columns, from the reader onwards: what is read of a history takes some 30 bytes an event.

Lives here: taking events in batches, their order, and pairing them, which is the validation. An operation is the number
of its invocation and that of its completion; `checkers.recorded` makes an `Operation` of them where one is asked for.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import islice
from math import isfinite
from operator import lt
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from msgspec import UNSET, UnsetType

from checkers.budget import Budget, Meter, SpentError
from checkers.history import MISSING, NEMESIS, Event, HistoryError, Key
from checkers.limits import DEFAULT, Limits
from checkers.value_table import UNSAID, ValueTable
from checkers.values import PLAIN, NotAValueError, freeze, told_apart

if TYPE_CHECKING:
    Integers = array[int]

TYPES: Final = {"invoke": 0, "ok": 1, "fail": 2, "info": 3}
INVOKE, OK, FAIL, INFO = range(4)
TYPE_BITS, TYPE = 2, 3
NO_VERSION: Final = -1 << 63
BATCH = 4096  # events taken at once
BYTES_OF_A_NAME = 160
LONGEST_SHOWN = 100  # characters of a value in a message
CLOCK_READ = (1 << 16) - 1  # events are paired before the clock is read again
NOTED_NS = 1_000_000  # a time that lies further back than this is worth a word
PROCESSES, INDEXES, WHOLE = frozenset({int, str}), frozenset({int, NoneType}), {int}
VERSIONS, ERRORS = frozenset({int, UnsetType}), frozenset({str, UnsetType})


class Numbers(dict[Any, int]):
    """Numbers for names, from 0, given when a name is first asked for."""

    def __missing__(self, name: object) -> int:
        self[name] = number = len(self)
        return number


class Pairs(NamedTuple):
    """Operations in order of their calls: their invocations, their completions (-1: none), and `Columns.events`."""

    calls: "Integers"
    ends: "Integers"
    events: "Integers"


class Recording:
    """The events of one history. `add` them, then `pair` them; each raises HistoryError for the first mistake it meets.

    Both count against the meter, and raise SpentError once its budget is spent.
    """

    def __init__(self, source: str, meter: Meter | None = None, limits: Limits = DEFAULT) -> None:
        self.source = source
        self.line, self.code, self.process = array("Q"), array("i"), array("i")
        self.time, self.value = array("q"), array("q")
        self.key: Integers | None = None
        self.index: Integers | None = None  # None as long as it is the line's, counted from 0
        self.version: Integers | None = None
        self.error: Integers | None = None
        self.actual: Integers | None = None
        self.table = ValueTable(limits)
        self.names, self.processes, self.keys, self.errors = Numbers(), Numbers(), Numbers(), Numbers({UNSET: 0})
        self.key_values: list[Key] = []
        self._meter = meter or Meter(Budget())
        self._size = 0
        self._all_indexed = self._ascending = True
        self._newest_index = MISSING

    def __len__(self) -> int:
        return len(self.code)

    def extend(self, events: Iterable[tuple[int, Event]]) -> None:
        """Adds (line, event) pairs."""
        pairs = iter(events)
        while batch := list(islice(pairs, BATCH)):
            self.add([line for line, _ in batch], [event for _, event in batch])

    def add(self, lines: Sequence[int], events: Sequence[Event]) -> None:
        """Adds events and the lines that they are on."""
        before = len(self.code)
        processes, types, names = [e.process for e in events], [e.type for e in events], [e.f for e in events]
        if not (PROCESSES.issuperset(map(type, processes)) and set(map(type, names)) <= {str} and all(names)):
            self._refuse(lines, events)
        if not set(types) <= TYPES.keys():
            self._refuse(lines, events)
        number, kind = self.names, TYPES
        self.code.extend([number[f] << TYPE_BITS | kind[type_] for f, type_ in zip(names, types, strict=True)])
        self.process.extend([self.processes[process] for process in processes])
        self.line.extend(lines)
        self._add_values(lines, events, types, processes)
        self._add_keys(lines, events, before)
        self._add_indexes(lines, events, before)
        self._add_times(lines, events)
        self._add_replies(lines, events, before)
        self._account(lines)

    def _refuse(self, lines: Sequence[int], events: Sequence[Event]) -> NoReturn:
        """Raises for the first event with a field of the wrong kind."""
        for line, event in zip(lines, events, strict=True):
            where, found = f"{self.source}:{line}:", type(event.process)
            if found not in PROCESSES:
                raise HistoryError(f"{where} process {event.process!r}; a process is a whole number or a text")
            if type(event.f) is not str or not event.f:
                raise HistoryError(f"{where} f {event.f!r}; f is the name of an operation")
            if type(event.type) is not str or event.type not in TYPES:
                raise HistoryError(f"{where} type {event.type!r}; it is one of {', '.join(TYPES)}")
            if type(event.index) not in INDEXES:
                raise HistoryError(f"{where} index {event.index!r}; an index is a whole number")
            if _stamp(event.time) is None:
                raise HistoryError(f"{where} time {event.time!r}; a time is a number of nanoseconds, or left out")
            if type(event.version) not in VERSIONS:
                raise HistoryError(f"{where} version {event.version!r}; a version is a whole number")
            if type(event.error) not in ERRORS:
                raise HistoryError(f"{where} error {event.error!r}; an error is a text")
        raise AssertionError("one of them is refused")

    def _add_values(
        self, lines: Sequence[int], events: Sequence[Event], types: Sequence[str], processes: Sequence[object]
    ) -> None:
        values = [event.value for event in events]
        if NEMESIS in self.processes or "info" in types:  # theirs are never looked at, and may be anything
            told = zip(values, types, processes, strict=True)
            values = [None if type_ == "info" or process == NEMESIS else value for value, type_, process in told]
        self.value.extend(self._codes("value", lines, values))

    def _codes(self, name: str, lines: Sequence[int], values: Sequence[object]) -> Sequence[int]:
        try:
            return self.table.codes(values)
        except NotAValueError:
            for line, value in zip(lines, values, strict=True):
                try:
                    self.table.code(value)
                except NotAValueError as error:
                    raise HistoryError(f"{self.source}:{line}: {name} {_shown(value)} {error}") from None
            raise

    def _add_keys(self, lines: Sequence[int], events: Sequence[Event], before: int) -> None:
        keys = [event.key for event in events]
        if self.key is None:
            if not any(key is not None for key in keys):
                return
            self._key_number(None, 0)
            self.key = array("i", [0]) * before
        numbers = self.keys
        if PLAIN.issuperset(map(type, keys)):
            for key in dict.fromkeys(keys):
                if key not in numbers:
                    self._key_number(key, lines[0])
            self.key.extend([numbers[key] for key in keys])
        else:
            self.key.extend([self._key_number(key, line) for key, line in zip(keys, lines, strict=True)])

    def _key_number(self, key: Key, line: int) -> int:
        try:
            frozen: Any = key if type(key) in PLAIN else freeze(key)
        except NotAValueError as error:
            raise HistoryError(f"{self.source}:{line}: key {_shown(key)} {error}") from None
        number = self.keys[told_apart(frozen)]
        if number == len(self.key_values):
            self.key_values.append(frozen)
        return number

    def _add_indexes(self, lines: Sequence[int], events: Sequence[Event], before: int) -> None:
        indexes = [event.index for event in events]
        if not set(map(type, indexes)) <= WHOLE:
            if not INDEXES.issuperset(map(type, indexes)):
                self._refuse(lines, events)
            indexes = [MISSING if index is None else index for index in indexes]
        if self.index is None:
            if indexes == [line - 1 for line in lines]:
                self._note_order(indexes)
                return
            self.index = array("q", [line - 1 for line in self.line[:before]])
        self._note_order(indexes)
        try:
            self.index.extend(indexes)
        except OverflowError:
            line, index = next((line, i) for line, i in zip(lines, indexes, strict=True) if abs(i) >> 63)
            raise HistoryError(f"{self.source}:{line}: index {index} is out of range") from None

    def _note_order(self, indexes: Sequence[int]) -> None:
        if self._all_indexed and min(indexes, default=0) < 0:
            self._all_indexed = False
        if self._all_indexed and self._ascending and indexes:
            self._ascending = self._newest_index < indexes[0] and all(map(lt, indexes, islice(indexes, 1, None)))
            self._newest_index = indexes[-1]

    def _add_times(self, lines: Sequence[int], events: Sequence[Event]) -> None:
        times = [event.time for event in events]
        if set(map(type, times)) <= WHOLE:
            try:
                self.time.extend(array("q", times))
                return
            except OverflowError:
                pass  # one is no time that there can be: each is looked at below
        stamps = [*map(_stamp, times)]
        if None in stamps:
            self._refuse(lines, events)
        self.time.extend(stamps)  # type: ignore[arg-type]

    def _add_replies(self, lines: Sequence[int], events: Sequence[Event], before: int) -> None:
        """Adds the fields that only some replies have."""
        versions, errors = [event.version for event in events], [event.error for event in events]
        actuals = [event.actual for event in events]
        if not (VERSIONS.issuperset(map(type, versions)) and ERRORS.issuperset(map(type, errors))):
            self._refuse(lines, events)
        count = len(versions)
        if self.version is not None or versions.count(UNSET) < count:
            told = [NO_VERSION if version is UNSET else version for version in versions]
            self.version = self._spread(self.version, "q", NO_VERSION, before)
            try:
                self.version.extend(told)
            except OverflowError:
                line, version = next(
                    (line, v) for line, v in zip(lines, told, strict=True) if v != NO_VERSION and abs(v) >> 63
                )
                raise HistoryError(f"{self.source}:{line}: version {version} is out of range") from None
        if self.error is not None or errors.count(UNSET) < count:
            self.error = self._spread(self.error, "i", 0, before)
            self.error.extend([self.errors[error] for error in errors])
        if self.actual is not None or actuals.count(UNSET) < count:
            self.actual = self._spread(self.actual, "q", UNSAID, before)
            self.actual.extend(self._codes("actual", lines, actuals))

    @staticmethod
    def _spread(column: "Integers | None", kind: str, missing: int, before: int) -> "Integers":
        return array(kind, [missing]) * before if column is None else column

    def _columns(self) -> "dict[str, Integers]":
        names = ("line", "code", "process", "time", "value", "key", "index", "version", "error", "actual")
        return {name: column for name in names if (column := getattr(self, name)) is not None}

    def _account(self, lines: Sequence[int]) -> None:
        """Counts what is held; raises SpentError where the budget does not last."""
        held = sum(column.itemsize * len(column) for column in self._columns().values()) + self.table.size
        held += BYTES_OF_A_NAME * (len(self.names) + len(self.processes) + len(self.keys) + len(self.errors))
        grown, self._size = held - self._size, held
        if not (self._meter.spend(0, grown) and self._meter.read_clock()):
            last = lines[-1] if lines else 0
            raise SpentError(f"{self._meter.exhausted} while {self.source} was read, after line {last:,}")

    def pair(self) -> Pairs:
        """The operations that the events make, once they are in order."""
        if self._all_indexed and not self._ascending:
            self._sort_by_index()
        return self._paired()

    def _sort_by_index(self) -> None:
        assert self.index is not None, "those of lines ascend"
        index = self.index
        order = array("q", sorted(range(len(self)), key=index.__getitem__))
        for place in range(1, len(order)):
            first, second = order[place - 1], order[place]
            if index[first] == index[second]:
                lines = f"{self.source}:{self.line[second]}: index {index[second]} is also that of line"
                raise HistoryError(f"{lines} {self.line[first]}; every event has an index of its own")
        for name, column in self._columns().items():
            setattr(self, name, array(column.typecode, [column[place] for place in order]))

    def _paired(self) -> Pairs:
        calls, ends, events = array("i"), array("i"), array("q")
        nemesis = self.processes.get(NEMESIS, MISSING)
        open_of = [MISSING] * len(self.processes)
        called, ended, order = calls.append, ends.append, events.append
        code, key, count = self.code, self.key, 0
        for number, (process, what) in enumerate(zip(self.process, code, strict=True)):
            if not number & CLOCK_READ:
                self._look_at_clock(number)
            if process == nemesis:
                continue
            operation = open_of[process]
            if not what & TYPE:
                if operation >= 0:
                    self._still_open(number, calls[operation])
                open_of[process] = count
                called(number)
                ended(MISSING)
                order(count)
                count += 1
                continue
            if operation < 0 or code[calls[operation]] >> TYPE_BITS != what >> TYPE_BITS:
                self._unmatched(number, operation, calls)
            if key is not None and key[number] != key[calls[operation]]:
                self._unmatched(number, operation, calls)
            open_of[process] = MISSING
            ends[operation] = number
            if what & TYPE != INFO:
                order(~operation)
        return Pairs(calls, ends, events)

    def _look_at_clock(self, number: int) -> None:
        if not self._meter.read_clock():
            raise SpentError(f"{self._meter.exhausted} after {number:,} of {len(self):,} events were paired")

    def _still_open(self, number: int, opened: int) -> NoReturn:
        line, process = self.line[number], self.process_of(number)
        raise HistoryError(
            f"{self.source}:{line}: process {process} invokes {self.f_of(number)} while its {self.f_of(opened)} of "
            f"line {self.line[opened]} is still open; a process has one operation at a time, and a new number after an "
            "info"
        )

    def _unmatched(self, number: int, operation: int, calls: "Integers") -> NoReturn:
        """Raises for a completion that completes nothing, or something else."""
        kind = [*TYPES][self.code[number] & TYPE]
        where = f"{self.source}:{self.line[number]}: process {self.process_of(number)} completes"
        where += f" {self.f_of(number)} ({kind})"
        if operation < 0:
            raise HistoryError(f"{where} but has no open invocation; every completion follows its invoke")
        opened = calls[operation]
        line = self.line[opened]
        if self.f_of(number) != self.f_of(opened):
            raise HistoryError(f"{where} but line {line} invoked {self.f_of(opened)}; a completion repeats f")
        keys = f"on key {self.key_of(number)!r} but line {line} invoked it on {self.key_of(opened)!r}"
        raise HistoryError(f"{where} {keys}; a completion repeats key")

    def f_of(self, number: int) -> str:
        """The name of the operation that an event is of."""
        name: str = [*self.names][self.code[number] >> TYPE_BITS]
        return name

    def process_of(self, number: int) -> int | str:
        """The process of an event."""
        process: int | str = [*self.processes][self.process[number]]
        return process

    def key_of(self, number: int) -> Key:
        """The key of an event."""
        return None if self.key is None else self.key_values[self.key[number]]

    def disorder(self) -> str:
        """What to say of times that run backwards, in the order of the events; nothing where that is worth no word."""
        latest, worst, count = -1 << 63, 0, 0
        for time in self.time:
            if time == MISSING:
                continue
            if time >= latest:
                latest = time
            elif latest - time > NOTED_NS:
                count += 1
                worst = max(worst, latest - time)
        if not count:
            return ""
        are = "1 event is" if count == 1 else f"{count} events are"
        return (
            f"{are} stamped more than 1 ms before an earlier one, up to {worst / 1e6:.1f} ms; "
            "the order of events is taken from the file, not from their times"
        )


def _stamp(time: object) -> int | None:
    """A time in whole nanoseconds, MISSING where there is none or it is not finite; None for what is no number."""
    if time is None:
        return MISSING
    if not isinstance(time, int | float) or type(time) is bool:
        return None
    return int(time) if isfinite(time) and abs(time) < 1 << 62 else MISSING


def _shown(value: object) -> str:
    """The value in a message, cut short."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
