"""What the conformance suite must know of each environment, beside the contract.

Lives here: how one is made, which packets really get through in it, and what is left of it afterwards. Must not live
here: what an environment should do (the tests).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from harness.adapters.raft_register import RaftRegister
from harness.environments.agents import PREFIX
from harness.environments.base import Environment, Node
from harness.environments.docker import DockerEnvironment
from harness.environments.local import LocalEnvironment
from harness.environments.owner import RUN
from harness.environments.sim.environment import SimEnvironment
from leftovers import on_engine, pids_of, processes_naming, things_labelled

if TYPE_CHECKING:
    from docker.models.containers import Container

    from docker import DockerClient

NODES = ("n1", "n2", "n3")
DISK_MEGABYTES = 16
_PORT = 7979
"""For datagrams of our own, which are neither the service's nor an agent's."""

Heard = Mapping[Node, frozenset[Node]]
"""Whose packets each node receives: destination -> sources. What a grudge forbids is missing."""


class Ground(ABC):
    """One environment, and a view of it that does not go through its contract."""

    logs: ClassVar[tuple[str, ...]] = ("node.log", "trace.jsonl")
    """What `fetch` brings of each node."""

    adapter: ClassVar[RaftRegister] = RaftRegister()
    """What runs there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []

    @abstractmethod
    def make(self, adapter: RaftRegister) -> Environment:
        """The environment; used once."""

    @abstractmethod
    async def heard(self) -> Heard:
        """Whose packets each node receives now. One that is sent may be lost, but none is heard that is dropped."""

    @abstractmethod
    def left(self) -> list[str]:
        """What is there although the environment has been torn down."""

    async def kill_agent(self, node: Node) -> None:
        """End the process through which the environment does things to the node; the node's own lives on."""
        pytest.skip("its nodes have no agents")


class SimGround(Ground):
    logs = ("trace.jsonl",)  # a simulated node is no process, and prints nothing

    def make(self, adapter: RaftRegister) -> Environment:
        self._environment = SimEnvironment(NODES, self.said.append, adapter, seed=1, directory=self.directory)
        return self._environment

    async def heard(self) -> Heard:
        heard: dict[Node, set[Node]] = {node: set() for node in NODES}
        for source, destination in _pairs():
            self._environment.network.send(source, destination, heard[destination].add, source)
        await self._environment.sleep(1)
        return {node: frozenset(sources) for node, sources in heard.items()}

    def left(self) -> list[str]:
        return []


class LocalGround(Ground):
    def make(self, adapter: RaftRegister) -> Environment:
        self._environment = LocalEnvironment(NODES, self.said.append, adapter, self.directory, DISK_MEGABYTES)
        return self._environment

    async def heard(self) -> Heard:
        """Datagrams from each node's address to each other's: all addresses are this machine's."""
        names = {self._environment.address(node)[0]: node for node in NODES}
        with ExitStack() as stack:
            sockets = {name: stack.enter_context(_datagrams(address)) for address, name in names.items()}
            for source, destination in _pairs():
                sockets[source].sendto(b"?", sockets[destination].getsockname())
            await self._environment.sleep(0.05)
            return {node: frozenset(names[address] for address in _senders(sockets[node])) for node in NODES}

    def left(self) -> list[str]:
        chains = subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True).stdout
        return processes_naming(str(self.directory)) + [line for line in chains.splitlines() if PREFIX in line]

    async def kill_agent(self, node: Node) -> None:
        command = f"harness.agent --directory {self.directory / node} "
        for pid in await asyncio.to_thread(pids_of, command):
            os.kill(pid, signal.SIGKILL)


EXCHANGE = (
    f"PORT = {_PORT}"
    + """
import socket, sys, time
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind(("", PORT))
own.settimeout(0.02)
heard, end = set(), time.monotonic() + 1.5
while time.monotonic() < end and len(heard) < len(sys.argv) - 1:
    for other in sys.argv[1:]:
        own.sendto(b"?", (other, PORT))
    try:
        heard.add(own.recvfrom(1)[1][0])
    except (TimeoutError, ConnectionRefusedError):
        pass
for other in sys.argv[1:] * 5:
    own.sendto(b"?", (other, PORT))
print(*heard)
"""
)


KILL_AGENT = """
import os, pathlib, signal
commands = {file: file.read_bytes().split(b"\\0") for file in pathlib.Path("/proc").glob("[0-9]*/cmdline")}
(agent,) = (int(file.parent.name) for file, command in commands.items() if b"harness.agent" in command)
os.kill(agent, signal.SIGKILL)
"""


class DockerGround(Ground):
    def make(self, adapter: RaftRegister) -> Environment:
        self._environment = DockerEnvironment(NODES, self.said.append, adapter, disk_megabytes=DISK_MEGABYTES)
        return self._environment

    def _containers(self, client: DockerClient) -> dict[Node, Container]:
        """The nodes' containers, and nobody else's: other tests may have some of their own meanwhile."""
        made = client.containers.list(filters={"label": f"{RUN}={self._environment._run}"})
        return {container.attrs["Config"]["Hostname"]: container for container in made}

    async def heard(self) -> Heard:
        """Datagrams that programs inside the containers exchange."""
        containers = await asyncio.to_thread(on_engine, self._containers)
        names = {_address(container): node for node, container in containers.items()}

        async def exchange(node: Node) -> frozenset[Node]:
            others = [address for address, name in names.items() if name != node]
            command = ["python3", "-c", EXCHANGE, *others]
            _, output = await asyncio.to_thread(partial(containers[node].exec_run, command, stderr=False))
            return frozenset(names[address] for address in output.decode().split())

        return dict(zip(NODES, await asyncio.gather(*map(exchange, NODES)), strict=True))

    def left(self) -> list[str]:
        return things_labelled({RUN: self._environment._run})

    async def kill_agent(self, node: Node) -> None:
        def kill(client: DockerClient) -> None:
            code, output = self._containers(client)[node].exec_run(["python3", "-c", KILL_AGENT])
            assert (code, output) == (0, b""), output.decode()

        await asyncio.to_thread(on_engine, kill)


class FaketimeGround(DockerGround):
    """Containers in which a library lies about the system's clock, and nodes that look at that one."""

    adapter = RaftRegister(clock_base="realtime")

    def make(self, adapter: RaftRegister) -> Environment:
        self._environment = DockerEnvironment(NODES, self.said.append, adapter, clock="libfaketime")
        return self._environment


class LocalFaketimeGround(LocalGround):
    """The same on this machine."""

    adapter = RaftRegister(clock_base="realtime")

    def make(self, adapter: RaftRegister) -> Environment:
        if not [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]:
            pytest.skip("libfaketime is not installed: install the package libfaketime")
        self._environment = LocalEnvironment(NODES, self.said.append, adapter, self.directory, clock="libfaketime")
        return self._environment


def _pairs() -> list[tuple[Node, Node]]:
    return [(source, destination) for source in NODES for destination in NODES if source != destination]


def _datagrams(address: str) -> socket.socket:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((address, _PORT))
    own.setblocking(False)
    return own


def _senders(own: socket.socket) -> list[str]:
    """From which addresses datagrams have come."""
    senders = []
    while True:
        try:
            senders.append(own.recvfrom(1)[1][0])
        except BlockingIOError:
            return senders


def _address(container: Container) -> str:
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


GROUNDS: Mapping[str, type[Ground]] = {
    "sim": SimGround,
    "local": LocalGround,
    "docker": DockerGround,
    "libfaketime": FaketimeGround,
    "local-libfaketime": LocalFaketimeGround,
}
EVERYWHERE = [
    "sim",
    pytest.param("local", marks=pytest.mark.local),
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("ssh-namespaces", marks=pytest.mark.local),
    pytest.param("ssh-containers", marks=pytest.mark.docker),
]
"""The environments as parameters of the fixture `ground`."""
