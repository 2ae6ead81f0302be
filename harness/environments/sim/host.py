"""A simulated server: raft_impl's own node on a simulated disk, clock and network.

Lives here: what `raft_impl.host` does for a real server, in virtual time, plus death and standstill. Must not live
here: any rule of Raft, or of the register. This package is the only one in the harness that imports raft_impl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random

from harness.environments.base import ClockSetting, Node
from harness.environments.sim.loop import Loop
from harness.environments.sim.network import Network
from raft_impl.clock import NodeClock, Ticker
from raft_impl.codec import decode_incoming, encode
from raft_impl.node import Node as RaftNode
from raft_impl.node import NodeConfig
from raft_impl.storage.memory import MemoryFiles
from raft_impl.trace import TraceRecord
from raft_impl.types import Message, Request, StatusRequest

TICK_NS = 10_000_000
_SYNC_NS = 200_000
_SYNC_JITTER_NS = 400_000
_SLOW_SYNC = 0.01
_SLOW_SYNC_NS = 20_000_000

Answer = Callable[[bytes | None], None]
"""Takes the answer to one client frame; None if the connection was lost instead."""
Task = Callable[[], None]


class Host:
    """One server and all that happens to it. Make all of a cluster, `introduce` them all, then `start` them."""

    def __init__(
        self, config: NodeConfig, loop: Loop, network: Network, seed: int, trace: Callable[[TraceRecord], None]
    ) -> None:
        self.name: Node = config.node
        self.paused = False
        self._config = config
        self._loop = loop
        self._network = network
        self._seed = seed
        self._trace = trace
        self._files = MemoryFiles()
        self._disk = Random(f"{seed}/disk/{self.name}")
        self._scheduler = Random(f"{seed}/scheduler/{self.name}")
        self._clock = NodeClock()
        self._ticker = Ticker(TICK_NS, config.election_ticks)
        self.boot = 0
        self._node: RaftNode | None = None
        self._mailboxes: dict[Node, Callable[[Message], None]] = {}
        self._answers: dict[int, Answer] = {}
        self._next_token = 0
        self._waiting: list[tuple[str, Task]] = []

    @property
    def running(self) -> bool:
        return self._node is not None

    def introduce(self, hosts: Iterable[Host]) -> None:
        """Know where the mail for each of the others goes."""
        self._mailboxes = {host.name: partial(host.receive, self.name) for host in hosts if host is not self}

    # -- life and death ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start on what the disk holds. A running server is left alone."""
        if self._node is not None:
            return
        self.boot += 1
        timer = Random(f"{self._seed}/timer/{self.name}/{self.boot}")
        self._node = RaftNode(self._config, self._files, timer, self._trace, self.boot)
        self._ticker = Ticker(TICK_NS, self._config.election_ticks)
        self._loop.after(int(timer.random() * TICK_NS), self._tick, self.boot)
        self._pump()

    def stop(self) -> None:
        """End in order: clients get their last answers."""
        if self._node is None:
            return
        self._node.stop()
        self._pump()
        self.kill()

    def kill(self) -> None:
        """Die at once. What was written stays written; whoever waits for an answer sees the connection go."""
        self._node = None
        self.paused = False
        self._waiting.clear()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            self._network.call(self.name, answer, None)

    def pause(self) -> None:
        """Stand still. What arrives meanwhile waits in the sockets' buffers."""
        self.paused = self._node is not None

    def resume(self) -> None:
        """Go on. Each connection's data is in order, but nothing says which connection is read first."""
        if not self.paused:
            return
        self.paused = False
        waiting, self._waiting = self._waiting, []
        for task in _by_connection(waiting, self._scheduler):
            task()

    def set_clock(self, setting: ClockSetting) -> None:
        self._clock.set(self._loop.now_ns, setting.offset_ms, setting.rate)

    # -- what comes in -------------------------------------------------------------------------------------------

    def receive(self, source: Node, message: Message) -> None:
        """A message from a peer has arrived."""
        node = self._node
        if node is None:
            return
        if self.paused:
            self._waiting.append((source, lambda: self.receive(source, message)))
            return
        node.receive(source, message)
        self._pump()

    def request(self, connection: str, frame: bytes, answer: Answer) -> None:
        """A client's frame has arrived on the named connection."""
        node = self._node
        if node is None:
            self._network.call(self.name, answer, None)
            return
        if self.paused:
            self._waiting.append((connection, lambda: self.request(connection, frame, answer)))
            return
        question = decode_incoming(frame)
        if isinstance(question, StatusRequest):
            status = node.status(question.id, self._clock.read(self._loop.now_ns), self.boot)
            self._network.call(self.name, answer, encode(status))
            return
        assert isinstance(question, Request), f"a client says {question!r}"
        self._next_token += 1
        self._answers[self._next_token] = answer
        node.request(self._next_token, question)
        self._pump()

    def _tick(self, boot: int) -> None:
        """The host's own timer, which is what the node's clock makes of it."""
        node = self._node
        if node is None or boot != self.boot:
            return
        self._loop.after(TICK_NS, self._tick, boot)
        if self.paused:
            return
        for _ in range(self._ticker.due(self._clock.read(self._loop.now_ns))):
            node.tick()
        self._pump()

    def _synced(self, sync: tuple[int, Task]) -> None:
        boot, target = sync
        node = self._node
        if node is None or boot != self.boot:
            return
        if self.paused:
            self._waiting.append(("disk", lambda: self._synced(sync)))
            return
        target()
        node.synced()
        self._pump()

    # -- what goes out -------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Do what the node says until it says nothing."""
        node = self._node
        assert node is not None
        send, name, mailboxes = self._network.send, self.name, self._mailboxes
        while (effects := node.poll()) is not None:
            for peer, message in effects.messages:
                send(name, peer, mailboxes[peer], message)
            for token, reply in effects.replies:
                self._network.call(name, self._answers.pop(token), encode(reply))
            if effects.sync:
                self._loop.after(self._sync_ns(), self._synced, (self.boot, node.sync_target()))

    def _sync_ns(self) -> int:
        chance = self._disk.random
        if chance() < _SLOW_SYNC:
            return int(chance() * _SLOW_SYNC_NS)
        return _SYNC_NS + int(chance() * _SYNC_JITTER_NS)


def _by_connection(waiting: Sequence[tuple[str, Task]], random: Random) -> list[Task]:
    """The tasks, one source after the other in random order: a server reads all that a socket holds, then the next."""
    queues: dict[str, list[Task]] = {}
    for source, task in waiting:
        queues.setdefault(source, []).append(task)
    order = list(queues)
    random.shuffle(order)
    return [task for source in order for task in queues[source]]
