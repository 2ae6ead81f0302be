"""R3: conflicting entries are never removed."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import Entry


class NoConflictTruncation(RaftCore):
    def _accept(self, entries: tuple[Entry, ...]) -> None:
        missing = tuple(entry for entry in entries if entry.index > self.log.last_index)
        if missing:
            self._append(missing)


MUTANT = Mutant("R3", "conflicting entries are never removed", "log matching", Parts(core=NoConflictTruncation))
