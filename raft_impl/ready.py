"""The boundary between the core and whatever drives it: what must be done, and in which order.

The order of the fields is the order of the duties. A driver that breaks it breaks Raft, not just performance.
"""

from typing import Literal

import msgspec

from raft_impl.readonly import ConfirmedRead
from raft_impl.types import Entry, HardState, Message

Role = Literal["follower", "pre_candidate", "candidate", "leader"]
TransitionKind = Literal["append", "truncate", "commit", "become_leader"]


class Transition(msgspec.Struct, frozen=True, gc=False):
    """Something the core did, with its state right after; the raw material of the trace.

    `index` is the first index removed for "truncate" and the commit index for "commit"; `entries` are those appended.
    """

    kind: TransitionKind
    term: int
    role: Role
    vote: str | None
    commit: int
    last: int
    index: int = 0
    entries: tuple[Entry, ...] = ()


class Ready(msgspec.Struct):
    """Work for the driver: the core collects it here, until it is taken, once."""

    # What happened, oldest first. Trace it before any message of this Ready leaves.
    transitions: list[Transition] = []

    # Term and vote, if they changed. Save them in one atomic record with `entries`: the term must not become durable
    # later than the entries that were appended under it.
    hard_state: HardState | None = None

    # Entries to save, contiguous. The first may lie below the end of the saved log: from its index on, everything saved
    # earlier is replaced.
    entries: tuple[Entry, ...] = ()

    # (peer, message) that promise nothing about this node's disk: send them at once, in parallel with the save.
    messages: list[tuple[str, Message]] = []

    # (peer, message) that may leave only once `hard_state` and `entries` of this and of every earlier Ready are
    # durable: votes, acknowledgements, and requests for votes. Report the durability with `RaftCore.persisted` too: a
    # node's own vote and its own acknowledgement count from that moment and not before.
    promises: list[tuple[str, Message]] = []

    # Entries to apply, in order, each exactly once in the life of the process. They are committed; whether this node's
    # own disk has them does not matter.
    committed: tuple[Entry, ...] = ()

    # Reads to serve, each once everything up to its index is applied. May be served after a loss of leadership too.
    reads: list[ConfirmedRead] = []

    # Leadership was lost since the last Ready. After applying `committed`, the fate of all other proposals taken on
    # before is unknown, and reads that were not confirmed will not be.
    deposed: bool = False

    def is_empty(self) -> bool:
        """Return whether the core has said nothing yet; what is saved and applied is never all that it says."""
        return not (self.messages or self.promises or self.transitions or self.reads or self.deposed)
