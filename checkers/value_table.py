"""Values as integers, so that millions of them fit into an array.

Lives here: the numbering. Small whole numbers and pairs of simple values are written into the integer, or into one flat
array, since a history may have a new one in every operation; whatever else occurs is kept once, in a table.
"""

from array import array
from collections.abc import Sequence
from types import NoneType

from msgspec import UNSET

from checkers.limits import DEFAULT, Limits, make_room, too_deep
from checkers.values import PLAIN, NotAValueError, freeze, told_apart

Code = int
KIND_BITS, KIND = 2, 3
KEPT, WHOLE, PAIR = 0, 1, 2  # what the lowest bits of a code say: in the table, a whole number, in the array of pairs
NOTHING: Code = 0  # the code of None
UNSAID: Code = 1 << KIND_BITS  # the code of UNSET
MOST = 1 << 61
SIMPLE = frozenset({int, str, NoneType})
WHOLE_OR_NONE = frozenset({int, NoneType})
BYTES_KEPT = 160  # about what a value in the table takes, with its place in the dictionary


class ValueTable:
    """The values of one history. Simple ones have equal codes if and only if they are equal; pairs have codes anew."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self.pairs = array("q")
        self.kept: list[object] = [None, UNSET]
        self._numbers: dict[object, int] = {None: 0, UNSET: 1}

    def codes(self, values: Sequence[object]) -> "Sequence[Code]":
        """The codes of the values. Raises NotAValueError for what cannot be judged."""
        if WHOLE_OR_NONE.issuperset(map(type, values)):
            codes = [NOTHING if value is None else value << KIND_BITS | WHOLE for value in values]  # type: ignore[operator]
            try:
                return array("q", codes)
            except OverflowError:
                pass  # one takes more than a machine word: each gets its code below
        return [self.code(value) for value in values]

    def code(self, value: object) -> Code:
        """The code of a value. Raises NotAValueError for what cannot be judged."""
        kind = type(value)
        if kind is int and -MOST <= value < MOST:  # type: ignore[operator]
            return value << KIND_BITS | WHOLE  # type: ignore[operator]
        if kind is list or kind is tuple:
            if len(value) == 2 and SIMPLE.issuperset(map(type, value)):  # type: ignore[arg-type, call-overload]
                number = len(self.pairs) // 2
                self.pairs.extend([self.code(item) for item in value])  # type: ignore[attr-defined]
                return number << KIND_BITS | PAIR
        elif kind in PLAIN:
            return self._number(value, value)
        levels = depth(value, self._limits.nesting)
        if levels > self._limits.nesting:
            raise NotAValueError(f"has {too_deep(self._limits)}")
        make_room(self._limits, levels)
        frozen = freeze(value)
        return self._number(told_apart(frozen), frozen)

    def _number(self, name: object, value: object) -> Code:
        number = self._numbers.setdefault(name, len(self.kept))
        if number == len(self.kept):
            self.kept.append(value)
        return number << KIND_BITS

    def value(self, code: Code) -> object:
        """The value of a code, fit to be compared."""
        kind, number = code & KIND, code >> KIND_BITS
        if kind == WHOLE:
            return number
        if kind == KEPT:
            return self.kept[number]
        return self.value(self.pairs[2 * number]), self.value(self.pairs[2 * number + 1])

    def parts(self, code: Code) -> tuple[Code, Code] | None:
        """The codes of the two elements, if it is a pair of simple values."""
        number = 2 * (code >> KIND_BITS)
        return (self.pairs[number], self.pairs[number + 1]) if code & KIND == PAIR else None

    @property
    def size(self) -> int:
        """About the bytes that it takes."""
        return self.pairs.itemsize * len(self.pairs) + BYTES_KEPT * len(self.kept)


def depth(value: object, most: int) -> int:
    """How deep lists, sets and maps are nested in each other, counted as far as one more than `most`. O(n)."""
    level, deep = [value], 0
    while deep <= most:
        inner: list[object] = []
        found = False
        for one in level:
            if isinstance(one, list | tuple | set | frozenset):
                found = True
                inner.extend(one)
            elif isinstance(one, dict):
                found = True
                inner.extend(one)
                inner.extend(one.values())
        if not found:
            break
        level, deep = inner, deep + 1
    return deep
