"""Machines that exist already, reached by SSH.

Lives here: a run's life on machines that are not ours. Must not live here: connections (ssh_connection.py), what a
machine is given and how it is cleaned (ssh_machine.py), or what an agent does.

On each machine everything of ours is in one directory, in chains whose names bear the run's token, and in processes
that carry the directory's name: so all of it can be found and removed, whatever became of the harness. Nodes are the
agent's children in groups of their own, and outlive a connection that drops; the agent is then started anew. No rule
of ours ever matches the port of sshd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from harness.adapters.base import Adapter, Place
from harness.environments import ssh_machine
from harness.environments.agent_link import Channel
from harness.environments.agents import PREFIX, SERVICE_PORT, AgentEnvironment
from harness.environments.base import Capability, Node, NotAllRemoved
from harness.environments.blocking import in_thread
from harness.environments.ssh_access import SshAccess, node_address
from harness.environments.ssh_connection import SshConnection
from harness.environments.ssh_hosts import SshHost, require_host
from harness.environments.together import all_of
from harness.errors import EnvironmentFailure, UsageError

_RESOLVE_DEADLINE_S = 10.0
_TOKEN_DIGITS = 8


class SshEnvironment(AgentEnvironment):
    """Real processes on machines that somebody else keeps, which have python3, and root or a sudo that does not ask."""

    name: ClassVar[str] = "ssh"
    capabilities = frozenset(Capability) - {Capability.CPU_QUOTA}

    def __init__(
        self,
        hosts: Sequence[SshHost],
        say: Callable[[str], None],
        adapter: Adapter,
        access: SshAccess | None = None,
        clock: str = "node",
    ) -> None:
        """Raises `UsageError` if ~/.ssh/config cannot be read."""
        super().__init__(tuple(host.node for host in hosts), say, adapter, clock=clock)
        self._hosts = {host.node: host for host in hosts}
        self._access = access or SshAccess()
        self._connections = {host.node: SshConnection(host, self._access, say) for host in hosts}
        self._directories: dict[Node, str] = {}
        self._server_ports: dict[Node, int] = {}

    @classmethod
    def unavailable(cls) -> str | None:
        return None if find_spec("paramiko") else "paramiko is missing: install the package paramiko"

    # -- life of the cluster -------------------------------------------------------------------------------------------

    async def setup(self) -> None:
        await self._refuse_twins()
        await all_of(self._prepare_machine(node) for node in self.nodes)
        await self._attach()
        await all_of(self._prepare(node) for node in self.nodes)

    async def _refuse_twins(self) -> None:
        """See that no machine is named twice, in whatever ways. What cannot be resolved yet is told later."""
        nodes: dict[str, list[Node]] = {}

        async def resolve(node: Node) -> None:
            with suppress(UsageError, TimeoutError):
                nodes.setdefault(await self._resolve(node), []).append(node)

        await all_of(map(resolve, self.nodes))
        for address, twins in nodes.items():
            if len(twins) > 1:
                *first, last = sorted(twins, key=self.nodes.index)
                named = f"{', '.join(first)} and {last}"
                raise UsageError(f"--hosts: {named} are the same machine, {address}: name another one for each node")

    async def _resolve(self, node: Node) -> str:
        """The address under which the other nodes reach it. Raises `UsageError`, TimeoutError."""
        resolve = partial(node_address, self._hosts[node], self._connections[node].endpoint)
        return await in_thread("resolve", resolve, _RESOLVE_DEADLINE_S)

    async def _prepare_machine(self, node: Node) -> None:
        connection = self._connections[node]
        await connection.connect()
        await connection.gain_root()
        self._server_ports[node] = await connection.server_port()
        address = await self._resolve(node)
        directory = await ssh_machine.run_directory(connection, self._token_of(node))
        self._directories[node] = directory
        self._places[node] = Place(address, SERVICE_PORT, ssh_machine.node_directory(directory, node))
        await ssh_machine.install(connection, directory)

    async def teardown(self) -> bool:
        await self._settle()
        self._detach()
        outcomes = await all_of(self._clean(node) for node in self._directories)
        await all_of(connection.close() for connection in self._connections.values())
        return all(outcomes)

    async def _clean(self, node: Node) -> bool:
        connection = self._connections[node]
        try:
            await connection.connect()
            await ssh_machine.clean(connection, self._directories[node], f"{PREFIX}-{self._token_of(node)}-")
        except (EnvironmentFailure, UsageError) as error:
            self.say(f"teardown: {error}; `splitbrain heal` removes what is left on {self._hosts[node].host}")
            return False
        return True

    def remains(self) -> Mapping[str, object]:
        access = {
            # Whoever heals may be in another directory.
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in asdict(self._access).items()
        }
        hosts = [{"token": self._token_of(node), "host": asdict(host)} for node, host in self._hosts.items()]
        return {"hosts": hosts, "access": access}

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _token_of(self, node: Node) -> str:
        """A name for what the node has on its machine: two nodes may be on the same one."""
        number = f"{self.nodes.index(node):02x}"
        return self._token[: _TOKEN_DIGITS - len(number)] + number

    def _prefix(self, node: Node) -> str:
        # Without the node's name: the token is its own, and the names of chains are short.
        return f"{PREFIX}-{self._token_of(node)}"

    def _python(self, node: Node) -> str:
        return ssh_machine.interpreter(self._directories[node])

    def _control_port(self, node: Node) -> int:
        return self._server_ports[node]

    async def _open_channel(self, node: Node, command: list[str]) -> Channel:
        connection = self._connections[node]
        try:
            await connection.connect()
        except UsageError as error:  # it let us in before, so it is the machine that has changed
            raise EnvironmentFailure(str(error)) from error
        whole = ssh_machine.with_variables(self._directories[node], *command)
        return await connection.open_channel(*whole, as_root=True)


async def reclaim(remains: Mapping[str, object]) -> list[str]:
    """Remove what a dead run left on its machines, given its `remains`; a line for each thing.

    Raises `NotAllRemoved` if machines cannot be reached, after all the others have been cleaned.
    """
    left = msgspec.convert(remains, _Remains)
    removed: list[str] = []
    failures: list[str] = []

    async def clean(machine: _Machine) -> None:
        try:
            removed.extend(await _reclaim_machine(machine, left.access))
        except EnvironmentFailure as failure:
            failures.append(str(failure))

    await all_of(clean(machine) for machine in left.hosts)
    if failures:
        raise NotAllRemoved("; ".join(dict.fromkeys(failures)), removed)
    return removed


async def _reclaim_machine(machine: _Machine, options: _Access) -> list[str]:
    notices: list[str] = []
    try:
        connection = SshConnection(machine.host, options.access(), notices.append)
        try:
            await connection.connect()
            await connection.gain_root()
            directory = await ssh_machine.run_directory(connection, machine.token)
            lines = await ssh_machine.clean(connection, directory, f"{PREFIX}-{machine.token}-")
        finally:
            await connection.close()
    except UsageError as error:  # not the user's mistake now, but something has changed since the run
        raise EnvironmentFailure(str(error)) from error
    return [*notices, *(f"{machine.host.node}: {line}" for line in lines)]


class _Access(msgspec.Struct):
    identity: str | None
    known_hosts: str | None
    accept_unknown_hosts: bool

    def access(self) -> SshAccess:
        return SshAccess.of(self.identity, self.known_hosts, self.accept_unknown_hosts)


class _Machine(msgspec.Struct):
    token: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}\Z")]
    host: SshHost

    def __post_init__(self) -> None:
        require_host(self.host)


class _Remains(msgspec.Struct):
    hosts: list[_Machine]
    access: _Access
