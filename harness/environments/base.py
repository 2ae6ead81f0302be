"""The contract of an environment: where nodes run, how they are broken, and how time passes there.

Lives here: the abstract `Environment`, the values that cross its boundary, and the exceptions of connections. Those
that end a command are in `harness.errors`.
Must not live here: anything that knows how one environment does it, or what the system under test says on the wire.

An environment is also the runtime of the harness. Driver, clients and nemesis are plain coroutines that wait only on
what an environment hands out (`sleep`, `future`, `connect`, `call`), so the same code runs on asyncio against
real nodes and on virtual time against simulated ones. The model for this split is httpcore's `_backends/base.py`.

One suite, tests/conformance, is run on every implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from harness.agent.traffic import Traffic
from harness.digest import Digest
from harness.environments.faults import ClockSetting, DiskSetting
from harness.errors import EnvironmentFailure

Node = str
Grudge = Mapping[Node, frozenset[Node]]
"""Whom each node refuses to hear: destination -> sources whose packets it drops (Jepsen's grudge)."""

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Capability(StrEnum):
    """A kind of fault that an environment may be able to inject."""

    PARTITION = "partition"
    CLIENTS = "clients"
    """Nodes can be cut off from their clients."""
    PACKET_LOSS = "packet-loss"
    PACKET_QUEUE = "packet-queue"
    """Packets can be held up: delayed, reordered, throttled."""
    PACKET_DUPLICATE = "packet-duplicate"
    CLOCK = "clock"
    CLOCK_RATE = "clock-rate"
    """A clock can be made to run fast or slow, and to jump to and fro, not only be shifted."""
    KILL = "kill"
    PAUSE = "pause"
    SLOW = "slow"
    CPU_QUOTA = "cpu-quota"
    """A node's machine can be given less of a processor."""
    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen of a node from outside, without asking its service.

    `pid` is None if it does not live (in the simulator, the number of its life). `stopped_share` is the part of the
    time that it stands still since it was made slow. `quota_ms` is how long its machine may use a processor in each
    tenth of a second, 0 if that is not limited, and `throttled_ms` how long it was held up for that so far.
    `memory_megabytes` is what was taken of its machine's memory.
    `caught`: packets dropped or queued, by kind of fault that is in force; `packets`: what a queue did to them, and
    `disk`: what its disk did to writes, by kind of deed. `disk_free_bytes`: what is free on a disk that is the node's
    own; None where its data is on the disk of its machine.
    """

    pid: int | None = None
    paused: bool = False
    stopped_share: float = 0.0
    quota_ms: float = 0.0
    throttled_ms: int = 0
    memory_megabytes: float = 0
    caught: Mapping[str, int] = field(default_factory=dict)
    packets: Mapping[str, int] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    disk_free_bytes: int | None = None


Pair = tuple[Node, Node]
"""A direction of the network: (source, destination)."""


class NotAllRemoved(EnvironmentFailure):
    """Some of what a dead run left could not be removed; `removed` has a line for each thing that was."""

    def __init__(self, message: str, removed: list[str]) -> None:
        super().__init__(message)
        self.removed = removed


class ConnectFailed(Exception):  # noqa: N818
    """No connection was made, so nothing was sent: the operation certainly did not happen."""


class CallFailed(Exception):  # noqa: N818
    """The frame may have been delivered but no answer came: the operation may have happened."""


class Connection(Protocol):
    """A framed request-response connection to one node; one call at a time."""

    async def call(self, frame: bytes, timeout_s: float) -> bytes:
        """The answering frame. Raises `CallFailed` after `timeout_s` or when the connection is lost."""

    def close(self) -> None:
        """Close at once; safe to call twice."""


class Future(Protocol[T_contra]):
    """A value that somebody will set once; awaited by at most one coroutine."""

    def set_result(self, value: T_contra, /) -> None: ...
    def done(self) -> bool: ...
    def __await__(self) -> Any: ...  # noqa: ANN401 - the generator protocol of `await`


class Environment(ABC):
    """Where nodes run. Create one for each run; `setup` and `teardown` bracket its use."""

    name: ClassVar[str]
    capabilities: frozenset[Capability] = frozenset(Capability)
    """What can be injected here. Known in full after `setup`, which takes away what this machine turns out to lack."""

    def __init__(self, nodes: tuple[Node, ...], say: Callable[[str], None]) -> None:
        """`say` receives one-line notices for a person (what is being built, what was cleaned up)."""
        self.nodes = nodes
        self.say = say

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str | None:
        """Why this environment cannot be used on this machine, in one line; None if it can. Quick and harmless."""

    # -- time and tasks ------------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `main`, run to its end with this environment's time. SIGTERM and Ctrl-C cancel `main`."""

    @abstractmethod
    def now_ns(self) -> int:
        """Nanoseconds since `run` began; monotonic, untouched by clock faults."""

    @abstractmethod
    def call_at(self, time_ns: int, callback: Callable[[], None]) -> None:
        """Arrange that `callback` is called once when `now_ns() >= time_ns`."""

    @abstractmethod
    def spawn(self, task: Coroutine[Any, Any, None]) -> None:
        """Run `task` beside its caller. An exception that escapes it ends `run` with that exception."""

    @abstractmethod
    def future(self) -> Future[Any]:
        """A new, unset future."""

    @abstractmethod
    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait that long, in this environment's time."""

    async def on_all(self, nodes: Sequence[Node], action: Callable[[Node], Awaitable[T]]) -> dict[Node, T]:
        """What the action returned for each of the nodes, done to all at once.

        The first `EnvironmentFailure` is raised when all have ended.
        """
        outcomes: dict[Node, T] = {}
        failures: list[EnvironmentFailure] = []
        ended = self.future()

        async def act(node: Node) -> None:
            try:
                outcomes[node] = await action(node)
            except EnvironmentFailure as failure:
                failures.append(failure)
            if len(outcomes) + len(failures) == len(nodes) and not ended.done():  # its waiter may have been cancelled
                ended.set_result(None)

        for node in nodes:
            self.spawn(act(node))
        if nodes:
            await ended
        if failures:
            raise failures[0]
        return {node: outcomes[node] for node in nodes}

    # -- the cluster ---------------------------------------------------------------------------------------------

    @abstractmethod
    async def setup(self) -> None:
        """Prepare the place (cleaning up after harnesses that died) and start every node; does not wait for a leader.

        Raises `UsageError` if that is impossible here, `EnvironmentFailure` if it went wrong.
        """

    @abstractmethod
    async def teardown(self) -> bool:
        """Stop and remove everything that `setup` made. Safe after a failed `setup`, and twice.

        Whether all of it is gone: what resists is said, not raised.
        """

    @abstractmethod
    def remains(self) -> Mapping[str, object] | None:
        """What `harness.heal` needs, as JSON, to find what this process leaves if it dies; None if that is nothing."""

    @abstractmethod
    async def start(self, node: Node) -> None:
        """Start a node that is not running, on the data it left; a running node is left alone."""

    @abstractmethod
    async def stop(self, node: Node) -> None:
        """Ask a node to end in order and wait until it has."""

    @abstractmethod
    async def kill(self, node: Node) -> bool:
        """SIGKILL: the process is gone, what it had written is kept. Whether there was one to kill."""

    @abstractmethod
    async def pause(self, node: Node) -> bool:
        """SIGSTOP: the process holds its memory and sockets but does not run. Whether there was one to pause."""

    @abstractmethod
    async def resume(self, node: Node) -> None:
        """SIGCONT. A node that is not paused is left alone."""

    @abstractmethod
    async def slow(self, node: Node, share: float) -> None:
        """Let the node stand still for that share of the time, a hundred milliseconds at a time; 0 lifts that."""

    async def throttle(self, node: Node, quota_ms: float) -> None:
        """Let the node's machine use a processor for just so long in each tenth of a second; 0 lifts that."""
        raise EnvironmentFailure(f"{node}: {self.name} cannot limit the processor of its machine")

    @abstractmethod
    async def hog(self, node: Node, megabytes: int) -> None:
        """Take so much of the memory of the node's machine; 0 gives it back."""

    @abstractmethod
    async def cut(self, grudge: Grudge) -> None:
        """From now on each destination drops the packets of its sources; replaces the grudge that was in force."""

    async def heal(self) -> None:
        """Lift the grudge: every node hears every other."""
        await self.cut({})

    @abstractmethod
    async def cut_clients(self, nodes: Iterable[Node]) -> None:
        """From now on just these nodes drop what comes from anybody but their peers."""

    @abstractmethod
    async def shape(self, traffic: Mapping[Node, Traffic]) -> None:
        """From now on this is done to packets that come to these nodes from their peers; nothing to others'."""

    @abstractmethod
    async def set_clock(self, node: Node, setting: ClockSetting) -> None:
        """Set the node's clock; works on a paused or dead node too, and outlives a restart, as real clocks do."""

    @abstractmethod
    async def set_disk(self, node: Node, setting: DiskSetting) -> None:
        """Set how the node's disk behaves from the next write on; works on a dead node too."""

    # -- evidence ------------------------------------------------------------------------------------------------

    @property
    def digest(self) -> Digest | None:
        """Of all that happens, in its order, where a seed makes the same run again; None on real time."""
        return None

    @abstractmethod
    async def observe(self, node: Node) -> Sight:
        """What can be seen of the node now."""

    @abstractmethod
    async def heard(self, pairs: Iterable[Pair]) -> frozenset[Pair]:
        """Those of the pairs whose destination hears its source now, found out by sending packets."""

    async def running(self, node: Node) -> bool:
        """Whether the node's process exists (a paused one does)."""
        return (await self.observe(node)).pid is not None

    async def last_words(self, node: Node) -> str | None:
        """The last line of the log of a node whose process has ended; None if it lives, or if there is no such line."""
        return None

    @abstractmethod
    async def fetch(self, directory: Path) -> None:
        """Copy each node's log and trace to `directory/<node>/`; what cannot be had is said, not raised."""

    # -- clients -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def connect(self, node: Node, timeout_s: float) -> Connection:
        """A new connection from the harness to the node. Raises `ConnectFailed`."""
