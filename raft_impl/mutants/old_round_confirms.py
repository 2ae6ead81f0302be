"""Q4: a heartbeat that was sent before the read came in confirms it."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.types import HeartbeatReply


class OldRoundConfirms(RaftCore):
    def _on_heartbeat_reply(self, source: str, message: HeartbeatReply) -> None:
        super()._on_heartbeat_reply(source, HeartbeatReply(message.term, self._reads.round))


MUTANT = Mutant("Q4", "any heartbeat reply confirms a read", "linearizability", Parts(core=OldRoundConfirms))
