"""The register engine's columns, straight from a recording: no operation is made, and no value.

Lives here: the same as `unique_register.columns_of`, for histories that are too long for it.
"""

from array import array
from collections.abc import Callable
from math import isfinite
from numbers import Number
from typing import TYPE_CHECKING

from msgspec import UNSET

from checkers import register_kernel as k
from checkers.history import NEVER, Operation
from checkers.models import State, cas_argument
from checkers.recorded import Recorded
from checkers.value_table import KEPT, KIND, PAIR, UNSAID, Code, ValueTable
from checkers.values import PLAIN

if TYPE_CHECKING:
    Integers = array[int]

READ, WRITE, CAS, FAILED, BLIND, PENDING = range(6)  # what an operation of a shape is to the engine


class Rows:
    """Columns that grow: kind, codes of the old and the new value, call and return, and which operation a row is.

    `cas` is whether any of them is one that took place, and so has an old value.
    """

    def __init__(self) -> None:
        self.kind, self.old, self.new = array("q"), array("q"), array("q")
        self.call, self.back, self.places = array("q"), array("q"), array("q")
        self.cas = False


def rows_of(operations: Recorded, initial: State) -> "tuple[Rows, Code] | int | None":
    """The rows and the initial value's code; or one that contradicts itself; or None: the engine does not apply."""
    examples, shapes = operations.shapes
    parts = [_part(example) for example in examples]
    recording = operations.recording
    table, value, actual = recording.table, recording.value, recording.actual
    initial_code = table.code(initial)
    alike = _alike(table)
    rows = Rows()
    kinds, olds, news, calls, backs, places = (
        column.append for column in (rows.kind, rows.old, rows.new, rows.call, rows.back, rows.places)
    )
    for place, (shape, call, end) in enumerate(zip(shapes, operations.calls, operations.ends, strict=True)):
        part, kind, old, back = parts[shape], k.READ, initial_code, end
        if part == READ:
            new = value[end]
        elif part == WRITE:
            kind, new = k.WRITE, value[call]
            back = end if examples[shape].returned else NEVER
        elif part == PENDING:
            continue
        elif part == BLIND:
            return None
        else:
            before, after = _argument(table, value[call], operations, place)
            if part == FAILED:
                assert actual is not None, "the shape says so"
                new = actual[end]
                if _same(alike, new, before):
                    return place
            elif _same(alike, before, after):
                if not examples[shape].returned:
                    continue
                new = before
            else:
                kind, old, new, rows.cas = k.CAS, before, after, True
                back = end if examples[shape].returned else NEVER
        kinds(kind)
        olds(old)
        news(new)
        calls(call)
        backs(back)
        places(place)
    if alike is not None:
        rows.old, rows.new = array("q", map(alike, rows.old)), array("q", map(alike, rows.new))
        initial_code = alike(initial_code)
    return rows, initial_code


def _part(example: Operation) -> int:
    """What operations of that shape are to the engine."""
    if example.f == "read":
        return READ if example.returned else PENDING
    if example.f == "write":
        return WRITE
    if example.status != "fail":
        return CAS
    return BLIND if example.actual is UNSET else FAILED


def _argument(table: ValueTable, code: Code, operations: Recorded, place: int) -> tuple[Code, Code]:
    """The codes of a cas' old and new value; raises ModelError where it has none."""
    found = table.parts(code)
    if found is None:
        before, after = cas_argument(operations[place])
        found = table.code(before), table.code(after)
    return found


def _same(alike: Callable[[Code], Code] | None, one: Code, other: Code) -> bool:
    return one == other if alike is None else alike(one) == alike(other)


def _alike(table: ValueTable) -> Callable[[Code], Code] | None:
    """A map from each code to one that is the same for all values that Python calls equal; None if codes are that.

    Pairs have a code each time they occur, and 1.0 equals 1.
    """
    if not table.pairs and PLAIN.issuperset(map(type, table.kept)):
        return None
    first: dict[object, Code] = {}

    def alike(code: Code) -> Code:
        if code & KIND not in (KEPT, PAIR) or code == UNSAID:
            return code
        value = table.value(code)
        if isinstance(value, Number) and isfinite(value) and value == int(value):  # type: ignore[arg-type, call-overload]
            return table.code(int(value))  # type: ignore[call-overload]
        return first.setdefault(value, code)

    return alike
