"""The texts in a history as bytes, one behind the other, for models whose states are texts.

Lives here: what is noted of each kind of operation while a history is read, so that a compiled search can compare texts
without asking Python for one. The encoding takes apart what differs, lone surrogates too, and puts no bytes between.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from checkers.history import Operation

SHAPE, SAID, SAID_END, HEARD, HEARD_END, ROW = 0, 1, 2, 3, 4, 5  # words of the row of a kind
NO_TEXT = (-1, -1)


def encode(text: str) -> bytes:
    """The text as bytes: those of two texts, one behind the other, are those of the two together."""
    return text.encode("utf-8", "surrogatepass")


class Unseen:
    """The type of UNSEEN."""

    def __repr__(self) -> str:
        return "a text that no get sees"


UNSEEN: Final = Unseen()
"""Stands for every text that begins none of those that somebody got; it equals no text."""


class Texts(NamedTuple):
    """The texts of kinds of operations.

    Each has a row: which of the `shapes` it is like, which differ in name and status, then where in `blob` its value
    begins and ends, and its result; -1 where that is no text.
    """

    blob: bytes
    shapes: "list[Operation]"
    rows: "array[int]"

    @classmethod
    def of(cls, kinds: "Iterable[Operation]") -> "Texts | None":
        """The texts of these kinds, None where there is none. O(n)."""
        places: dict[object, tuple[int, int]] = {}
        numbers: dict[tuple[str, str], int] = {}
        shapes: list[Operation] = []
        parts: list[bytes] = []
        rows = array("q")
        length = 0
        for kind in kinds:
            shape = numbers.setdefault((kind.f, kind.status), len(shapes))
            if shape == len(shapes):
                shapes.append(kind)
            rows.append(shape)
            for text in (kind.value, kind.result):
                place = NO_TEXT
                if type(text) is str:
                    known = places.get(text)
                    if known is None:
                        parts.append(encode(text))
                        known = places[text] = length, length + len(parts[-1])
                        length = known[1]
                    place = known
                rows.extend(place)
        return cls(b"".join(parts), shapes, rows) if places else None

    def at(self, kinds: Iterable[int]) -> "Texts":
        """The texts of only these kinds. O(n)."""
        rows = array("q")
        for kind in kinds:
            rows += self.rows[ROW * kind : ROW * kind + ROW]
        return self._replace(rows=rows)

    def with_unfinished(self, kinds: Sequence[int], unfinished: "Sequence[Operation]") -> "Texts":
        """The same with more kinds, each like one that is there, but not known how it ended."""
        numbers = {(one.f, one.status): number for number, one in enumerate(self.shapes)}
        shapes, rows = [*self.shapes], self.rows[:]
        for kind, operation in zip(kinds, unfinished, strict=True):
            shape = numbers.setdefault((operation.f, operation.status), len(shapes))
            if shape == len(shapes):
                shapes.append(operation)
            said = self.rows[ROW * kind + SAID : ROW * kind + HEARD]
            rows.extend((shape, *said, *NO_TEXT))
        return Texts(self.blob, shapes, rows)
