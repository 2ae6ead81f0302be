"""The simulator as an environment: the contract, carried out in virtual time.

Lives here: which simulated thing each operation of the contract becomes. Must not live here: how those things work.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar

import msgspec

from harness.adapters.raft_register import RaftRegister
from harness.agent.traffic import Traffic
from harness.digest import Digest
from harness.environments.base import (
    CallFailed,
    Capability,
    ConnectFailed,
    Connection,
    Environment,
    Grudge,
    Node,
    Pair,
    Sight,
)
from harness.environments.faults import ClockSetting, DiskSetting
from harness.environments.sim.host import DUTY_NS, TICK_NS, Answer, Host
from harness.environments.sim.loop import Loop, SimFuture
from harness.environments.sim.network import Network
from harness.errors import EnvironmentFailure, UsageError
from raft_impl.codec import encode
from raft_impl.mutants import UnknownMutantError, find
from raft_impl.node import NodeConfig
from raft_impl.trace import TraceRecord
from raft_impl.types import Message

T = TypeVar("T")
_MS_NS = 1_000_000
_SAMPLES = 25
_PROBES = 2
_HEARING_NS = 50 * _MS_NS
_HEARING_POLL_S = 0.005
_TRACE_BUFFER_BYTES = 1 << 16
_HEADER_BYTES = 56
"""Of IPv4, of TCP with time stamps, and of the frame."""


class SimEnvironment(Environment):
    """Simulated nodes. Everything that happens follows from `seed`; traces go to `directory/<node>/trace.jsonl`."""

    name: ClassVar[str] = "sim"
    capabilities = frozenset(Capability) - {Capability.MEMORY, Capability.CPU_QUOTA}

    def __init__(
        self, nodes: tuple[Node, ...], say: Callable[[str], None], adapter: RaftRegister, seed: int, directory: Path
    ) -> None:
        super().__init__(nodes, say)
        self._adapter = adapter
        self._seed = seed
        self._directory = directory
        self._loop = Loop()
        self._digest = Digest()
        self.network = Network(self._loop, seed, _packet_bytes)
        self.hosts: dict[Node, Host] = {}
        """The servers, for their counters of what faults did (`disk.seen`, `disk_error`, `standstills`)."""
        self._traces: list[BinaryIO] = []
        self._next_connection = 0

    @classmethod
    def unavailable(cls) -> str | None:
        return None

    # -- time and tasks ------------------------------------------------------------------------------------------

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._loop.run(main)

    def now_ns(self) -> int:
        return self._loop.now_ns

    def call_at(self, time_ns: int, callback: Callable[[], None]) -> None:
        self._loop.at(time_ns, lambda _: callback())

    def spawn(self, task: Coroutine[Any, Any, None]) -> None:
        self._loop.spawn(task)

    def future(self) -> SimFuture:
        return SimFuture()

    def sleep(self, seconds: float) -> SimFuture:
        return self._loop.sleep(seconds)

    # -- the cluster ---------------------------------------------------------------------------------------------

    async def setup(self) -> None:
        if self._adapter.mutant is not None:
            try:
                find(self._adapter.mutant)
            except UnknownMutantError as error:
                raise UsageError(str(error)) from error
        for node in self.nodes:
            self.hosts[node] = self._host(node)
        for host in self.hosts.values():
            host.introduce(self.hosts.values())
        for host in self.hosts.values():
            host.start()

    def _host(self, node: Node) -> Host:
        config = NodeConfig(
            node,
            self.nodes,
            election_ticks=self._adapter.election_ms * _MS_NS // TICK_NS,
            heartbeat_ticks=self._adapter.heartbeat_ms * _MS_NS // TICK_NS,
            mutant=self._adapter.mutant,
        )
        return Host(config, self._loop, self.network, self._seed, self._trace_to(self._directory / node))

    def _trace_to(self, directory: Path) -> Callable[[TraceRecord], None]:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "trace.jsonl").open("wb", buffering=_TRACE_BUFFER_BYTES)
        self._traces.append(file)
        encode, write, digest = msgspec.json.Encoder().encode, file.write, self._digest.add

        def trace(record: TraceRecord) -> None:
            line = encode(record) + b"\n"
            try:
                write(line)
            except OSError as error:
                raise EnvironmentFailure(f"{directory}/trace.jsonl cannot be written: {error.strerror}") from error
            digest(line)

        return trace

    async def teardown(self) -> bool:
        for host in self.hosts.values():
            host.kill()
        for file in self._traces:
            with suppress(OSError):  # what could not be written has been said when it was tried
                file.close()
        return True

    def remains(self) -> None:
        return None

    async def start(self, node: Node) -> None:
        self.hosts[node].start()

    async def stop(self, node: Node) -> None:
        self.hosts[node].stop()

    async def kill(self, node: Node) -> bool:
        was_running = self.hosts[node].running
        self.hosts[node].kill()
        return was_running

    async def pause(self, node: Node) -> bool:
        self.hosts[node].pause()
        return self.hosts[node].running

    async def resume(self, node: Node) -> None:
        self.hosts[node].resume()

    async def slow(self, node: Node, share: float) -> None:
        self.hosts[node].slow(share)

    async def hog(self, node: Node, megabytes: int) -> None:
        raise EnvironmentFailure("a simulated machine has no memory to be short of")

    async def cut(self, grudge: Grudge) -> None:
        self.network.cut(grudge)

    async def cut_clients(self, nodes: Iterable[Node]) -> None:
        self.network.cut_clients(nodes)

    async def shape(self, traffic: Mapping[Node, Traffic]) -> None:
        for node in self.nodes:
            peers = [peer for peer in self.nodes if peer != node]
            self.network.shape(node, peers, traffic.get(node, Traffic()))

    async def set_clock(self, node: Node, setting: ClockSetting) -> None:
        self.hosts[node].set_clock(setting)

    async def set_disk(self, node: Node, setting: DiskSetting) -> None:
        self.hosts[node].disk.set(setting)

    # -- evidence ------------------------------------------------------------------------------------------------

    @property
    def digest(self) -> Digest:
        return self._digest

    async def observe(self, node: Node) -> Sight:
        host, seen = self.hosts[node], self.hosts[node].disk.seen
        stopped_share = await self._stopped_share(host) if host.is_slow else 0.0
        return Sight(
            pid=host.boot if host.running else None,
            paused=host.paused,
            stopped_share=stopped_share,
            caught=self.network.caught(node),
            packets=self.network.shaped(node),
            disk={"delayed": seen.delayed, "failed": seen.failed, "refused": seen.refused, "held": seen.held},
        )

    async def _stopped_share(self, host: Host) -> float:
        """How much of a period the server stands still, found out by looking again and again."""
        standing = 0
        for _ in range(_SAMPLES):
            standing += host.standing
            await self.sleep(DUTY_NS / _SAMPLES / 1e9)
        return standing / _SAMPLES

    async def heard(self, pairs: Iterable[Pair]) -> frozenset[Pair]:
        wanted, heard = frozenset(pairs), set[Pair]()
        for source, destination in sorted(wanted) * _PROBES:
            self.network.send(source, destination, heard.add, (source, destination))
        deadline_ns = self.now_ns() + _HEARING_NS
        while heard != wanted and self.now_ns() < deadline_ns:
            await self.sleep(_HEARING_POLL_S)
        return frozenset(heard)

    async def fetch(self, directory: Path) -> None:
        for file in self._traces:
            with suppress(OSError):
                file.flush()
        if directory.resolve() != self._directory.resolve():
            for node in self.hosts:
                copy = directory / node / "trace.jsonl"
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((self._directory / node / "trace.jsonl").read_bytes())

    # -- clients -------------------------------------------------------------------------------------------------

    async def connect(self, node: Node, timeout_s: float) -> Connection:
        outcome = SimFuture()
        host = self.hosts[node]
        # A standing process still has a kernel that accepts connections for it.
        self.network.ask(node, lambda _: outcome.offer(None if host.running else "connection refused"), None)
        self._loop.after(int(timeout_s * 1e9), outcome.offer, "timed out")
        if (refusal := await outcome) is not None:
            raise ConnectFailed(f"{node}: {refusal}")
        self._next_connection += 1
        return SimConnection(self._loop, self.network, host, f"client {self._next_connection}")


class SimConnection:
    """One client's connection to a simulated server."""

    def __init__(self, loop: Loop, network: Network, host: Host, name: str) -> None:
        self._loop = loop
        self._network = network
        self._host = host
        self._name = name
        self._boot = host.boot
        self._closed = False

    async def call(self, frame: bytes, timeout_s: float) -> bytes:
        if self._closed:
            raise CallFailed(f"{self._host.name}: connection closed")
        # Whichever comes first: the answer, the loss of the connection (None), or the time-out (text).
        outcome = SimFuture()
        self._network.ask(self._host.name, self._arrive, (frame, outcome.offer))
        self._loop.after(int(timeout_s * 1e9), outcome.offer, "timed out")
        answer = await outcome
        if not isinstance(answer, bytes):
            self._closed = True
            raise CallFailed(f"{self._host.name}: {answer or 'connection lost'}")
        return answer

    def _arrive(self, question: tuple[bytes, Answer]) -> None:
        frame, answer = question
        if self._host.boot == self._boot:
            self._host.request(self._name, frame, answer)
        else:
            # Started anew since: it knows nothing of this connection and resets it.
            self._network.answer(self._host.name, answer, None)

    def close(self) -> None:
        self._closed = True


def _packet_bytes(message: Message) -> int:
    return len(encode(message)) + _HEADER_BYTES
