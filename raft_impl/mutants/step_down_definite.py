"""C3: stepping down answers that pending proposals did not happen, though they may."""

from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.service import Service


class StepDownDefinite(Service):
    def deposed(self) -> None:
        proposals, self._proposals = self._proposals, {}
        for waiter in proposals.values():
            self._fail(waiter, "not_leader")
        super().deposed()


MUTANT = Mutant("C3", "stepping down answers that proposals failed", "linearizability", Parts(service=StepDownDefinite))
