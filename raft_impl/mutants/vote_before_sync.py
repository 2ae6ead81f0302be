"""E3: a vote leaves before it is durable."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import Message, VoteReply


class VoteBeforeSync(RaftCore):
    def _promise(self, peer: str, message: Message) -> None:
        if isinstance(message, VoteReply):
            self._send(peer, message)
        else:
            super()._promise(peer, message)


MUTANT = Mutant("E3", "a vote leaves before it is durable", "election safety", Parts(core=VoteBeforeSync))
