"""C1: a proposal is answered when it is appended, not when it is committed."""

from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.service import Service, Waiter
from raft_impl.sessions import Outcome
from raft_impl.types import Command, Entry, OpenSession


class ReplyOnAppend(Service):
    def _proposed(self, waiter: Waiter, entry: Entry, command: Command) -> None:
        if isinstance(command, OpenSession):
            self._finish(waiter, Outcome(session=entry.index))
        else:
            self._finish(waiter, Outcome(version=self.register.read(command.key)[1] + 1))


MUTANT = Mutant("C1", "a proposal is answered before it is committed", "linearizability", Parts(service=ReplyOnAppend))
