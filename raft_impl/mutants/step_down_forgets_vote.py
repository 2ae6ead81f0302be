"""E5: stepping down within a term clears the vote."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts


class StepDownForgetsVote(RaftCore):
    def _enter_term(self, term: int) -> None:
        self.term = term
        self.vote = None


MUTANT = Mutant("E5", "stepping down within a term clears the vote", "election safety", Parts(core=StepDownForgetsVote))
