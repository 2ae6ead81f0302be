"""R1: the term of the preceding entry is not checked."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import AppendEntries


class PreviousTermUnchecked(RaftCore):
    def _fits(self, message: AppendEntries) -> bool:
        return message.prev_index <= self.log.last_index


MUTANT = Mutant(
    "R1",
    "the term of the preceding entry is not checked",
    "log matching, state machine safety",
    Parts(core=PreviousTermUnchecked),
)
