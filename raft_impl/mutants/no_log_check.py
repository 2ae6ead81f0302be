"""E8: votes are given without comparing logs."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import PreVote, RequestVote


class NoLogCheck(RaftCore):
    def _is_up_to_date(self, message: PreVote | RequestVote) -> bool:
        return True


MUTANT = Mutant("E8", "votes are given without comparing logs", "leader completeness", Parts(core=NoLogCheck))
