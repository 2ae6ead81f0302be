"""The replicated log in memory: terms, conflicts, truncation, and how much of it has been handed out for saving.

Knows nothing of roles, peers or files. Indexes start at 1; `base_index` and `base_term` stand for everything before the
first entry held (0 and 0 while nothing has been compacted).
"""

from collections.abc import Sequence

from raft_impl.types import Entry


class Log:
    """A sequence of entries with contiguous indexes."""

    def __init__(self, entries: Sequence[Entry] = (), base_index: int = 0, base_term: int = 0) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self._entries = list(entries)
        self.last_index = base_index + len(self._entries)
        self.persisted = self.last_index
        self._handed_out = self.last_index

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.base_term

    def term_at(self, index: int) -> int | None:
        """Return the term of the entry at `index`, or None outside the log. O(1)."""
        position = index - self.base_index
        if 0 < position <= len(self._entries):
            return self._entries[position - 1].term
        return self.base_term if position == 0 else None

    def between(self, first: int, last: int, max_bytes: int | None = None) -> tuple[Entry, ...]:
        """Return entries `first` to `last` inclusive, cut short before `max_bytes` of data but never to nothing."""
        entries = tuple(self._entries[first - self.base_index - 1 : last - self.base_index])
        if max_bytes is None:
            return entries
        size = 0
        for count, entry in enumerate(entries):
            size += len(entry.data)
            if size > max_bytes and count:
                return entries[:count]
        return entries

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries after the last one."""
        self._entries.extend(entries)
        self.last_index += len(entries)

    def truncate_from(self, index: int) -> None:
        """Remove the entry at `index` and all that follow; what was saved of them no longer counts."""
        del self._entries[index - self.base_index - 1 :]
        self.last_index = index - 1
        self.persisted = min(self.persisted, self.last_index)
        self._handed_out = min(self._handed_out, self.last_index)

    def first_difference(self, entries: Sequence[Entry]) -> int:
        """Return the position in `entries` of the first one that this log lacks or holds with another term."""
        for position, entry in enumerate(entries):
            if self.term_at(entry.index) != entry.term:
                return position
        return len(entries)

    def last_possible_match(self, index: int, term: int) -> tuple[int, int]:
        """Return (index, term) of the last entry at or before `index` whose term is not above `term`.

        No entry between it and `index` can equal an entry of a log that has `term` at `index`: terms never fall along a
        log. Asked of the follower with the leader's term and of the leader with the follower's, it skips whole terms at
        a time. O(entries skipped).
        """
        index = min(index, self.last_index)
        while index > self.base_index:
            found = self.term_at(index)
            if found is not None and found <= term:
                return index, found
            index -= 1
        return self.base_index, self.base_term

    def is_no_newer_than(self, last_index: int, last_term: int) -> bool:
        """Return whether a log ending in (last_index, last_term) is at least as up to date as this one (Raft 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def take_unsaved(self) -> tuple[Entry, ...]:
        """Return the entries not yet handed out for saving, once."""
        if self._handed_out == self.last_index:
            return ()
        entries = self.between(self._handed_out + 1, self.last_index)
        self._handed_out = self.last_index
        return entries
