"""E12: every node has the same election timeout."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts


class FixedElectionTimeout(RaftCore):
    def _random_timeout(self) -> int:
        return self._config.election_ticks


MUTANT = Mutant("E12", "every node has the same election timeout", "liveness", Parts(core=FixedElectionTimeout))
