"""R2: the log is cut after the preceding entry, conflict or not."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import Entry


class TruncateAlways(RaftCore):
    def _accept(self, entries: tuple[Entry, ...]) -> None:
        if entries and entries[0].index <= self.log.last_index:
            self.log.truncate_from(entries[0].index)
            self._note("truncate", entries[0].index)
        super()._accept(entries)


MUTANT = Mutant(
    "R2", "the log is cut after the preceding entry, conflict or not", "leader completeness", Parts(core=TruncateAlways)
)
