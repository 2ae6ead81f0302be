"""The operations of a recording, each made when it is asked for.

Lives here: the sequence that a long history has for its `operations`, and what can be said of all of them without
making a single one.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

from msgspec import UNSET

from checkers.history import MISSING, NEVER, Key, Operation, Status, Unmade
from checkers.recording import FAIL, INFO, NO_VERSION, OK, TYPE, TYPE_BITS, Numbers, Recording
from checkers.value_table import UNSAID

if TYPE_CHECKING:
    Integers = array[int]

STATUS: dict[int, Status] = {OK: "ok", FAIL: "fail", INFO: "info"}


class Recorded(Unmade):
    """Operations in order of their calls. Two of them that are equal need not be one object.

    `calls` and `ends` are the numbers of their events, which are their ranks; an end is MISSING where there is none.
    """

    def __init__(self, recording: Recording, calls: "Integers", ends: "Integers") -> None:
        self.recording, self.calls, self.ends = recording, calls, ends
        self._names, self._processes = [*recording.names], [*recording.processes]
        self._errors: list[str | None] = [None, *list(recording.errors)[1:]]

    def __len__(self) -> int:
        return len(self.calls)

    @overload
    def __getitem__(self, place: int) -> Operation: ...
    @overload
    def __getitem__(self, place: slice) -> "Recorded": ...
    def __getitem__(self, place: int | slice) -> "Operation | Recorded":
        if isinstance(place, slice):
            return Recorded(self.recording, self.calls[place], self.ends[place])
        return self._operation(self.calls[place], self.ends[place])

    def __iter__(self) -> Iterator[Operation]:
        return map(self._operation, self.calls, self.ends)

    def at(self, places: Sequence[int]) -> "Recorded":
        """The operations at these places, in that order."""
        mine, theirs = [self.calls[place] for place in places], [self.ends[place] for place in places]
        found = Recorded(self.recording, array("i", mine), array("i", theirs))
        if "shapes" in self.__dict__:
            examples, shape = self.shapes
            found.shapes = examples, array("i", [shape[place] for place in places])
        return found

    def until(self, count: int, rank: int) -> "Recorded":
        """The first operations as they stood at that rank: what had not ended by then has no end."""
        ends = array("i", [end if end <= rank else MISSING for end in self.ends[:count]])
        return Recorded(self.recording, self.calls[:count], ends)

    def _operation(self, call: int, end: int) -> Operation:
        """The operation of an invocation and its completion."""
        r = self.recording
        what, time, index, table = r.code[call], r.time[call], r.index, r.table
        status = r.code[end] & TYPE if end >= 0 else INFO
        key = r.key_values[r.key[call]] if r.key is not None else None
        value, call_index = table.value(r.value[call]), (r.line[call] - 1 if index is None else index[call])
        name, process = self._names[what >> TYPE_BITS], self._processes[r.process[call]]
        error = self._errors[r.error[end]] if r.error is not None and end >= 0 else None
        return_index = MISSING if end < 0 else r.line[end] - 1 if index is None else index[end]
        if status == INFO:
            return Operation(
                f=name, value=value, process=process, key=key, status="info", error=error,
                call_time=None if time == MISSING else time, call_rank=call, call_index=call_index,
                return_index=return_index, line=r.line[call],
            )  # fmt: skip
        result, back = table.value(r.value[end]), r.time[end]
        version = NO_VERSION if r.version is None else r.version[end]
        return Operation(
            f=name, value=value, result=result, process=process, key=key, status=STATUS[status],
            version=None if version == NO_VERSION else version,
            actual=UNSET if r.actual is None else table.value(r.actual[end]),
            error=error, echoed=result is not None and result == value,
            call_time=None if time == MISSING else time, return_time=None if back == MISSING else back,
            call_rank=call, return_rank=end, call_index=call_index, return_index=return_index, line=r.line[call],
            return_line=r.line[end],
        )  # fmt: skip

    @cached_property
    def return_ranks(self) -> "Integers":
        """Their return ranks."""
        code = self.recording.code
        return array("q", [end if end >= 0 and code[end] & TYPE != INFO else NEVER for end in self.ends])

    @cached_property
    def shapes(self) -> "tuple[list[Operation], Integers]":
        """One operation of each shape, and the shape of each operation.

        Those of one shape have the same name and status, and are alike in whether there is a version, whether something
        was seen, and whether the error is "mismatch".
        """
        r = self.recording
        code, version, error, actual = r.code, r.version, r.error, r.actual
        plain = version is None and error is None and actual is None
        mismatch = r.errors.get("mismatch", MISSING)
        numbers: dict[object, int] = {}
        examples: list[Operation] = []
        shape = array("i")
        for place, (call, end) in enumerate(zip(self.calls, self.ends, strict=True)):
            name: object = code[call] << TYPE_BITS | (code[end] & TYPE if end >= 0 else INFO)
            if not plain and end >= 0:
                ended = code[end] & TYPE != INFO
                told = ended and version is not None and version[end] != NO_VERSION
                saw = ended and actual is not None and actual[end] != UNSAID
                name = name, told, saw, error is not None and error[end] == mismatch
            number = numbers.setdefault(name, len(examples))
            if number == len(examples):
                examples.append(self[place])
            shape.append(number)
        return examples, shape

    @property
    def examples(self) -> Sequence[Operation]:
        return self.shapes[0]

    def like(self, wanted: Callable[[Operation], bool]) -> Iterator[Operation]:
        examples, shape = self.shapes
        chosen = [wanted(example) for example in examples]
        return (self[place] for place, number in enumerate(shape) if chosen[number])

    def keyed(self) -> "tuple[list[Key], Integers]":
        """The keys in order of their first calls, and which of them each operation is on."""
        r = self.recording
        if r.key is None:
            only: list[Key] = [None]
            return only[: len(self)], array("q", [0]) * len(self)
        numbers = Numbers()
        key = array("q", [numbers[r.key[call]] for call in self.calls])
        return [r.key_values[number] for number in numbers], key
