"""D1: entries are acknowledged before they are durable."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import AppendReply, Message


class AppendNotSynced(RaftCore):
    def _promise(self, peer: str, message: Message) -> None:
        if isinstance(message, AppendReply):
            self._send(peer, message)
        else:
            super()._promise(peer, message)


MUTANT = Mutant(
    "D1", "entries are acknowledged before they are durable", "leader completeness", Parts(core=AppendNotSynced)
)
