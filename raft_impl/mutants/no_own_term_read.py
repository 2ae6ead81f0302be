"""Q2: reads are served before an entry of the own term is committed."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts


class NoOwnTermRead(RaftCore):
    def _may_read(self) -> bool:
        return True


MUTANT = Mutant(
    "Q2", "reads are served before an entry of the own term is committed", "linearizability", Parts(core=NoOwnTermRead)
)
