"""The versions engine on columns, for histories that are too long to have their operations made.

Lives here: one walk along the versions. It gives a linearization that has been checked on the way, or two operations
that may contradict each other, for `checkers.version_order` to look at; or neither, and nothing is said then.
"""

from array import array
from typing import TYPE_CHECKING, NamedTuple

from checkers.compiled import Loops
from checkers.history import Operation
from checkers.models import State
from checkers.recorded import Recorded
from checkers.recording import NO_VERSION
from checkers.value_table import UNSAID, Code

if TYPE_CHECKING:
    Integers = array[int]

READ, WRITE, CAS, FAILED = range(4)


class Walk(NamedTuple):
    """Where the walk led: an order of places, or two places that are suspected."""

    order: "Integers | None" = None
    suspects: tuple[int, int] | None = None


def walk(operations: Recorded, initial: State, loops: Loops) -> Walk:
    """The operations in order of their versions, if that is a linearization; crashed updates where one is missing."""
    rows = _Rows(operations)
    if rows.version is None or not rows.split():
        return Walk()
    order = loops.words(loops.gather(rows.told, loops.sorted_places(loops.view(rows.keys))))
    return rows.follow(order, operations.recording.table.code(initial))


class _Rows:
    """What of the columns the walk looks at."""

    def __init__(self, operations: Recorded) -> None:
        recording = operations.recording
        self.operations, self.table = operations, recording.table
        self.version, self.value, self.actual = recording.version, recording.value, recording.actual
        examples, self.shape = operations.shapes
        self.part = [_part(example) for example in examples]
        self.returned = [example.returned for example in examples]
        self.told, self.keys = array("q"), array("q")
        self.crashed: list[int] = []

    def split(self) -> bool:
        """Finds those that returned, and how they are sorted: updates first; false if one has no version."""
        version, ends, part, returned = self.version, self.operations.ends, self.part, self.returned
        assert version is not None, "asked only where there are versions"
        for place, shape in enumerate(self.shape):
            if not returned[shape]:
                self.crashed.append(place)
                continue
            number = version[ends[place]]
            if number == NO_VERSION or abs(number) >> 61:
                return False
            self.told.append(place)
            self.keys.append(2 * number + (part[shape] in (READ, FAILED)))
        return True

    def values(self, place: int) -> tuple[Code, Code]:
        """The codes of the value before an operation (UNSAID: any), and of that after it."""
        part, call, end = self.part[self.shape[place]], self.operations.calls[place], self.operations.ends[place]
        if part == READ:
            return self.value[end], self.value[end]
        if part == WRITE:
            return UNSAID, self.value[call]
        if part == CAS:
            return self.table.parts(self.value[call]) or (UNSAID, UNSAID)
        saw = UNSAID if self.actual is None else self.actual[end]
        return saw, saw

    def follow(self, order: "Integers", state: Code) -> Walk:
        """Takes them in that order, and looks whether each agrees with the state and with real time."""
        calls, ends, version = self.operations.calls, self.operations.ends, self.version
        part, shape = self.part, self.shape
        assert version is not None, "asked only where there are versions"
        crashed = self._sorted_crashed(order)
        taken = array("q")
        now, latest, last = 0, -1, -1
        for place in order:
            what, number = part[shape[place]], version[ends[place]]
            update = what in (WRITE, CAS)
            before, after = self.values(place)
            while now < number - update:
                missing = self._missing(crashed, before if now + 1 == number - update else UNSAID, state)
                if missing is None:
                    return Walk()
                taken.append(missing)
                now, state = now + 1, self.values(missing)[1]
                latest = max(latest, calls[missing])
            if ends[place] < latest or now != number - update or before not in (UNSAID, state):
                return Walk(suspects=None if last < 0 else (last, place))
            if what == FAILED and self._compared(place) in (UNSAID, state):
                return Walk()
            if calls[place] > latest:
                latest, last = calls[place], place
            if update:
                now, state = number, after
            taken.append(place)
        return Walk(taken)

    def _compared(self, place: int) -> Code:
        """The code of the value that a failed cas compared with."""
        parts = self.table.parts(self.value[self.operations.calls[place]])
        return UNSAID if parts is None else parts[0]

    def _sorted_crashed(self, order: "Integers") -> list[int]:
        """The crashed updates, those first whose value nobody saw: the others are kept for where it was."""
        crashed = [place for place in self.crashed if self.part[self.shape[place]] in (WRITE, CAS)]
        after = {place: self.values(place)[1] for place in crashed}
        wanted = set(after.values())
        seen = {code for code in (self.values(place)[0] for place in order) if code in wanted} if wanted else set()
        return sorted(crashed, key=lambda place: (after[place] in seen, place))

    def _missing(self, crashed: list[int], wanted: Code, state: Code) -> int | None:
        """The first crashed update that may come here and leads to the value wanted; it is taken."""
        for place in crashed:
            before, after = self.values(place)
            if before in (UNSAID, state) and wanted in (UNSAID, after):
                crashed.remove(place)
                return place
        return None


def _part(example: Operation) -> int:
    """What operations of that shape are to the walk."""
    if example.f == "read":
        return READ
    if example.f == "write":
        return WRITE
    return FAILED if example.status == "fail" else CAS
