"""The vocabulary of Raft: entries, hard state, messages between nodes, frames between a client and a node.

Only data lives here. Peer messages are immutable arrays on the wire (small, quick to decode) and may be handed over as
objects where there is no wire. Client frames are maps, because other languages and other versions speak them.
"""

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One slot of the replicated log (Raft 5.3). Empty `data` is the no-op that opens a term."""

    term: int
    index: int
    data: bytes


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a node must never forget: its term, and whom it voted for in that term (Raft figure 2)."""

    term: int = 0
    vote: str | None = None


class PreVote(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Would you vote for me in `term`, which I have not entered yet? (Ongaro's dissertation 9.6)"""

    term: int
    last_index: int
    last_term: int


class PreVoteReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """The answer; `term` is the term asked about when granted, the term of the answering node when not."""

    term: int
    granted: bool


class RequestVote(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3):
    """Vote for me in `term` (Raft 5.2); the candidate is the sender."""

    term: int
    last_index: int
    last_term: int


class VoteReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4):
    """The answer to `RequestVote`: a promise, so it leaves only once the vote is durable."""

    term: int
    granted: bool


class AppendEntries(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=5):
    """Entries that follow the entry (`prev_index`, `prev_term`), and the sender's commit index (Raft 5.3)."""

    term: int
    prev_index: int
    prev_term: int
    entries: tuple[Entry, ...]
    commit: int


class AppendReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=6):
    """The answer to `AppendEntries`: a promise, so it leaves only once the entries are durable.

    On success `index` is the last entry known to match the leader's. Else `index` repeats the `prev_index` that did not
    fit, and the hint is the last entry of the follower that may still fit: nothing after it can.
    """

    term: int
    success: bool
    index: int
    hint_index: int = 0
    hint_term: int = 0


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=7):
    """I lead `term`. `commit` never exceeds what the receiver is known to hold; `round` numbers ReadIndex rounds."""

    term: int
    commit: int
    round: int


class HeartbeatReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=8):
    """I know of no later leader than you, as of `round`. It promises nothing about the log."""

    term: int
    round: int


Message = PreVote | PreVoteReply | RequestVote | VoteReply | AppendEntries | AppendReply | Heartbeat | HeartbeatReply


class OpenSession(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Command: a new client session, numbered by the index of its own entry."""


class Write(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Command: set the register `key`."""

    key: str
    value: object
    session: int | None = None
    sequence: int | None = None


class Cas(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Command: set the register `key` to `new` if it holds `old`."""

    key: str
    old: object
    new: object
    session: int | None = None
    sequence: int | None = None


Command = OpenSession | Write | Cas


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """The first frame of a connection that a peer dialled."""

    node: str


class Request(msgspec.Struct, frozen=True, tag_field="type", tag="request"):
    """A client's request; `id` is chosen by the client and comes back in the reply."""

    id: int
    op: str
    key: str | None = None
    value: object = None
    old: object = None
    new: object = None
    session: int | None = None
    sequence: int | None = None


class StatusRequest(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """Asks a node about itself; answered by any node in any role."""

    id: int


class Reply(msgspec.Struct, frozen=True, tag_field="type", tag="reply"):
    """The answer to a request. When `ok` is false, `error` is a code of the table in `errors`."""

    id: int
    ok: bool
    value: object = None
    version: int = 0
    session: int | None = None
    error: str | None = None
    definite: bool | None = None
    message: str | None = None
    leader: str | None = None


class Status(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """What a node says of itself."""

    id: int
    node: str
    role: str
    term: int
    leader: str | None
    commit: int
    applied: int
    last: int
    clock_ns: int
    boot: int
    pid: int
    mutant: str | None
