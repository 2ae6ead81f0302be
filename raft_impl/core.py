"""Raft itself: elections, replication, commitment and read confirmation, as a state machine over inputs.

Inputs are `step` (a message), `tick` (time passes), `propose`, `read_index` and `persisted` (a save became durable);
the only output is `ready`. No clock, socket, file, thread or global random belongs here: time is counted in ticks and
randomness is handed in. Nothing here waits, and nothing here fails: whatever comes in, an answer or silence follows.

Section numbers are those of the extended Raft paper; PreVote, CheckQuorum and ReadIndex are of Ongaro's dissertation
(9.6, 6.2, 6.4). Each rule that a known bug once broke is a method of its own.
"""

import random
from collections.abc import Callable
from typing import Any

import msgspec

from raft_impl.log import Log
from raft_impl.progress import Progress
from raft_impl.quorum import Decision, Majority
from raft_impl.readonly import ReadQueue
from raft_impl.ready import Ready, Role, Transition, TransitionKind
from raft_impl.types import (
    AppendEntries,
    AppendReply,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVote,
    PreVoteReply,
    RequestVote,
    VoteReply,
)


class CoreConfig(msgspec.Struct, frozen=True):
    """What a core must be told. `voters` includes `node`; `election_ticks` is the shortest election timeout."""

    node: str
    voters: tuple[str, ...]
    election_ticks: int = 40
    heartbeat_ticks: int = 5
    max_batch_bytes: int = 256 * 1024
    max_batch_entries: int = 1024
    window: int = 64


class RaftCore:
    """One member of a Raft group."""

    def __init__(self, config: CoreConfig, hard_state: HardState, log: Log, rng: random.Random) -> None:
        self.node = config.node
        self.log = log
        self.term, self.vote = self._reload(hard_state)
        self.role: Role = "follower"
        self.leader: str | None = None
        self.commit = log.base_index
        self.quorum = self._majority(config.voters)
        self._config = config
        self._rng = rng
        self._others = tuple(voter for voter in config.voters if voter != config.node)
        self._elapsed = 0
        self._since_heartbeat = 0
        self._timeout = self._random_timeout()
        self._votes: dict[str, bool] = {}
        self._peers: dict[str, Progress] = {}
        self._reads = ReadQueue(self.node)
        self._saved = HardState(self.term, self.vote)
        self._delivered = self.commit
        self._out = Ready()
        self._handlers: dict[type, Callable[[str, Any], None]] = {
            PreVote: self._on_pre_vote,
            PreVoteReply: self._on_pre_vote_reply,
            RequestVote: self._on_request_vote,
            VoteReply: self._on_vote_reply,
            AppendEntries: self._on_append_entries,
            AppendReply: self._on_append_reply,
            Heartbeat: self._on_heartbeat,
            HeartbeatReply: self._on_heartbeat_reply,
        }

    def _reload(self, hard_state: HardState) -> tuple[int, str | None]:
        return hard_state.term, hard_state.vote

    def _majority(self, voters: tuple[str, ...]) -> Majority:
        return Majority(voters)

    # Inputs

    def step(self, source: str, message: Message) -> None:
        """Take in a message from the peer `source`; strangers are ignored."""
        if source not in self._others:
            return
        if message.term > self.term:
            if not self._meet_newer_term(source, message):
                return
        elif message.term < self.term:
            self._refuse_stale(source, message)
            return
        self._handlers[type(message)](source, message)

    def tick(self) -> bool:
        """Take in that one tick of this node's clock has passed; return whether something was due on it."""
        self._elapsed += 1
        self._since_heartbeat += 1
        if self.role == "leader":
            return self._tick_leader()
        if self._elapsed < self._timeout:
            return False
        self._pre_campaign()
        return True

    def propose(self, data: bytes) -> Entry | None:
        """Return the entry that will carry `data` if it commits, or None if this node does not lead."""
        if self.role != "leader":
            return None
        entry = Entry(self.term, self.log.last_index + 1, data)
        self._append((entry,))
        return entry

    def read_index(self, context: int) -> bool:
        """Return whether the read was taken in (this node leads); it comes back in `Ready.reads` or not at all."""
        if self.role != "leader":
            return False
        self._reads.add(context)
        return True

    def persisted(self, term: int, index: int, index_term: int) -> None:
        """Take in that `term`, its vote, and the log up to the entry (`index`, `index_term`) are durable.

        An acknowledgement of an older term says nothing: since that save, a new leader may have had entries replaced,
        and a third one have had them put back, so that they are in this log but not on the disk any more. The save of
        the new term, which is under way, will tell.
        """
        if term != self.term:
            return
        if self.log.term_at(index) == index_term:
            self.log.persisted = max(self.log.persisted, index)
        if self.role == "candidate":
            self._count_vote(self.node, True)
        elif self.role == "leader" and index > self.commit:
            self._advance_commit()

    # Output

    def ready(self) -> Ready | None:
        """Return what there is to do, once, or None."""
        if self.role == "leader":
            self._lead()
        ready = self._out
        if self._saved.term != self.term or self._saved.vote != self.vote:
            ready.hard_state = self._saved = HardState(self.term, self.vote)
        elif ready.is_empty():
            return None
        ready.entries = self.log.take_unsaved()
        if self._delivered < self.commit:
            ready.committed = self.log.between(self._delivered + 1, self.commit)
            self._delivered = self.commit
        self._out = Ready()
        return ready

    def _send(self, peer: str, message: Message) -> None:
        self._out.messages.append((peer, message))

    def _promise(self, peer: str, message: Message) -> None:
        self._out.promises.append((peer, message))

    def _note(self, kind: TransitionKind, index: int = 0, entries: tuple[Entry, ...] = ()) -> None:
        self._out.transitions.append(
            Transition(kind, self.term, self.role, self.vote, self.commit, self.log.last_index, index, entries)
        )

    # Terms and roles (5.1)

    def _meet_newer_term(self, source: str, message: Message) -> bool:
        """Return whether a message of a term above ours is to be handled, having entered that term where it is due."""
        kind = type(message)
        if kind in (PreVote, RequestVote) and self._hears_leader():
            return False
        if kind is PreVote or (isinstance(message, PreVoteReply) and message.granted):
            return True  # about a term that nobody has entered yet
        self._become_follower(message.term, source if kind in (AppendEntries, Heartbeat) else None)
        return True

    def _hears_leader(self) -> bool:
        """Return whether a leader is alive here: then nobody who cannot hear it may depose it (dissertation 4.2.3)."""
        if self.role == "leader":
            return True  # CheckQuorum would have ended it
        return self.leader is not None and self._elapsed < self._config.election_ticks

    def _refuse_stale(self, source: str, message: Message) -> None:
        """Answer a request of an older term with ours, so that its sender catches up; drop stale answers (5.1)."""
        if isinstance(message, AppendEntries):
            self._promise(source, AppendReply(self.term, False, message.prev_index))
        elif isinstance(message, Heartbeat):
            self._send(source, HeartbeatReply(self.term, 0))
        elif isinstance(message, RequestVote):
            self._promise(source, VoteReply(self.term, False))
        elif isinstance(message, PreVote):
            self._send(source, PreVoteReply(self.term, False))

    def _enter_term(self, term: int) -> None:
        if term > self.term:
            self.term = term
            self.vote = None

    def _become_follower(self, term: int, leader: str | None) -> None:
        self._enter_term(term)
        if self.role == "leader":
            self._out.deposed = True
            self._reads = ReadQueue(self.node)
        self.role = "follower"
        self.leader = leader
        self._restart_timer()

    def _restart_timer(self) -> None:
        self._elapsed = 0
        self._timeout = self._random_timeout()

    def _random_timeout(self) -> int:
        shortest = self._config.election_ticks
        return shortest + int(self._rng.random() * shortest)

    # Elections (5.2, 5.4.1)

    def _pre_campaign(self) -> None:
        """Ask who would vote for us, without disturbing anybody's term."""
        self.role = "pre_candidate"
        self.leader = None
        self._votes = {}
        self._restart_timer()
        for peer in self._others:
            self._send(peer, PreVote(self.term + 1, self.log.last_index, self.log.last_term))
        self._count_pre_vote(self.node, True)

    def _campaign(self) -> None:
        """Enter a new term and ask for votes. Our own vote counts when it is durable, see `persisted`."""
        self.term += 1
        self.vote = self.node
        self.role = "candidate"
        self._votes = {}
        self._restart_timer()
        for peer in self._others:
            self._promise(peer, RequestVote(self.term, self.log.last_index, self.log.last_term))

    def _on_pre_vote(self, source: str, message: PreVote) -> None:
        if message.term > self.term and self._is_up_to_date(message):
            self._send(source, PreVoteReply(message.term, True))
        else:
            self._send(source, PreVoteReply(self.term, False))

    def _on_pre_vote_reply(self, source: str, message: PreVoteReply) -> None:
        if self.role == "pre_candidate" and message.granted == (message.term == self.term + 1):
            self._count_pre_vote(source, message.granted)

    def _count_pre_vote(self, voter: str, granted: bool) -> None:
        self._votes[voter] = granted
        decision = self.quorum.decide(self._votes)
        if decision is Decision.WON:
            self._campaign()
        elif decision is Decision.LOST:
            self._become_follower(self.term, None)

    def _on_request_vote(self, source: str, message: RequestVote) -> None:
        granted = self._may_vote_for(source) and self._is_up_to_date(message)
        if granted:
            self.vote = source
            self._restart_timer()
        self._promise(source, VoteReply(self.term, granted))

    def _may_vote_for(self, candidate: str) -> bool:
        return self.vote == candidate or (self.vote is None and self.leader is None)

    def _is_up_to_date(self, message: PreVote | RequestVote) -> bool:
        """Return whether the candidate's log is at least as up to date as ours (5.4.1)."""
        return self.log.is_no_newer_than(message.last_index, message.last_term)

    def _on_vote_reply(self, source: str, message: VoteReply) -> None:
        if self.role == "candidate":
            self._count_vote(source, message.granted)

    def _count_vote(self, voter: str, granted: bool) -> None:
        self._votes[voter] = granted
        decision = self.quorum.decide(self._votes)
        if decision is Decision.WON:
            self._become_leader()
        elif decision is Decision.LOST:
            self._become_follower(self.term, None)

    def _become_leader(self) -> None:
        self.role = "leader"
        self.leader = self.node
        self._elapsed = 0
        self._since_heartbeat = 0
        self._reads = ReadQueue(self.node)
        self._peers = {peer: Progress(self.log.last_index + 1, self._config.window) for peer in self._others}
        self._note("become_leader")
        self._append((Entry(self.term, self.log.last_index + 1, b""),))  # a no-op, to commit what came before (5.4.2)

    # Leading

    def _tick_leader(self) -> bool:
        check_due = self._elapsed >= self._config.election_ticks
        heartbeat_due = self._since_heartbeat >= self._config.heartbeat_ticks
        if check_due:
            self._elapsed = 0
            if not self._check_quorum():
                self._become_follower(self.term, None)
                return True
        if heartbeat_due:
            self._since_heartbeat = 0
            self._heartbeat()
            for progress in self._peers.values():
                progress.check_stalled(self.log.last_index)
        return check_due or heartbeat_due

    def _check_quorum(self) -> bool:
        """Return whether a quorum was heard from since the last time this was asked."""
        active = [self.node]
        for peer, progress in self._peers.items():
            if progress.active:
                active.append(peer)
            progress.active = False
        return self.quorum.includes(active)

    def _heartbeat(self) -> None:
        """Start a round: assert leadership, spread the commit index, take waiting reads along."""
        number = self._reads.start_round(self.commit if self._may_read() else None)
        for peer, progress in self._peers.items():
            self._send(peer, Heartbeat(self.term, min(progress.match, self.commit), number))
        self._confirm_reads()  # a group of one confirms itself

    def _lead(self) -> None:
        """Send what is due: proposals leave when they are made, not at the next tick."""
        if self._reads.wants_round() and self._may_read():
            self._heartbeat()
        last_index = self.log.last_index
        for peer, progress in self._peers.items():
            while progress.may_send(last_index):
                self._send_entries(peer, progress)

    def _send_entries(self, peer: str, progress: Progress) -> None:
        first = progress.next_index
        count = self._config.max_batch_entries if progress.has_room() else 0
        last = min(self.log.last_index, first + count - 1)
        entries = self.log.between(first, last, self._config.max_batch_bytes)
        prev_term = self.log.term_at(first - 1) or 0
        self._send(peer, AppendEntries(self.term, first - 1, prev_term, entries, self.commit))
        progress.sent(first - 1 + len(entries))

    def _on_append_reply(self, source: str, message: AppendReply) -> None:
        if self.role != "leader":
            return
        progress = self._peers[source]
        progress.active = True
        if message.success:
            if progress.acknowledged(message.index) and message.index > self.commit:
                self._advance_commit()
        else:
            retry_index, _ = self.log.last_possible_match(message.hint_index, message.hint_term)
            progress.rejected(message.index, retry_index)

    def _on_heartbeat_reply(self, source: str, message: HeartbeatReply) -> None:
        if self.role != "leader":
            return
        self._peers[source].active = True
        self._reads.answered(source, message.round)
        self._confirm_reads()

    # Following (5.3)

    def _follow(self, leader: str) -> None:
        if self.role != "follower":
            self._become_follower(self.term, leader)
        self.leader = leader
        self._elapsed = 0

    def _on_heartbeat(self, source: str, message: Heartbeat) -> None:
        self._follow(source)
        self._commit_to(message.commit)
        self._send(source, HeartbeatReply(self.term, message.round))

    def _on_append_entries(self, source: str, message: AppendEntries) -> None:
        self._follow(source)
        if not self._fits(message):
            hint = self.log.last_possible_match(message.prev_index, message.prev_term)
            self._promise(source, AppendReply(self.term, False, message.prev_index, *hint))
            return
        matched = message.prev_index + len(message.entries)
        self._accept(message.entries)
        self._commit_to(min(message.commit, matched))  # beyond `matched` our entries may not be the leader's
        self._promise(source, AppendReply(self.term, True, matched))

    def _fits(self, message: AppendEntries) -> bool:
        """Return whether our log holds the entry that precedes the leader's entries."""
        return self.log.term_at(message.prev_index) == message.prev_term

    def _accept(self, entries: tuple[Entry, ...]) -> None:
        """Add what is missing; remove our own entries only where they conflict, since the request may be an old one."""
        fresh = entries[self.log.first_difference(entries) :]
        if not fresh:
            return
        if fresh[0].index <= self.log.last_index:
            self.log.truncate_from(fresh[0].index)
            self._note("truncate", fresh[0].index)
        self._append(fresh)

    def _append(self, entries: tuple[Entry, ...]) -> None:
        self.log.append(entries)
        self._note("append", entries=entries)

    # Commitment (5.3, 5.4.2)

    def _advance_commit(self) -> None:
        held = {peer: progress.match for peer, progress in self._peers.items()}
        held[self.node] = self._own_match()
        index = self.quorum.reached(held)
        if index > self.commit and self._may_commit(index):
            self._commit_to(index)

    def _own_match(self) -> int:
        """Return how far this leader acknowledges its own entries: as everybody, as far as they are durable."""
        return self.log.persisted

    def _may_commit(self, index: int) -> bool:
        """Return whether counting copies may commit `index`: only an entry of the leader's own term (5.4.2)."""
        return self.log.term_at(index) == self.term

    def _commit_to(self, index: int) -> None:
        index = min(index, self.log.last_index)
        if index > self.commit:
            self.commit = index
            self._note("commit", index)

    # Reads (dissertation 6.4)

    def _may_read(self) -> bool:
        """Return whether the commit index is known to be current: an entry of this term is committed."""
        return self.log.term_at(self.commit) == self.term

    def _confirm_reads(self) -> None:
        self._out.reads.extend(self._reads.confirmed(self.quorum.reached))
