"""A simulated server: raft_impl's own node on a simulated disk, clock and network.

Lives here: what `raft_impl.host` does for a real server, in virtual time, plus death and standstill. Must not live
here: any rule of Raft, or of the register. This package is the only one in the harness that imports raft_impl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random

from harness.environments.base import Node
from harness.environments.faults import ClockSetting
from harness.environments.sim.disk import Disk
from harness.environments.sim.loop import Loop
from harness.environments.sim.network import Network
from raft_impl.clock import NodeClock, Ticker
from raft_impl.codec import decode_incoming, encode
from raft_impl.node import Node as RaftNode
from raft_impl.node import NodeConfig
from raft_impl.trace import TraceRecord
from raft_impl.types import Message, Request, StatusRequest

TICK_NS = 10_000_000
DUTY_NS = 100_000_000
"""How often a slow server stands still and goes on."""

Answer = Callable[[bytes | None], None]
"""Takes the answer to one client frame; None if the connection was lost instead."""
Task = Callable[[], None]


class Host:
    """One server and all that happens to it. Make all of a cluster, `introduce` them all, then `start` them."""

    def __init__(
        self, config: NodeConfig, loop: Loop, network: Network, seed: int, trace: Callable[[TraceRecord], None]
    ) -> None:
        self.name: Node = config.node
        self.disk = Disk(loop, Random(f"{seed}/disk/{self.name}"))
        self.disk_error: str | None = None
        """Why the last life ended by itself (a real server's exit status 1), if it did."""
        self.standstills = 0
        """How often the server was made to stand still for being slow."""
        self.boot = 0
        self._config = config
        self._loop = loop
        self._network = network
        self._seed = seed
        self._trace = trace
        self._scheduler = Random(f"{seed}/scheduler/{self.name}")
        self._clock = NodeClock()
        self._ticker = Ticker(TICK_NS, config.election_ticks)
        self._paused = False
        self._stalled = False
        self._slowness = 0
        self._is_slow = False
        self._node: RaftNode | None = None
        self._sends: dict[Node, Callable[[Message], None]] = {}
        self._answers: dict[int, Answer] = {}
        self._next_token = 0
        self._waiting: list[tuple[str, Task]] = []

    @property
    def running(self) -> bool:
        return self._node is not None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def is_slow(self) -> bool:
        return self._is_slow

    @property
    def standing(self) -> bool:
        """Whether it stands still now, for whatever reason."""
        return self._paused or self._stalled

    def introduce(self, hosts: Iterable[Host]) -> None:
        """Know where the mail for each of the others goes."""
        send, name = self._network.send, self.name
        others = [host for host in hosts if host is not self]
        self._sends = {host.name: partial(send, name, host.name, partial(host.receive, name)) for host in others}

    # -- life and death ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start on what the disk holds; a disk that fails ends that too. A running server is left alone."""
        if self._node is not None:
            return
        self.boot += 1
        self.disk_error = None
        timer = Random(f"{self._seed}/timer/{self.name}/{self.boot}")
        try:
            self._node = RaftNode(self._config, self.disk.files(), timer, self._trace, self.boot)
        except OSError as error:
            self.disk_error = str(error)
            return
        self._ticker = Ticker(TICK_NS, self._config.election_ticks)
        self._loop.after(int(timer.random() * TICK_NS), self._tick, self.boot)
        self._pump()

    def stop(self) -> None:
        """End in order: clients get their last answers."""
        if self._node is None:
            return
        self._node.stop()
        self._pump()
        if self._node is not None:
            self._node.close()
        self.kill()

    def kill(self) -> None:
        """Die at once. What was written stays written; whoever waits for an answer sees the connection go."""
        self._node = None
        self._paused = False
        self._waiting.clear()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            self._network.answer(self.name, answer, None)

    def lose_power(self) -> None:
        """Die at once, and lose what was not synced."""
        self.kill()
        self.disk.lose_power()

    def _fail(self, error: OSError) -> None:
        """End as a server does when its disk fails: nobody knows what is durable, so nothing more is said."""
        node = self._node
        self.kill()
        self.disk_error = str(error)
        if node is not None:
            node.close()

    def pause(self) -> None:
        """Stand still. What arrives meanwhile waits in the sockets' buffers."""
        self._paused = self._node is not None

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._catch_up()

    def slow(self, share: float) -> None:
        """Stand still for that share of each 100 ms from now on, also after a restart, as by SIGSTOP and SIGCONT."""
        if not 0 <= share < 1:
            raise ValueError(f"slow {share}: must be from 0 to 1, but less than that")
        self._slowness += 1
        self._stalled = False
        self._catch_up()
        run_ns = int(DUTY_NS * (1 - share))
        self._is_slow = run_ns < DUTY_NS
        if self._is_slow:
            self._loop.after(run_ns, self._stall, (self._slowness, run_ns))

    def _stall(self, duty: tuple[int, int]) -> None:
        slowness, run_ns = duty
        if slowness == self._slowness:
            self._stalled = True
            self.standstills += self._node is not None
            self._loop.after(DUTY_NS - run_ns, self._go_on, duty)

    def _go_on(self, duty: tuple[int, int]) -> None:
        slowness, run_ns = duty
        if slowness == self._slowness:
            self._stalled = False
            self._catch_up()
            self._loop.after(run_ns, self._stall, duty)

    def _catch_up(self) -> None:
        """Do what has waited. Each connection's data is in order, but nothing says which connection is read first."""
        if self.standing:
            return
        waiting, self._waiting = self._waiting, []
        for task in _by_connection(waiting, self._scheduler):
            task()

    def set_clock(self, setting: ClockSetting) -> None:
        self._clock.set(self._loop.now_ns, setting.offset_ms, setting.rate, setting.strobe_ms)

    # -- what comes in -------------------------------------------------------------------------------------------

    def receive(self, source: Node, message: Message) -> None:
        """A message from a peer has arrived."""
        node = self._node
        if node is None:
            return
        if self._paused or self._stalled:
            self._waiting.append((source, lambda: self.receive(source, message)))
            return
        node.receive(source, message)
        self._pump()

    def request(self, connection: str, frame: bytes, answer: Answer) -> None:
        """A client's frame has arrived on the named connection."""
        node = self._node
        if node is None:
            self._network.answer(self.name, answer, None)
            return
        if self._paused or self._stalled:
            self._waiting.append((connection, lambda: self.request(connection, frame, answer)))
            return
        question = decode_incoming(frame)
        if isinstance(question, StatusRequest):
            status = node.status(question.id, self._clock.read(self._loop.now_ns), self.boot)
            self._network.answer(self.name, answer, encode(status))
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
        if self._paused or self._stalled:
            return
        due = False
        for _ in range(self._ticker.due(self._clock.read(self._loop.now_ns))):
            due |= node.tick()
        if due:
            self._pump()

    def _synced(self, sync: tuple[int, Task]) -> None:
        boot, target = sync
        node = self._node
        if node is None or boot != self.boot:
            return
        if self._paused or self._stalled:
            self._waiting.append(("disk", lambda: self._synced(sync)))
            return
        try:
            target()
        except OSError as error:
            self._fail(error)
            return
        node.synced()
        self._pump()

    # -- what goes out -------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Do what the node says, unless its disk fails."""
        node = self._node
        assert node is not None
        try:
            effects = node.poll()
            if effects is None:
                return
            for peer, message in effects.messages:
                self._sends[peer](message)
            for token, reply in effects.replies:
                self._network.answer(self.name, self._answers.pop(token), encode(reply))
            if effects.sync:
                self.disk.after_sync(self._synced, (self.boot, node.sync_target()))
        except OSError as error:
            self._fail(error)


def _by_connection(waiting: Sequence[tuple[str, Task]], random: Random) -> list[Task]:
    """The tasks, one source after the other in random order: a server reads all that a socket holds, then the next."""
    queues: dict[str, list[Task]] = {}
    for source, task in waiting:
        queues.setdefault(source, []).append(task)
    order = list(queues)
    random.shuffle(order)
    return [task for source in order for task in queues[source]]
