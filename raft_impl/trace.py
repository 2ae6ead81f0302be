"""One record for each transition of a node, so that Raft's invariants can be checked from outside (Raft figure 3).

The records of a Ready are handed to the sink before any message that depends on them leaves; it is the sink's duty to
have them out of the process by then. `hash` is a chain over the log, H_i = h(H_{i-1}, term_i, data_i), so two logs
that agree at one index agree before it; `state_hash` is the register's own chain. Hashes are 48 bits: exact in every
JSON reader.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

import msgspec

from raft_impl.ready import Role, Transition
from raft_impl.types import Entry, HardState

Kind = Literal["boot", "vote", "become_leader", "append", "truncate", "persist", "commit", "apply"]


class TraceRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A transition. The fields after `kind` belong to some kinds only.

    boot: first, index and hash of the last entry held. vote: candidate, vote_term. become_leader: index and hash of
    the last entry. append: index, entry_term, hash. truncate: index, the first one removed. persist: index, the last
    one durable. commit: index, entry_term, config (only the highest index of each advance). apply: index, entry_term,
    hash, state_hash.
    """

    node: str
    boot: int
    seq: int
    term: int
    role: Role
    vote: str | None
    commit: int
    applied: int
    last: int
    kind: Kind
    index: int | None = None
    entry_term: int | None = None
    hash: int | None = None
    state_hash: int | None = None
    candidate: str | None = None
    vote_term: int | None = None
    first: int | None = None
    config: tuple[str, ...] | None = None


Sink = Callable[[TraceRecord], None]


@lru_cache(maxsize=1 << 14)  # in a simulation every node asks for the same links
def chain(previous: int, number: int, data: bytes) -> int:
    """Return the 48-bit hash of `data` and `number` on top of `previous`."""
    head = previous.to_bytes(6, "big") + number.to_bytes(8, "big")
    return int.from_bytes(blake2b(head + data, digest_size=6).digest(), "big")


class Tracer:
    """Turns what a node does into records. Keeps one hash for each log entry."""

    def __init__(self, node: str, boot: int, voters: tuple[str, ...], sink: Sink) -> None:
        self._node = node
        self._boot = boot
        self._voters = voters
        self._sink = sink
        self._seq = 0
        self._hashes = [0]
        self._terms = [0]
        self._state = Transition("commit", 0, "follower", None, 0, 0)
        self.applied = 0

    def booted(self, hard_state: HardState, entries: Iterable[Entry]) -> None:
        """Record what the node remembered when it started."""
        for entry in entries:
            self._extend(entry)
        last = len(self._hashes) - 1
        self._state = Transition("commit", hard_state.term, "follower", hard_state.vote, 0, last)
        self._emit("boot", index=last, hash=self._hashes[last], first=1)

    def happened(self, transition: Transition) -> None:
        """Record something the core did."""
        self._state = transition
        kind = transition.kind
        if kind == "append":
            for entry in transition.entries:
                self._extend(entry)
                self._emit("append", entry.index, entry.term, self._hashes[entry.index])
        elif kind == "truncate":
            del self._hashes[transition.index :]
            del self._terms[transition.index :]
            self._emit("truncate", transition.index)
        elif kind == "commit":
            self._emit("commit", transition.index, self._terms[transition.index], config=self._voters)
        else:
            self._emit("become_leader", transition.last, hash=self._hashes[transition.last])

    def observe(self, term: int, role: Role, vote: str | None) -> None:
        """Take over what the next records are to say of the node."""
        self._state = Transition("commit", term, role, vote, self._state.commit, self._state.last)

    def voted(self, term: int, candidate: str) -> None:
        """Record a vote that has become durable. Meanwhile the node may have entered a later term than the vote's."""
        self._emit("vote", candidate=candidate, vote_term=term)

    def persisted(self, index: int) -> None:
        """Record that the log is durable up to `index`."""
        self._emit("persist", index)

    def applied_entry(self, entry: Entry, state_hash: int) -> None:
        """Record that an entry was applied, and the state it led to."""
        self.applied = entry.index
        self._emit("apply", entry.index, entry.term, self._hashes[entry.index], state_hash)

    def _extend(self, entry: Entry) -> None:
        self._hashes.append(chain(self._hashes[-1], entry.term, entry.data))
        self._terms.append(entry.term)

    def _emit(
        self,
        kind: Kind,
        index: int | None = None,
        entry_term: int | None = None,
        hash: int | None = None,  # noqa: A002
        state_hash: int | None = None,
        candidate: str | None = None,
        vote_term: int | None = None,
        first: int | None = None,
        config: tuple[str, ...] | None = None,
    ) -> None:
        self._seq += 1
        state = self._state
        self._sink(
            TraceRecord(
                self._node,
                self._boot,
                self._seq,
                state.term,
                state.role,
                state.vote,
                state.commit,
                self.applied,
                state.last,
                kind,
                index,
                entry_term,
                hash,
                state_hash,
                candidate,
                vote_term,
                first,
                config,
            )
        )
