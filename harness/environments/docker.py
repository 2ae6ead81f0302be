"""One container a node, on a private network.

Lives here: the run's life on Docker, and what is done differently to a container. Must not live here: SDK calls,
threads, images, or what an agent does.

A container's main process is idle, and the node's process is started and killed beside it, by an agent that is reached
through an exec: a container that is restarted gets a new network namespace, which would silently lift a partition.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import IPv4Network
from typing import Annotated, ClassVar

import msgspec

from harness.adapters.base import Adapter, Place
from harness.environments import containers, engine
from harness.environments.agent_link import Channel
from harness.environments.agents import SERVICE_PORT, AgentEnvironment
from harness.environments.base import Node
from harness.environments.base_image import VARIABLE
from harness.environments.engine import Engine
from harness.environments.node_image import node_image
from harness.environments.together import all_of
from harness.errors import LEFT, EnvironmentFailure, UsageError

_FIRST_HOST = 11  # of the subnet; the gateway, which is this machine, is the first
_REACH_TIMEOUT_S = 1.0
_CREATE_DEADLINE_S = 60.0
_LOOK_S = 0.9


class DockerEnvironment(AgentEnvironment):
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
        disk_megabytes: int | None = None,
    ) -> None:
        """`base_image`: what the image is built on, by default $SPLITBRAIN_BASE_IMAGE, else one found or made.

        `subnet`: the nodes' network, such as 10.213.7.0/24; by default one that nothing here uses.
        """
        super().__init__(nodes, say, adapter, disk_megabytes, clock)
        self._base_image = base_image or os.environ.get(VARIABLE)
        self._subnet = _network(subnet)
        self._run = f"splitbrain-{self._token}"
        self._engine = Engine()
        self._reached: dict[Node, tuple[str, int]] = {}

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
        for removed in await reclaim(self._engine):
            self.say(removed)
        image = await node_image(self._engine, self.say, self._base_image)
        await self._create(image, published=False)
        if not await asyncio.to_thread(_reachable, self._reached[self.nodes[0]]):
            self.say("the containers' addresses cannot be reached from here: publishing their ports on 127.0.0.1")
            await remove_run(self._engine, self._run)
            await self._create(image, published=True)
        await self._attach()
        await all_of(self._prepare(node) for node in self.nodes)

    async def _create(self, image: str, published: bool) -> None:
        """The network and the containers, and where each is reached."""
        make = partial(containers.create_network, run=self._run, wanted=self._subnet, internal=not published)
        subnet = await self._engine.call("create a network", make, makes=True)
        if subnet.num_addresses <= _FIRST_HOST + len(self.nodes):
            raise UsageError(f"the subnet {subnet} is too small for {len(self.nodes)} nodes: give one of /24")
        for index, node in enumerate(self.nodes, _FIRST_HOST):
            self._places[node] = Place(str(subnet[index]), SERVICE_PORT, f"{containers.VOLUME}/{node}")
        await all_of(self._create_container(node, image, published) for node in self.nodes)

    async def _create_container(self, node: Node, image: str, published: bool) -> None:
        wanted = containers.Container(
            name=self._container(node),
            hostname=node,
            image=image,
            network=self._run,
            address=self._places[node].address,
            labels=containers.labels(self._run),
            disks={self._places[node].data: self._disk_megabytes << 20} if self._disk_megabytes else {},
            published_port=SERVICE_PORT if published else None,
        )
        create = partial(containers.create_container, wanted=wanted)
        await self._engine.call(f"create the container of {node}", create, _CREATE_DEADLINE_S, makes=True)
        self._reached[node] = (wanted.address, SERVICE_PORT)
        if published:
            find = partial(containers.published_port, container=wanted.name, port=SERVICE_PORT)
            self._reached[node] = ("127.0.0.1", await self._engine.call(f"find the port of {node}", find))

    async def teardown(self) -> bool:
        await self._settle()
        self._detach()
        try:
            await remove_run(self._engine, self._run)
        except EnvironmentFailure as error:
            self.say(f"teardown: {error}; {LEFT} of {self._run}")
            return False
        if self._engine.unanswered:  # what is made later than that is nobody's
            self.say(f"teardown: {self._run} may still get a container or a network: {self._engine.unanswered}; {LEFT}")
            return False
        return True

    async def _left(self) -> str:
        looking = asyncio.create_task(left_of(self._engine, self._run))
        await asyncio.wait({looking}, timeout=_LOOK_S)  # not cancelled, since that would wait for the answer
        if not looking.done() or looking.exception() is not None:
            return f"the engine does not say what is left of {self._run}; {LEFT}"
        return f"of {self._run} there are still {looking.result() or 'no things'}; {LEFT}"

    def remains(self) -> Mapping[str, object]:
        return asdict(_Remains(self._run, engine.identity(), os.environ.get("DOCKER_HOST")))

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _container(self, node: Node) -> str:
        return f"{self._run}-{node}"

    async def _open_channel(self, node: Node, command: list[str]) -> Channel:
        open_channel = partial(containers.ExecChannel, container=self._container(node), command=command)
        return await self._engine.open(f"reach the agent of {node}", open_channel)

    async def throttle(self, node: Node, quota_ms: float) -> None:
        # By the engine, which is not slowed down by it: the agent is, and could hardly undo it.
        quota_us = int(quota_ms * 1000) or -1
        limit = partial(containers.limit_processor, container=self._container(node), quota_us=quota_us)
        await self._engine.call(f"limit the processor of {node}", limit)


@dataclass(frozen=True, slots=True)
class _Remains:
    """What a ledger keeps of a run: its name, and on which engine that is, as far as it could be told."""

    run: Annotated[str, msgspec.Meta(pattern=r"\Asplitbrain-[A-Za-z0-9_-]{1,64}\Z")]
    engine: str | None = None
    host: str | None = None
    """What DOCKER_HOST was; nothing depends on it, since one engine may be reached in several ways."""


async def reclaim_run(remains: Mapping[str, object]) -> list[str]:
    """Remove what a dead run left, given its `remains`; a line if that was something.

    Raises `EnvironmentFailure` if its engine does not answer, or another one does: there nothing would be found.
    """
    left = msgspec.convert(remains, _Remains)
    if (reason := await asyncio.to_thread(engine.unavailable)) is not None:
        raise EnvironmentFailure(reason)
    if left.engine is not None and left.engine != await asyncio.to_thread(engine.identity):
        where = f"set DOCKER_HOST={left.host}" if left.host else "unset DOCKER_HOST"
        raise EnvironmentFailure(f"it was made on the engine {left.engine}, and another one answers: {where}")
    removed = await remove_run(Engine(), left.run)
    return [f"removed {left.run} ({removed})"] if removed else []


async def reclaim(engine: Engine) -> list[str]:
    """Remove what harnesses that were killed left behind; a line for each."""
    removed = []
    for run, owner in (await engine.call("look for leftovers", containers.abandoned_runs)).items():
        what = await remove_run(engine, run)
        if what:  # else somebody else was faster
            removed.append(f"removed {run} ({what}), left by a harness that is gone (process {owner.pid})")
    return removed


async def remove_run(engine: Engine, run: str) -> str:
    """Remove all that belongs to the run; what that was, in words, and empty if nothing.

    Raises the first `EnvironmentFailure` once everything has been tried.
    """
    counts: dict[str, int] = {}
    failures: list[EnvironmentFailure] = []
    for kind, find, remove in containers.KINDS:
        try:
            found = await engine.call(f"list {kind}s", partial(find, run=run))
            await all_of(engine.call(f"remove a {kind}", partial(remove, name=name)) for name in found)
            counts[kind] = len(found)
        except EnvironmentFailure as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return _counted(counts)


async def left_of(engine: Engine, run: str) -> str:
    """What there is of the run, in words."""
    kinds = [(kind, partial(find, run=run)) for kind, find, _ in containers.KINDS]
    return _counted({kind: len(await engine.call(f"list {kind}s", find)) for kind, find in kinds})


def _counted(counts: Mapping[str, int]) -> str:
    """Such as `3 containers, 1 network`."""
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count)


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
