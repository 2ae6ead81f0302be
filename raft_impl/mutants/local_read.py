"""Q1: a leader answers reads from its own state, without asking a quorum whether it still leads."""

from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.service import Service, Waiter


class LocalRead(Service):
    def _start_read(self, waiter: Waiter, key: str) -> None:
        self._serve(waiter, key)


MUTANT = Mutant("Q1", "a leader answers reads from its own state", "linearizability", Parts(service=LocalRead))
