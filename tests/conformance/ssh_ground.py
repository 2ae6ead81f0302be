"""Machines with an OpenSSH server as a ground of the conformance suite.

Lives here: what the suite must know of `SshEnvironment` beside the contract. Must not live here: making the machines
(`sshd`).
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from pathlib import Path

from ground import EXCHANGE, KILL_AGENT, NODES, Ground, Heard
from harness.adapters.raft_register import RaftRegister
from harness.environments.base import Environment, Node
from harness.environments.ssh import SshEnvironment
from sshd import Machine
from traces import difference, look


class SshGround(Ground):
    """Machines that stay from one test to the next, so that whatever a test leaves is seen."""

    def __init__(self, directory: Path, machines: Mapping[Node, Machine]) -> None:
        super().__init__(directory)
        self._machines = machines
        self._before: dict[Node, list[str]] = {}

    def make(self, adapter: RaftRegister) -> Environment:
        self._before = {node: self._look(machine) for node, machine in self._machines.items()}
        hosts = [self._machines[node].host() for node in NODES]
        return SshEnvironment(hosts, self.said.append, adapter, self._machines[NODES[0]].access())

    async def heard(self) -> Heard:
        """Datagrams that programs on the machines exchange."""
        names = {machine.address: node for node, machine in self._machines.items()}

        async def exchange(node: Node) -> frozenset[Node]:
            others = [address for address, name in names.items() if name != node]
            command = shlex.join(["python3", "-c", EXCHANGE, *others])
            output = await asyncio.to_thread(self._machines[node].execute, command)
            return frozenset(names[address] for address in output.split())

        return dict(zip(NODES, await asyncio.gather(*map(exchange, NODES)), strict=True))

    def left(self) -> list[str]:
        """Whatever has come to a machine, or gone from it, since before the environment was made."""
        now = {node: self._look(machine) for node, machine in self._machines.items()}
        return [f"{node}: {line}" for node in now for line in difference(self._before[node], now[node])]

    async def kill_agent(self, node: Node) -> None:
        command = shlex.join(["python3", "-c", KILL_AGENT])
        assert await asyncio.to_thread(self._machines[node].execute, command) == ""

    def _look(self, machine: Machine) -> list[str]:
        # A machine in a namespace has the disk of everybody; what is its own is in its directory.
        return look(machine.execute, "/" if machine.container else str(machine.keys.directory))
