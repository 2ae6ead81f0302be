"""D3: the leader counts its own entries before they are durable."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts


class LeaderUnsynced(RaftCore):
    def _own_match(self) -> int:
        return self.log.last_index


MUTANT = Mutant(
    "D3", "the leader counts its own entries before they are durable", "leader completeness", Parts(core=LeaderUnsynced)
)
