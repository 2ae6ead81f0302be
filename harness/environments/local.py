"""Nodes as processes of this machine, in the private namespace that `namespace.reexecute` made.

Lives here: the nodes' addresses and directories, and a pipe to each agent. Must not live here: how the namespace is
made, or what an agent does.

Every node has an address of its own on the loopback device (127.0.1.1, 127.0.1.2, ...) and the harness has 127.0.0.1,
so one rule separates two nodes and no rule separates a node from its clients. A node must use its own address as the
source of the connections it opens: what comes from 127.0.0.1 passes every cut.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

from harness.adapters.base import Adapter, Place
from harness.environments import namespace
from harness.environments.agent_link import Channel
from harness.environments.agents import SERVICE_PORT, AgentEnvironment
from harness.environments.base import Capability, Node
from harness.environments.command import run
from harness.environments.scratch import Scratch, remove_abandoned
from harness.environments.together import all_of
from harness.errors import LEFT, EnvironmentFailure, UsageError

_FIRST_ADDRESS = IPv4Address("127.0.1.1")
_PREFIX = "splitbrain-local-"
_MOUNT_S = 10.0


class LocalEnvironment(AgentEnvironment):
    """Real processes behind a real packet filter, without root and without containers."""

    name: ClassVar[str] = "local"
    capabilities = frozenset(Capability) - {Capability.CPU_QUOTA}

    def __init__(
        self,
        nodes: tuple[Node, ...],
        say: Callable[[str], None],
        adapter: Adapter,
        directory: Path | None = None,
        disk_megabytes: int | None = None,
        clock: str = "node",
    ) -> None:
        """Nodes keep their files under `directory`, which stays; by default in a temporary one, which does not."""
        super().__init__(nodes, say, adapter, disk_megabytes, clock)
        self._directory = directory
        self._scratch: Scratch | None = None
        self._disks: list[str] = []

    @classmethod
    def unavailable(cls) -> str | None:
        return namespace.unavailable()

    async def setup(self) -> None:
        if not namespace.inside():
            raise UsageError("the local environment works only in its own namespace: start it by namespace.reexecute")
        for abandoned in await asyncio.to_thread(remove_abandoned, _PREFIX):
            self.say(f"removed {abandoned}, left by a harness that was killed")
        root = self._root()
        for index, node in enumerate(self.nodes):
            self._places[node] = Place(str(_FIRST_ADDRESS + index), SERVICE_PORT, str(root / node))
        if self._disk_megabytes is not None:
            await all_of(self._mount_disk(place.data, self._disk_megabytes) for place in self._places.values())
        await self._attach()
        await all_of(self._prepare(node) for node in self.nodes)

    def _python(self, node: Node) -> str:
        return sys.executable

    def _root(self) -> Path:
        if self._directory is None:
            self._scratch = Scratch(_PREFIX)
            return self._scratch.path
        return self._directory.resolve()

    async def _open_channel(self, node: Node, command: list[str]) -> Channel:
        directory = Path(self._places[node].directory)
        directory.mkdir(parents=True, exist_ok=True)
        return await asyncio.to_thread(PipeChannel, command, directory / "agent.log")

    async def _mount_disk(self, data: str, megabytes: int) -> None:
        """In the namespace only: whoever is outside sees an empty directory, and the kernel takes it away with us."""
        await asyncio.to_thread(Path(data).mkdir, parents=True, exist_ok=True)
        await run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "splitbrain", data, deadline_s=_MOUNT_S)
        self._disks.append(data)

    async def _unmount_disks(self) -> None:
        while self._disks:
            await run("umount", self._disks.pop(), deadline_s=_MOUNT_S)

    async def teardown(self) -> bool:
        await self._settle()
        clean = True
        for step in (self._end_nodes, self._unmount_disks, self._remove_scratch):
            try:
                await step()
            except (EnvironmentFailure, OSError) as error:
                self.say(f"teardown: {error}")
                clean = False
        self._detach()
        return clean

    async def _left(self) -> str:
        return f"its processes end with this one, and {LEFT}"

    def remains(self) -> Mapping[str, object]:
        return {}  # the kernel takes the namespace away, and all that is in it

    async def _remove_scratch(self) -> None:
        if self._scratch is not None:
            scratch, self._scratch = self._scratch, None
            await asyncio.to_thread(scratch.remove)

    async def fetch(self, directory: Path) -> None:
        """Everything is on this machine's disk, and usually in the right place from the beginning."""
        for node, place in self._places.items():
            (directory / node).mkdir(parents=True, exist_ok=True)
            for source in (Path(place.log), Path(place.trace)):
                try:
                    await asyncio.to_thread(shutil.copyfile, source, directory / node / source.name)
                except shutil.SameFileError:
                    continue
                except OSError as error:
                    self.say(f"{node}: no {source.name}: {error.strerror}")


class PipeChannel:
    """An agent as a child of this process, reached through its standard input and output."""

    def __init__(self, command: list[str], log: Path) -> None:
        with log.open("ab") as errors:
            # A session of its own: a terminal's Ctrl-C is for the harness, which still needs the agent to clean up.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, bufsize=0
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self._output = self._process.stdout.fileno()

    def send(self, data: bytes) -> None:
        try:
            self._input.write(data)
        except ValueError as error:  # closed meanwhile
            raise BrokenPipeError(str(error)) from error

    def receive(self) -> bytes:
        return os.read(self._output, 1 << 16)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()
