"""Room for one search, and what the loops do in it, interpreted."""

from checkers import keyed
from checkers.search_arrays import CELL_WORDS, GROUPS, PLACE, Integers, Registers, Search, Sizes, Trie, lengths, words

NO_TRIE = Trie([], [], [], [])


class Memory:
    """The registers and the arrays of a search; the arrays are lists, and zero at first."""

    now: Registers
    words: int  # that it takes

    def __init__(self, sizes: Sizes) -> None:
        self.now, self.words = Registers(sizes), words(sizes)
        self._search = Search(self.now, [], NO_TRIE, [], [], b"", *_lists(sizes))

    def array(self, name: str) -> Integers:
        """Return an array of the search by the name that it has there."""
        return getattr(self._search, name)

    def fill(self, flags: Integers, parts: Integers, kind: Integers, key: Integers, events: Integers) -> None:
        """Put in what is known of each kind, the kind and the key of each operation, and the events."""
        keyed.fill(self._search, flags, parts, kind, key, events)

    def run(self, words: Integers, rows: Integers, flags: Integers, blob: Integers) -> int:
        """Go on with the pass, and return why it stopped. The words are the table, or the trie of texts."""
        now = self.now
        table, trie = ([], words) if now.texts else (words, NO_TRIE)
        now.table_cells, now.trie_room = len(table) // CELL_WORDS, len(trie.child)
        s = self._search
        s.table, s.trie, s.rows, s.shape_flags, s.blob = table, trie, rows, flags, blob
        return keyed.run(s)

    def resize(self, sizes: Sizes) -> None:
        """Move to longer arrays."""
        old = {name: self.array(name) for name in PLACE}
        self._allocate(sizes)
        for name, array in old.items():
            self.array(name)[: len(array)] = array

    def _allocate(self, sizes: Sizes) -> None:
        """Make arrays of these sizes, and keep the registers otherwise."""
        self.now.capacity, self.words = sizes.capacity, words(sizes)
        s = self._search
        self._search = Search(s.now, s.table, s.trie, s.rows, s.shape_flags, s.blob, *_lists(sizes))


def _lists(sizes: Sizes) -> list[list[int]]:
    """Return the arrays of a search of these sizes, all zero."""
    return [[0] * length for names, length in zip(GROUPS, lengths(sizes), strict=True) for _ in names]
