"""E9: logs are compared by index before term."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import PreVote, RequestVote


class IndexBeforeTerm(RaftCore):
    def _is_up_to_date(self, message: PreVote | RequestVote) -> bool:
        return (message.last_index, message.last_term) >= (self.log.last_index, self.log.last_term)


MUTANT = Mutant("E9", "logs are compared by index before term", "leader completeness", Parts(core=IndexBeforeTerm))
