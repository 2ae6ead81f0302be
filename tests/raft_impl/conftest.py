"""A cluster in memory whose network, disks and time a test holds in its hand, and figure 3 checked over its trace."""

import random
from collections.abc import Callable

import pytest

from raft_impl.core import CoreConfig, RaftCore
from raft_impl.log import Log
from raft_impl.node import Node, NodeConfig
from raft_impl.ready import Ready
from raft_impl.storage.memory import MemoryFiles
from raft_impl.trace import TraceRecord
from raft_impl.types import Entry, HardState, Message, Reply, Request

Envelope = tuple[str, str, Message]


class Figure3:
    """The properties of Raft's figure 3, checked as the records come."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        self.votes: dict[tuple[str, int], str] = {}
        self.hashes: dict[tuple[int, int], int] = {}
        self.applied: dict[int, tuple[int, int, int]] = {}
        self.last_seen: dict[tuple[str, int], TraceRecord] = {}
        self.records: list[TraceRecord] = []

    def __call__(self, record: TraceRecord) -> None:
        self.records.append(record)
        self._check_monotonic(record)
        check: Callable[[TraceRecord], None] | None = getattr(self, f"_on_{record.kind}", None)
        if check is not None:
            check(record)

    def _check_monotonic(self, record: TraceRecord) -> None:
        before = self.last_seen.get((record.node, record.boot))
        if before is not None:
            assert record.seq == before.seq + 1
            assert record.term >= before.term, record
            assert record.commit >= before.commit, record
        assert record.commit <= record.last, record
        self.last_seen[record.node, record.boot] = record

    def _on_become_leader(self, record: TraceRecord) -> None:
        assert self.leaders.setdefault(record.term, record.node) == record.node, "election safety"

    def _on_vote(self, record: TraceRecord) -> None:
        assert record.vote_term is not None
        assert record.candidate is not None
        chosen = self.votes.setdefault((record.node, record.vote_term), record.candidate)
        assert chosen == record.candidate, "one vote a term"

    def _on_truncate(self, record: TraceRecord) -> None:
        assert self.leaders.get(record.term) != record.node, "leader append-only"
        assert record.index is not None
        assert record.index > record.commit, "a committed entry is removed"

    def _on_append(self, record: TraceRecord) -> None:
        assert record.index is not None
        assert record.entry_term is not None
        assert record.hash is not None
        known = self.hashes.setdefault((record.index, record.entry_term), record.hash)
        assert known == record.hash, "log matching"

    def _on_apply(self, record: TraceRecord) -> None:
        assert record.index is not None
        state = (record.entry_term or 0, record.hash or 0, record.state_hash or 0)
        assert self.applied.setdefault(record.index, state) == state, "state machine safety"


class Cluster:
    """Nodes in memory. Messages wait in `network` until they are delivered; `cut` holds (source, target) pairs."""

    def __init__(self, size: int = 3, seed: int = 1, mutant: str | None = None, check: bool = True) -> None:
        self.names = tuple(f"n{number}" for number in range(1, size + 1))
        self.rng = random.Random(seed)
        self.mutant = mutant
        self.trace = Figure3()
        self.records: list[TraceRecord] = []
        self.sinks: list[Callable[[TraceRecord], None]] = [self.trace if check else self.records.append]
        self.sent: list[Envelope] = []
        self.committed: dict[int, int] = {}
        self.files = {name: MemoryFiles() for name in self.names}
        self.boots = dict.fromkeys(self.names, 0)
        self.nodes: dict[str, Node] = {}
        self.network: list[Envelope] = []
        self.cut: set[tuple[str, str]] = set()
        self.replies: dict[int, Reply] = {}
        self.unsynced: set[str] = set()
        self.hold_syncs = False
        self._request_id = 0
        for name in self.names:
            self.start(name)

    def record(self, record: TraceRecord) -> None:
        for sink in self.sinks:
            sink(record)
        if record.kind in ("commit", "become_leader"):
            self._check_leader_completeness(record)

    def _check_leader_completeness(self, record: TraceRecord) -> None:
        """Every committed entry is in the log of every later leader."""
        tracer = self.nodes[record.node]._tracer
        assert tracer is not None
        hashes = tracer._hashes
        if record.kind == "commit":
            assert record.index is not None
            self.committed[record.index] = hashes[record.index]
        elif self.mutant is None:
            for index, known in self.committed.items():
                assert hashes[index : index + 1] == [known], "leader completeness"

    def observe(self, sink: Callable[[TraceRecord], None]) -> None:
        """Have `sink` see all trace records from now on."""
        self.sinks.append(sink)

    # Nodes

    def start(self, name: str) -> Node:
        self.boots[name] += 1
        config = NodeConfig(
            name, self.names, election_ticks=10, heartbeat_ticks=2, mutant=self.mutant, segment_bytes=2000
        )
        rng = random.Random(f"{self.rng.random()}/{name}")
        self.nodes[name] = Node(config, self.files[name], rng, self.record, self.boots[name])
        return self.nodes[name]

    def crash(self, name: str, power: bool = False) -> None:
        del self.nodes[name]
        self.unsynced.discard(name)
        if power:
            self.files[name].power_loss(self.rng)

    def sync(self, name: str) -> None:
        self.unsynced.discard(name)
        self.nodes[name].sync_target()()
        self.nodes[name].synced()
        self.poll(name)

    def poll(self, name: str) -> None:
        while name in self.nodes and (effects := self.nodes[name].poll()) is not None:
            assert self.nodes[name].poll() is None, "a poll says all that there is to do"
            envelopes = [(name, peer, message) for peer, message in effects.messages]
            self.network.extend(envelopes)
            self.sent.extend(envelopes)
            for _, reply in effects.replies:
                assert reply.id not in self.replies, "answered twice"
                self.replies[reply.id] = reply
            if effects.sync:
                self.unsynced.add(name)
                if not self.hold_syncs:
                    self.sync(name)

    # Network

    def isolate(self, name: str) -> None:
        for other in self.names:
            if other != name:
                self.cut |= {(name, other), (other, name)}

    def heal(self) -> None:
        self.cut.clear()

    def deliver(self, position: int = 0, keep: bool = False) -> None:
        source, target, message = self.network[position]
        if not keep:
            del self.network[position]
        if (source, target) not in self.cut and target in self.nodes:
            self.nodes[target].receive(source, message)
            self.poll(target)

    def settle(self) -> None:
        """Deliver everything, in order, until nothing is left to do."""
        for name in self.names:
            self.poll(name)
        while self.network:
            self.deliver()

    def tick(self, *names: str) -> None:
        for name in names or self.names:
            if name in self.nodes:
                self.nodes[name].tick()
                self.poll(name)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()
            self.settle()

    # Raft

    def elect(self, name: str) -> Node:
        """Return the node, made leader by letting only its time pass."""
        for _ in range(200):
            if self.nodes[name].core.role == "leader":
                return self.nodes[name]
            self.tick(name)
            for other in self.names:  # so that nobody is kept from voting by having heard a leader just now
                if other != name and other in self.nodes and self.nodes[other].core.role == "follower":
                    self.nodes[other].core._elapsed = max(self.nodes[other].core._elapsed, 10)
            self.settle()
        raise AssertionError(f"{name} was not elected")

    def leader(self) -> Node | None:
        """Return the leader of the highest term, if any."""
        leaders = [node for node in self.nodes.values() if node.core.role == "leader"]
        return max(leaders, key=lambda node: node.core.term, default=None)

    def request(self, name: str, op: str, key: str | None = "x", **fields: object) -> int:
        """Return the id of a request handed to a node; its reply will be in `replies`."""
        self._request_id += 1
        self.nodes[name].request(1, Request(self._request_id, op, key, **fields))  # type: ignore[arg-type]
        self.poll(name)
        return self._request_id

    def ask(self, name: str, op: str, key: str | None = "x", **fields: object) -> Reply:
        """Return the reply to a request, everything delivered."""
        request_id = self.request(name, op, key, **fields)
        self.settle()
        return self.replies[request_id]


class Bench:
    """One core, and what comes out of it."""

    def __init__(
        self, terms: tuple[int, ...] = (), term: int | None = None, vote: str | None = None, size: int = 3
    ) -> None:
        names = tuple(f"n{number}" for number in range(1, size + 1))
        log = Log([Entry(entry_term, index, b"%d" % index) for index, entry_term in enumerate(terms, 1)])
        config = CoreConfig("n1", names, election_ticks=10, heartbeat_ticks=2)
        hard_state = HardState(term if term is not None else max(terms, default=0), vote)
        self.core = RaftCore(config, hard_state, log, random.Random(1))
        self.readies: list[Ready] = []
        self.sent: list[tuple[str, Message]] = []
        self.promised: list[tuple[str, Message]] = []

    def step(self, source: str, message: Message) -> list[tuple[str, Message]]:
        """Return what goes out in answer to a message, saved and all."""
        self.core.step(source, message)
        return self.drain()

    def drain(self, persist: bool = True) -> list[tuple[str, Message]]:
        """Return what goes out; with `persist`, everything becomes durable at once."""
        out: list[tuple[str, Message]] = []
        while (ready := self.core.ready()) is not None:
            self.readies.append(ready)
            out += ready.messages
            if persist:
                out += ready.promises
                self.core.persisted(self.core.term, self.core.log.last_index, self.core.log.last_term)
        return out

    def tick(self, count: int = 1) -> list[tuple[str, Message]]:
        out: list[tuple[str, Message]] = []
        for _ in range(count):
            self.core.tick()
            out += self.drain()
        return out

    def time_out(self) -> list[tuple[str, Message]]:
        """Return what goes out at the tick that ends this node's patience."""
        for _ in range(20):
            out = self.tick()
            if out:
                return out
        raise AssertionError("no election timeout")

    def terms(self) -> list[int]:
        return [self.core.log.term_at(index) or 0 for index in range(1, self.core.log.last_index + 1)]


@pytest.fixture
def make_cluster() -> type[Cluster]:
    """The class itself: tests choose size, seed and mutant."""
    return Cluster


@pytest.fixture
def make_core() -> type[Bench]:
    """A bench with one core `n1` of n1 .. nN, whose log has entries of the given terms."""
    return Bench
