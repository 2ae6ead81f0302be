"""The integer loops, interpreted, and the lists that they run on."""

from array import array
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from checkers import keyed, register_kernel, transitions
from checkers.memory import Memory
from checkers.search_arrays import TRIE_WORDS, Integers, Sizes, Trie

if TYPE_CHECKING:
    Words = array[int]

Functions = Mapping[str, Callable[..., Any]]


class Loops:
    """The loops, and arrays for them: plain Python on lists. No limit to how many operations may be open at once."""

    compiled = False
    word_bytes = 36  # of a list's element and the integer that it points to
    most_open = 1 << 30
    search: Functions = MappingProxyType({"insert": transitions.insert, "all_texts": keyed.all_texts})
    register: Functions = MappingProxyType(vars(register_kernel))

    def memory(self, sizes: Sizes) -> Memory:
        """Return room for a search."""
        return Memory(sizes)

    def trie_words(self, nodes: int) -> Integers:
        """Return room for a trie, as a search takes it."""
        return Trie(*([0] * nodes for _ in range(TRIE_WORDS)))

    def trie(self, words: Integers) -> Trie:
        """Return the trie in that room."""
        trie: Trie = words
        return trie

    def filled(self, size: int, value: int) -> Integers:
        """Return an array of that size, every element `value`."""
        return [value] * size

    def array(self, values: Any) -> Integers:  # noqa: ANN401  (a list or an array)
        """Return an array of these integers, its own."""
        return list(values)

    def view(self, values: Any) -> Integers:  # noqa: ANN401  (an array of machine words)
        """Return the same integers, to be read only."""
        return values

    def bytes_of(self, blob: bytes) -> Integers:
        """Return the bytes, to be read only; one more if there are none."""
        return blob

    def gather(self, values: Integers, places: Integers) -> Integers:
        """Return the values at these places."""
        return [values[place] for place in places]

    def listed(self, values: Integers) -> list[int]:
        """Return the elements as a list of Python's own integers."""
        return list(values)

    def words(self, values: Integers) -> "Words":
        """Return the elements as an array of machine words."""
        return array("q", values)

    def numbered(self, *columns: "Words") -> tuple[Integers, int]:
        """Return the columns joined, with each distinct value replaced by a number from 0; and how many there are."""
        numbers: dict[int, int] = {}
        return [numbers.setdefault(value, len(numbers)) for column in columns for value in column], len(numbers)

    def sorted_places(self, *keys: Integers) -> Integers:
        """Return the places in order of the first key, then of the next. O(n log n)."""
        rows = list(zip(*keys, strict=True))
        return sorted(range(len(rows)), key=rows.__getitem__)

    def split(self, earliest: Integers, latest: Integers) -> tuple[Integers, Integers]:
        """Return the places where `earliest` is less, in order of it; and the others, in order of `latest`."""
        places = range(len(earliest))
        forwards = sorted((place for place in places if earliest[place] < latest[place]), key=earliest.__getitem__)
        backwards = sorted((place for place in places if earliest[place] >= latest[place]), key=latest.__getitem__)
        return forwards, backwards
