"""C4: a command that is sent again is executed again."""

from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.register import Register
from raft_impl.sessions import Outcome


class NoDedupe(Register):
    def _recall(self, session: int, sequence: int) -> Outcome | None:
        return None


MUTANT = Mutant("C4", "a retried command is executed again", "linearizability", Parts(register=NoDedupe))
