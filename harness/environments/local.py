"""Nodes as processes of this machine, in the private namespace that `namespace.reexecute` made.

Lives here: node processes, their directories, and the packet filter between their addresses. Must not live here: how
the namespace is made, or what a rule looks like.

Every node has an address of its own on the loopback device (127.0.1.1, 127.0.1.2, ...) and the harness has 127.0.0.1,
so one rule separates two nodes and no rule separates a node from its clients. A node must use its own address as the
source of the connections it opens: what comes from 127.0.0.1 passes every cut.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

from harness.adapters.base import Adapter, Place
from harness.environments import iptables, namespace
from harness.environments.base import ClockSetting, EnvironmentFailure, Grudge, Node, UsageError
from harness.environments.command import run
from harness.environments.realtime import RealTimeEnvironment
from harness.environments.scratch import Scratch, remove_abandoned

_FIRST_ADDRESS = IPv4Address("127.0.1.1")
_PORT = 7000
_PREFIX = "splitbrain-local-"
_DEADLINE_S = 10.0
_POLL_S = 0.002


class LocalEnvironment(RealTimeEnvironment):
    """Real processes behind a real packet filter, without root and without containers."""

    name: ClassVar[str] = "local"

    def __init__(
        self, nodes: tuple[Node, ...], say: Callable[[str], None], adapter: Adapter, directory: Path | None = None
    ) -> None:
        """Nodes keep their files under `directory`, which stays; by default in a temporary one, which does not."""
        super().__init__(nodes, say)
        self._adapter = adapter
        self._directory = directory
        self._scratch: Scratch | None = None
        self._filtering = False
        self._places: dict[Node, Place] = {}
        self._processes: dict[Node, asyncio.subprocess.Process] = {}

    @classmethod
    def unavailable(cls) -> str | None:
        return namespace.unavailable()

    def address(self, node: Node) -> tuple[str, int]:
        return self._places[node].address, self._places[node].port

    # -- life of the cluster -------------------------------------------------------------------------------------------

    async def setup(self) -> None:
        if not namespace.inside():
            raise UsageError("the local environment works only in its own namespace: start it by namespace.reexecute")
        for abandoned in await asyncio.to_thread(remove_abandoned, _PREFIX):
            self.say(f"removed {abandoned}, left by a harness that was killed")
        root = self._root()
        for index, node in enumerate(self.nodes):
            place = Place(str(_FIRST_ADDRESS + index), _PORT, str(root / node))
            Path(place.data).mkdir(parents=True, exist_ok=True)
            self._places[node] = place
        await _filter(iptables.installation())
        self._filtering = True
        for node in self.nodes:
            await self.set_clock(node, ClockSetting())
            await self.start(node)

    def _root(self) -> Path:
        if self._directory is None:
            self._scratch = Scratch(_PREFIX)
            return self._scratch.path
        return self._directory.resolve()

    async def teardown(self) -> None:
        for node in self.nodes:
            try:
                await self.kill(node)
            except EnvironmentFailure as error:
                self.say(f"teardown: {error}")
        try:
            await self._release()
        except (EnvironmentFailure, OSError) as error:
            self.say(f"teardown: {error}")

    async def _release(self) -> None:
        if self._filtering:
            self._filtering = False
            await _filter(iptables.removal())
        if self._scratch is not None:
            scratch, self._scratch = self._scratch, None
            await asyncio.to_thread(scratch.remove)

    # -- processes -----------------------------------------------------------------------------------------------------

    async def start(self, node: Node) -> None:
        if await self.running(node):
            return
        place = self._places[node]
        command = self._adapter.command(sys.executable, node, self._places)
        try:
            with Path(place.log).open("ab") as log:
                self._processes[node] = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=place.directory,
                    start_new_session=True,  # a group of its own: signals reach the node's children too
                )
        except OSError as error:
            raise EnvironmentFailure(f"{node} could not be started: {error}") from error

    async def stop(self, node: Node) -> None:
        if await self.running(node):
            self._signal(node, signal.SIGTERM)
            self._signal(node, signal.SIGCONT)  # a paused process gets no SIGTERM
            await self._wait_for_end(node)

    async def kill(self, node: Node) -> None:
        if await self.running(node):
            self._signal(node, signal.SIGKILL)
            await self._wait_for_end(node)

    async def pause(self, node: Node) -> None:
        if await self.running(node):
            self._signal(node, signal.SIGSTOP)
            await self._wait_for_stop(node)

    async def resume(self, node: Node) -> None:
        if await self.running(node):
            self._signal(node, signal.SIGCONT)

    async def running(self, node: Node) -> bool:
        process = self._processes.get(node)
        return process is not None and process.returncode is None

    def _signal(self, node: Node, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(self._processes[node].pid, number)

    async def _wait_for_end(self, node: Node) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await self._processes[node].wait()
        except TimeoutError as error:
            raise EnvironmentFailure(f"{node} did not end within {_DEADLINE_S:.0f} s") from error

    async def _wait_for_stop(self, node: Node) -> None:
        """Wait until the kernel says so: a signal only asks for it."""
        pid = self._processes[node].pid
        state = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        try:
            async with asyncio.timeout(_DEADLINE_S):
                while await self.running(node) and os.waitid(os.P_PID, pid, state) is None:
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise EnvironmentFailure(f"{node} did not stop within {_DEADLINE_S:.0f} s") from error
        except ChildProcessError:  # it has just ended by itself
            await self._wait_for_end(node)

    # -- network, clocks, files ----------------------------------------------------------------------------------------

    async def cut(self, grudge: Grudge) -> None:
        await _filter(iptables.replacement(grudge, {node: place.address for node, place in self._places.items()}))

    async def heal(self) -> None:
        await self.cut({})

    async def set_clock(self, node: Node, setting: ClockSetting) -> None:
        clock = Path(self._places[node].clock)
        written = clock.with_suffix(".new")
        written.write_text(json.dumps(asdict(setting)), encoding="utf-8")
        written.replace(clock)

    async def fetch(self, directory: Path) -> None:
        for node, place in self._places.items():
            (directory / node).mkdir(parents=True, exist_ok=True)
            for source in (Path(place.log), Path(place.trace)):
                try:
                    await asyncio.to_thread(shutil.copyfile, source, directory / node / source.name)
                except shutil.SameFileError:  # kept there from the beginning
                    continue
                except OSError as error:
                    self.say(f"{node}: no {source.name}: {error.strerror}")


async def _filter(script: str) -> None:
    await run(*iptables.COMMAND, stdin=script, deadline_s=_DEADLINE_S)
