"""E1: votedFor is not reloaded after a restart."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import HardState


class VoteForgotten(RaftCore):
    def _reload(self, hard_state: HardState) -> tuple[int, str | None]:
        return hard_state.term, None


MUTANT = Mutant("E1", "votedFor is not reloaded after a restart", "election safety", Parts(core=VoteForgotten))
