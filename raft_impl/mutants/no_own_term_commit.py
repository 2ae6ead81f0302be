"""R11: entries of older terms are committed by counting copies."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts


class NoOwnTermCommit(RaftCore):
    def _may_commit(self, index: int) -> bool:
        return True


MUTANT = Mutant(
    "R11", "entries of older terms are committed by counting copies", "leader completeness", Parts(core=NoOwnTermCommit)
)
