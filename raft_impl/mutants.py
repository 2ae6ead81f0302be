"""Known-bad variants of this Raft, by which a test harness is judged. None is ever on unless it is asked for by id.

Each is a real bug that was once reported somewhere, made by overriding one method of one part. The ids, and the order,
are those of the catalogue in `docs/raft.md`.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from raft_impl.core import RaftCore
from raft_impl.parts import Parts, UnknownMutantError
from raft_impl.quorum import Majority
from raft_impl.register import Register
from raft_impl.service import Service, Waiter
from raft_impl.sessions import Outcome
from raft_impl.storage.wal import Wal
from raft_impl.types import (
    AppendEntries,
    AppendReply,
    Command,
    Entry,
    HardState,
    HeartbeatReply,
    Message,
    OpenSession,
    PreVote,
    RequestVote,
    VoteReply,
)

__all__ = ["MUTANTS", "Mutant", "UnknownMutantError", "find"]

_Variant = TypeVar("_Variant", RaftCore, Wal, Register, Service)


class Mutant(msgspec.Struct, frozen=True):
    """A known-bad variant; `breaks` names the properties of Raft that it violates."""

    id: str
    description: str
    breaks: str
    parts: Parts


MUTANTS: dict[str, Mutant] = {}
"""By id, in the order of the catalogue."""


def find(mutant_id: str) -> Mutant:
    """Return the mutant with that id; raises UnknownMutantError."""
    if mutant_id not in MUTANTS:
        raise UnknownMutantError(f"unknown mutant {mutant_id!r}; known are {', '.join(MUTANTS)}")
    return MUTANTS[mutant_id]


def _mutant(mutant_id: str, description: str, breaks: str) -> Callable[[type[_Variant]], type[_Variant]]:
    """Return a decorator that enters a class as a mutant: it takes the place of the part that it is derived from."""

    def enter(variant: type[_Variant]) -> type[_Variant]:
        name = next(name for name in Parts.__struct_fields__ if issubclass(variant, getattr(Parts(), name)))
        parts = msgspec.structs.replace(Parts(), **{name: variant})
        MUTANTS[mutant_id] = Mutant(mutant_id, description, breaks, parts)
        return variant

    return enter


# Elections


@_mutant("E1", "votedFor is not reloaded after a restart", "election safety")
class VoteForgotten(RaftCore):
    def _reload(self, hard_state: HardState) -> tuple[int, str | None]:
        return hard_state.term, None


@_mutant("E3", "a vote leaves before it is durable", "election safety")
class VoteBeforeSync(RaftCore):
    def _promise(self, peer: str, message: Message) -> None:
        if isinstance(message, VoteReply):
            self._send(peer, message)
        else:
            super()._promise(peer, message)


@_mutant("E5", "stepping down within a term clears the vote", "election safety")
class StepDownForgetsVote(RaftCore):
    def _enter_term(self, term: int) -> None:
        self.term = term
        self.vote = None


@_mutant("E8", "votes are given without comparing logs", "leader completeness")
class NoLogCheck(RaftCore):
    def _is_up_to_date(self, message: PreVote | RequestVote) -> bool:
        return True


@_mutant("E9", "logs are compared by index before term", "leader completeness")
class IndexBeforeTerm(RaftCore):
    def _is_up_to_date(self, message: PreVote | RequestVote) -> bool:
        return (message.last_index, message.last_term) >= (self.log.last_index, self.log.last_term)


class _HalfRoundedDown(Majority):
    def _size(self, count: int) -> int:
        return max(count // 2, 1)


@_mutant("E11", "a quorum is n // 2", "election safety, leader completeness")
class MajorityOneShort(RaftCore):
    def _majority(self, voters: tuple[str, ...]) -> Majority:
        return _HalfRoundedDown(voters)


@_mutant("E12", "every node has the same election timeout", "liveness")
class FixedElectionTimeout(RaftCore):
    def _random_timeout(self) -> int:
        return self._config.election_ticks


# Replication


@_mutant("R1", "the term of the preceding entry is not checked", "log matching, state machine safety")
class PreviousTermUnchecked(RaftCore):
    def _fits(self, message: AppendEntries) -> bool:
        return message.prev_index <= self.log.last_index


@_mutant("R2", "the log is cut after the preceding entry, conflict or not", "leader completeness")
class TruncateAlways(RaftCore):
    def _accept(self, entries: tuple[Entry, ...]) -> None:
        if entries and entries[0].index <= self.log.last_index:
            self.log.truncate_from(entries[0].index)
            self._note("truncate", entries[0].index)
        super()._accept(entries)


@_mutant("R3", "conflicting entries are never removed", "log matching")
class NoConflictTruncation(RaftCore):
    def _accept(self, entries: tuple[Entry, ...]) -> None:
        missing = tuple(entry for entry in entries if entry.index > self.log.last_index)
        if missing:
            self._append(missing)


@_mutant("R11", "entries of older terms are committed by counting copies", "leader completeness")
class NoOwnTermCommit(RaftCore):
    def _may_commit(self, index: int) -> bool:
        return True


# Durability


@_mutant("D1", "entries are acknowledged before they are durable", "leader completeness")
class AppendNotSynced(RaftCore):
    def _promise(self, peer: str, message: Message) -> None:
        if isinstance(message, AppendReply):
            self._send(peer, message)
        else:
            super()._promise(peer, message)


@_mutant("D3", "the leader counts its own entries before they are durable", "leader completeness")
class LeaderUnsynced(RaftCore):
    def _own_match(self) -> int:
        return self.log.last_index


# Clients


@_mutant("C1", "a proposal is answered before it is committed", "linearizability")
class ReplyOnAppend(Service):
    def _proposed(self, waiter: Waiter, entry: Entry, command: Command) -> None:
        if isinstance(command, OpenSession):
            self._finish(waiter, Outcome(session=entry.index))
        else:
            self._finish(waiter, Outcome(version=self.register.read(command.key)[1] + 1))


@_mutant("C3", "stepping down answers that proposals failed", "linearizability")
class StepDownDefinite(Service):
    def deposed(self) -> None:
        proposals, self._proposals = self._proposals, {}
        for waiter in proposals.values():
            self._fail(waiter, "not_leader")
        super().deposed()


@_mutant("C4", "a retried command is executed again", "linearizability")
class NoDedupe(Register):
    def _recall(self, session: int, sequence: int) -> Outcome | None:
        return None


# Reads


@_mutant("Q1", "a leader answers reads from its own state", "linearizability")
class LocalRead(Service):
    def _start_read(self, waiter: Waiter, key: str) -> None:
        self._serve(waiter, key)


@_mutant("Q2", "reads are served before an entry of the own term is committed", "linearizability")
class NoOwnTermRead(RaftCore):
    def _may_read(self) -> bool:
        return True


@_mutant("Q4", "any heartbeat reply confirms a read", "linearizability")
class OldRoundConfirms(RaftCore):
    def _on_heartbeat_reply(self, source: str, message: HeartbeatReply) -> None:
        super()._on_heartbeat_reply(source, HeartbeatReply(message.term, self._reads.round))
