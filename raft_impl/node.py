"""Everything one server is, without input or output of its own: core, log on disk, register and clients put together.

A host (asyncio, or a simulator) feeds it messages, requests and ticks, and then does what `poll` says. The order
that `Ready` demands is kept here and only here: trace, save, send, apply, serve; promises wait for the sync.

    after any input:  if (effects := node.poll()) is not None:
                          send effects.messages and effects.replies
                          if effects.sync: target = node.sync_target(); run target() anywhere, then call node.synced()

At most one sync is under way. Inputs are taken in meanwhile, and what promises nothing still leaves. If a target
raises, the node must be dropped: nobody knows what is durable.
"""

import random
from collections.abc import Callable

import msgspec

from raft_impl.core import CoreConfig
from raft_impl.log import Log
from raft_impl.parts import parts_of
from raft_impl.ready import Ready
from raft_impl.service import ClientToken
from raft_impl.sessions import MAX_SESSIONS
from raft_impl.storage.files import Files
from raft_impl.storage.wal import SEGMENT_BYTES
from raft_impl.trace import Sink, Tracer
from raft_impl.types import Entry, Message, Reply, Request, Status


class NodeConfig(msgspec.Struct, frozen=True):
    """How to run a node. `voters` includes `node`; sizes must be the same on all nodes where they shape the state."""

    node: str
    voters: tuple[str, ...]
    election_ticks: int = 40
    heartbeat_ticks: int = 5
    mutant: str | None = None
    max_sessions: int = MAX_SESSIONS
    segment_bytes: int = SEGMENT_BYTES


class Effects(msgspec.Struct):
    """What the host is to do now. All of it may be done at once, in any order."""

    messages: list[tuple[str, Message]]
    replies: list[tuple[ClientToken, Reply]]
    sync: bool


class _Save(msgspec.Struct):
    """What was written since the last sync began, and the promises that rest on it."""

    dirty: bool = False
    term: int = 0
    index: int = 0
    index_term: int = 0
    votes: list[tuple[int, str]] = []
    promises: list[tuple[str, Message]] = []


class Node:
    """One server. Raises CorruptLogError or OSError when it cannot recover from `files`."""

    def __init__(
        self, config: NodeConfig, files: Files, rng: random.Random, trace: Sink | None = None, boot: int = 1
    ) -> None:
        parts = parts_of(config.mutant)
        self.config = config
        self.boot = boot
        self.wal = parts.wal(files, config.node, config.segment_bytes)
        recovered = self.wal.recovered
        core_config = CoreConfig(config.node, config.voters, config.election_ticks, config.heartbeat_ticks)
        self.core = parts.core(core_config, recovered.hard_state, Log(recovered.entries), rng)
        self.register = parts.register(config.max_sessions)
        self.service = parts.service(self.core, self.register)
        self._tracer = Tracer(config.node, boot, config.voters, trace) if trace is not None else None
        if self._tracer is not None:
            self._tracer.booted(recovered.hard_state, recovered.entries)
        self._pending = _Save()
        self._saving: _Save | None = None
        self._kept: list[tuple[str, Message]] = []  # promises that are durable and may leave
        self._touched = True  # something came in since the last poll
        self._sync_target: Callable[[], None] | None = None

    # Inputs

    def receive(self, source: str, message: Message) -> None:
        """Take in a peer's message."""
        self._touched = True
        self.core.step(source, message)

    def request(self, client: ClientToken, request: Request) -> None:
        """Take in a client's request; exactly one reply to it will come out, unless the node dies before."""
        self._touched = True
        self.service.request(client, request)

    def tick(self) -> bool:
        """Take in that one tick of this node's clock has passed; return whether it calls for a poll."""
        due = self.core.tick()
        if due:
            self._touched = True
        return due

    def synced(self) -> None:
        """Take in that the last sync target has returned."""
        saved = self._saving
        assert saved is not None, "no sync was asked for"
        self._saving = None
        self._touched = True
        self._kept.extend(saved.promises)
        self._trace_votes(saved)
        self.core.persisted(saved.term, saved.index, saved.index_term)
        if self._tracer is not None:
            self._tracer.persisted(self.core.log.persisted)

    def stop(self) -> None:
        """Answer all clients that wait; their replies come out of the last `poll`."""
        self._touched = True
        self.service.stop()

    # Outputs

    def poll(self) -> Effects | None:
        """Return what the host is to do, or None when there is nothing until the next input."""
        if not self._touched:
            return None
        self._touched = False
        ready = self.core.ready()
        messages = self._carry_out(ready) if ready is not None else []
        if self._kept:
            messages += self._kept
            self._kept = []
        sync = self._saving is None and self._settle(messages)
        replies = self.service.take_replies()
        if ready is None and not (messages or replies or sync):
            return None
        return Effects(messages, replies, sync)

    def sync_target(self) -> Callable[[], None]:
        """Return what the last `Effects.sync` asked to be run, in any thread, once; it raises OSError on a bad disk."""
        target = self._sync_target
        assert target is not None, "no sync was asked for"
        self._sync_target = None
        return target

    def status(self, request_id: int = 0, clock_ns: int = 0, pid: int = 0) -> Status:
        """Return what this node says of itself; the host knows the time and the process."""
        core = self.core
        return Status(
            request_id,
            self.config.node,
            core.role,
            core.term,
            core.leader,
            core.commit,
            self.register.applied,
            core.log.last_index,
            clock_ns,
            self.boot,
            pid,
            self.config.mutant,
        )

    def close(self) -> None:
        """Release the log's file."""
        self.wal.close()

    # The duties of a Ready, in its order

    def _carry_out(self, ready: Ready) -> list[tuple[str, Message]]:
        """Return the messages that may leave now."""
        if self._tracer is not None:
            for transition in ready.transitions:
                self._tracer.happened(transition)
        if ready.hard_state is not None or ready.entries:
            self._save(ready)
        self._pending.promises.extend(ready.promises)
        if ready.committed:
            self._apply(ready.committed)
        if ready.reads or ready.committed:
            self.service.confirmed(ready.reads)
        if ready.deposed:
            self.service.deposed()
        return ready.messages

    def _save(self, ready: Ready) -> None:
        self.wal.append(ready.hard_state, ready.entries)
        self._pending.dirty = True
        if ready.hard_state is not None and ready.hard_state.vote is not None:
            self._pending.votes.append((ready.hard_state.term, ready.hard_state.vote))

    def _apply(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            outcome = self.register.apply(entry)
            if self._tracer is not None:
                self._tracer.applied_entry(entry, self.register.digest)
            self.service.applied(entry, outcome)

    def _settle(self, messages: list[tuple[str, Message]]) -> bool:
        """While nothing is being synced: begin a sync and return True, or let promises go that need none."""
        pending = self._pending
        if pending.dirty:
            log = self.core.log
            pending.term, pending.index, pending.index_term = self.core.term, log.last_index, log.last_term
            self._saving, self._pending = pending, _Save()
            self._sync_target = self.wal.sync_target()
            return True
        if pending.promises:
            messages += pending.promises
            pending.promises = []
        return False

    def _trace_votes(self, saved: _Save) -> None:
        if self._tracer is None:
            return
        self._tracer.observe(self.core.term, self.core.role, self.core.vote)
        for term, candidate in saved.votes:
            self._tracer.voted(term, candidate)
