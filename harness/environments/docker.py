"""One container a node, on a private network.

Lives here: the run's life on Docker, and how each fault is done there. Must not live here: SDK calls, threads, images.

A container's main process is idle, and the node's process is started and killed beside it: a container that is
restarted gets a new network namespace, which would silently lift a partition. Packets are dropped inside the container
of the node that refuses them. Clocks are the node's own by default; with `clock="libfaketime"` the library answers for
the system's wall clock, which works for any program but shifts only: a rate needs a faked monotonic clock, on which
programs hang.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import ClassVar

from harness.adapters.base import Adapter, Place
from harness.environments import containers, engine, iptables
from harness.environments.base import Capability, ClockSetting, EnvironmentFailure, Grudge, Node, UsageError
from harness.environments.base_image import VARIABLE
from harness.environments.engine import Engine, all_of
from harness.environments.node_image import node_image
from harness.environments.realtime import RealTimeEnvironment

CLOCKS = ("node", "libfaketime")

_PORT = 7000
_FIRST_HOST = 11  # of the subnet; the gateway, which is this machine, is the first
_PYTHON = "python3"
_REACH_TIMEOUT_S = 1.0
_CREATE_DEADLINE_S = 60.0
_CUT_LEAD_NS = 500_000_000
"""How far ahead the moment of a cut is set: long enough for every container to have been told of it."""

_FAKETIME = (
    "env",
    "LD_PRELOAD=/usr/local/lib/libfaketimeMT.so.1",
    "FAKETIME_NO_CACHE=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    # Else timed waits on the monotonic clock are prolonged, and a Python with two threads stalls for up to a second.
    "FAKETIME_FORCE_MONOTONIC_FIX=0",
    "FAKETIME_DISABLE_SHM=1",
)


class DockerEnvironment(RealTimeEnvironment):
    """Real processes in containers, behind real packet filters."""

    name: ClassVar[str] = "docker"

    def __init__(
        self,
        nodes: tuple[Node, ...],
        say: Callable[[str], None],
        adapter: Adapter,
        *,
        base_image: str | None = None,
        subnet: str | None = None,
        clock: str = "node",
    ) -> None:
        """`base_image`: what the image is built on, by default $SPLITBRAIN_BASE_IMAGE, else one found or made.

        `subnet`: the nodes' network, such as 10.213.7.0/24; by default one that nothing here uses.
        """
        super().__init__(nodes, say)
        if clock not in CLOCKS:
            raise UsageError(f"clock {clock}: there is no such kind; choose from {', '.join(CLOCKS)}")
        self._adapter = adapter
        self._base_image = base_image or os.environ.get(VARIABLE)
        self._subnet = _network(subnet)
        self._faketime = clock == "libfaketime"
        if self._faketime:
            self.capabilities = self.capabilities - {Capability.CLOCK_RATE}
        self._run = f"splitbrain-{secrets.token_hex(4)}"
        self._engine = Engine()
        self._places: dict[Node, Place] = {}
        self._reached: dict[Node, tuple[str, int]] = {}
        self._dropped: dict[Node, frozenset[Node]] = {}

    @classmethod
    def unavailable(cls) -> str | None:
        return engine.unavailable()

    def address(self, node: Node) -> tuple[str, int]:
        return self._reached[node]

    # -- life of the cluster -------------------------------------------------------------------------------------------

    async def setup(self) -> None:
        reason = await asyncio.to_thread(self.unavailable)
        if reason is not None:
            raise UsageError(reason)
        await self._clean_up()
        image = await node_image(self._engine, self.say, self._base_image)
        await self._create(image, published=False)
        if not await asyncio.to_thread(_reachable, self._reached[self.nodes[0]]):
            self.say("the containers' addresses cannot be reached from here: publishing their ports on 127.0.0.1")
            await self._remove(self._run)
            await self._create(image, published=True)
        await all_of(self._prepare(node) for node in self.nodes)

    async def _clean_up(self) -> None:
        """Remove what harnesses that were killed left behind."""
        for run, owner in (await self._engine.call("look for leftovers", containers.abandoned_runs)).items():
            count = await self._remove(run)
            self.say(f"removed {run} ({count} containers), left by a harness that is gone (process {owner.pid})")

    async def _create(self, image: str, published: bool) -> None:
        """The network and the containers, and where each is reached."""
        make = partial(containers.create_network, run=self._run, wanted=self._subnet, internal=not published)
        subnet = await self._engine.call("create a network", make)
        if subnet.num_addresses <= _FIRST_HOST + len(self.nodes):
            raise UsageError(f"the subnet {subnet} is too small for {len(self.nodes)} nodes: give one of /24")
        for index, node in enumerate(self.nodes, _FIRST_HOST):
            self._places[node] = Place(str(subnet[index]), _PORT, f"{containers.VOLUME}/{node}")
        await all_of(self._create_container(node, image, published) for node in self.nodes)

    async def _create_container(self, node: Node, image: str, published: bool) -> None:
        wanted = containers.Container(
            name=self._container(node),
            hostname=node,
            image=image,
            network=self._run,
            address=self._places[node].address,
            labels=containers.labels(self._run),
            published_port=_PORT if published else None,
        )
        create = partial(containers.create_container, wanted=wanted)
        await self._engine.call(f"create the container of {node}", create, _CREATE_DEADLINE_S)
        self._reached[node] = (wanted.address, _PORT)
        if published:
            find = partial(containers.published_port, container=wanted.name, port=_PORT)
            self._reached[node] = ("127.0.0.1", await self._engine.call(f"find the port of {node}", find))

    async def _prepare(self, node: Node) -> None:
        await self._control(node, "prepare", self._places[node].directory, iptables.installation())
        await self.set_clock(node, ClockSetting())
        await self.start(node)

    async def teardown(self) -> None:
        try:
            await self._remove(self._run)
        except EnvironmentFailure as error:
            self.say(f"teardown: {error}; the next run removes what is left of {self._run}")

    async def _remove(self, run: str) -> int:
        """The number of containers removed."""
        found = await self._engine.call("list containers", partial(containers.containers_of, run=run))
        await all_of(
            self._engine.call("remove a container", partial(containers.remove_container, container=container))
            for container in found
        )
        await self._engine.call("remove the network", partial(containers.remove_networks, run=run))
        return len(found)

    # -- processes -----------------------------------------------------------------------------------------------------

    async def start(self, node: Node) -> None:
        place = self._places[node]
        command = self._adapter.command(_PYTHON, node, self._places)
        if self._faketime:
            command = [*_FAKETIME, f"FAKETIME_TIMESTAMP_FILE={_faketime_file(place)}", *command]
        await self._control(node, "start", place.directory, *command)

    async def stop(self, node: Node) -> None:
        await self._control(node, "stop", self._places[node].directory)

    async def kill(self, node: Node) -> None:
        await self._control(node, "kill", self._places[node].directory)

    async def pause(self, node: Node) -> None:
        await self._control(node, "pause", self._places[node].directory)

    async def resume(self, node: Node) -> None:
        await self._control(node, "resume", self._places[node].directory)

    async def running(self, node: Node) -> bool:
        return await self._control(node, "running", self._places[node].directory) == "yes"

    def _container(self, node: Node) -> str:
        return f"{self._run}-{node}"

    async def _control(self, node: Node, *arguments: str) -> str:
        """What the control script inside the node's container printed."""
        execute = partial(containers.execute, container=self._container(node), command=("node", *arguments))
        return await self._engine.call(f"{arguments[0]} {node}", execute)

    # -- network, clocks, files ----------------------------------------------------------------------------------------

    async def cut(self, grudge: Grudge) -> None:
        none: frozenset[Node] = frozenset()
        wanted = {node: grudge.get(node, none) for node in self.nodes}
        moment_ns = time.time_ns() + _CUT_LEAD_NS
        await all_of(
            self._drop(node, sources, moment_ns)
            for node, sources in wanted.items()
            if sources != self._dropped.get(node, none)
        )

    async def _drop(self, node: Node, sources: frozenset[Node], moment_ns: int) -> None:
        addresses = {other: place.address for other, place in self._places.items()}
        await self._control(node, "filter", iptables.replacement({node: sources}, addresses), str(moment_ns))
        self._dropped[node] = sources

    async def heal(self) -> None:
        await self.cut({})

    async def set_clock(self, node: Node, setting: ClockSetting) -> None:
        place = self._places[node]
        if not self._faketime:
            await self._control(node, "write", place.clock, json.dumps(asdict(setting)))
        elif setting.rate != 1:
            raise UsageError("libfaketime can shift a clock but not change its rate: leave the clock to the node")
        else:
            await self._control(node, "write", _faketime_file(place), f"{setting.offset_ms / 1000:+.3f}")

    async def fetch(self, directory: Path) -> None:
        for node, place in self._places.items():
            (directory / node).mkdir(parents=True, exist_ok=True)
            for source in (place.log, place.trace):
                read = partial(containers.read_file, container=self._container(node), path=source)
                try:
                    content = await self._engine.call(f"fetch {source}", read)
                    (directory / node / Path(source).name).write_bytes(content)
                except (EnvironmentFailure, OSError) as error:
                    self.say(f"{node}: {error}")


def _faketime_file(place: Place) -> str:
    return f"{place.directory}/faketime"


def _network(subnet: str | None) -> IPv4Network | None:
    try:
        return IPv4Network(subnet) if subnet else None
    except ValueError as error:
        raise UsageError(f"subnet {subnet}: {error}; such as 10.213.7.0/24 would be right") from error


def _reachable(address: tuple[str, int]) -> bool:
    """Whether packets get there and back; no node listens yet, so a refusal is the expected answer."""
    try:
        socket.create_connection(address, _REACH_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
