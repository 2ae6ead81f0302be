"""A cluster on which scenarios are played, whatever its environment.

Lives here: questions to nodes, and waiting for an answer in the environment's own time. Must not live here: wall
clocks, or anything that differs between environments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest

from ground import NODES, Ground
from harness.adapters.base import Definite, Indefinite, RegisterClient
from harness.adapters.raft_register import RaftRegister
from harness.cluster import Cluster
from harness.environments.base import (
    CallFailed,
    Capability,
    ConnectFailed,
    Connection,
    Environment,
    Grudge,
    Node,
    Sight,
)

T = TypeVar("T")
Fields = dict[str, Any]

_LIMIT_S = 60.0
_POLL_S = 0.05
_KEY = 1


@dataclass(frozen=True)
class Stage:
    """A cluster of registers; what is asked of it is asked again until the answer comes, or a deadline passes."""

    environment: Environment
    adapter: RaftRegister
    ground: Ground

    async def eventually(self, what: str, condition: Callable[[], Awaitable[T | None]]) -> T:
        """The first answer that says yes, which may be anything true."""
        deadline_ns = self.environment.now_ns() + int(_LIMIT_S * 1e9)
        while not (answer := await condition()):
            assert self.environment.now_ns() < deadline_ns, f"not within {_LIMIT_S:.0f} s: {what}"
            await self.environment.sleep(_POLL_S)
        return answer

    def need(self, *capabilities: Capability) -> None:
        """Skip the test where the environment says that it cannot do that here. Known after `setup`."""
        lacking = [need for need in capabilities if need not in self.environment.capabilities]
        if lacking:
            pytest.skip(f"{self.environment.name} lacks {', '.join(lacking)} here")

    async def sight(self, node: Node, what: str, condition: Callable[[Sight], object]) -> Sight:
        """What is seen of the node, once that is so."""

        async def seen() -> Sight | None:
            sight = await self.environment.observe(node)
            return sight if condition(sight) else None

        return await self.eventually(f"of {node} is seen: {what}", seen)

    async def leader(self) -> Node:
        """Who leads, once every node answers and agrees."""
        cluster = Cluster(self.environment, self.adapter)
        assert await cluster.wait_healthy(_LIMIT_S) is None
        (leader,) = (await cluster.observe()).leaders
        return leader

    async def leader_among(self, nodes: tuple[Node, ...], other_than: Node) -> Node:
        """Who leads, once the nodes agree on one of them that is not `other_than`."""

        async def agreed() -> Node | None:
            views = {(await self.tried_status(node)).get("leader") for node in nodes}
            (view, *others) = views
            return view if not others and view in nodes and view != other_than else None

        return await self.eventually(f"{nodes} follow one of them, not {other_than}", agreed)

    # -- one node's own words ------------------------------------------------------------------------------------------

    async def call(self, node: Node, request: Fields, timeout_s: float = 1.0) -> Fields:
        """The node's answer on a new connection. Raises `ConnectFailed` and `CallFailed`."""
        connection = await self.environment.connect(node, timeout_s)
        try:
            return await ask(connection, request, timeout_s)
        finally:
            connection.close()

    async def tried_status(self, node: Node) -> Fields:
        """What the node says of itself; nothing if it does not answer."""
        try:
            return await self.call(node, STATUS)
        except (ConnectFailed, CallFailed):
            return {}

    async def status(self, node: Node) -> Fields:
        """What the node says of itself, once it answers."""
        return await self.eventually(f"{node} answers", lambda: self.tried_status(node))

    # -- clients -------------------------------------------------------------------------------------------------------

    async def write(self, node: Node, value: int) -> None:
        """Write by a client of that node, who may be redirected, until it is acknowledged."""
        await self._acknowledged(node, lambda client: client.write(_KEY, value))

    async def read(self, node: Node) -> object:
        """The value that a client of that node reads."""
        value, _ = await self._acknowledged(node, lambda client: client.read(_KEY))
        return value

    async def _acknowledged(self, node: Node, operate: Callable[[RegisterClient], Awaitable[T]]) -> T:
        async def attempt() -> tuple[T] | None:
            client = self.adapter.client(self.environment, node, timeout_s=2.0)
            try:
                await client.open()
                return (await operate(client),)
            except (Definite, Indefinite):
                return None
            finally:
                client.close()

        (answer,) = await self.eventually(f"{node} serves a client", attempt)
        return answer

    # -- packets -------------------------------------------------------------------------------------------------------

    async def hear_all_but(self, grudge: Grudge) -> None:
        """Wait until every packet has been heard that the grudge lets through; none that it forbids may be."""
        none: frozenset[Node] = frozenset()
        wanted = {node: frozenset(NODES) - {node} - grudge.get(node, none) for node in NODES}
        seen = dict.fromkeys(NODES, none)

        async def all_heard() -> bool:
            for node, sources in (await self.ground.heard()).items():
                assert sources <= wanted[node], f"{node} hears {sorted(sources)} in spite of {grudge}"
                seen[node] |= sources
            return seen == wanted

        await self.eventually(f"all is heard that {grudge} lets through", all_heard)


STATUS: Fields = {"type": "status", "id": 0}
READ: Fields = {"type": "request", "id": 0, "op": "read", "key": str(_KEY)}


async def ask(connection: Connection, request: Fields, timeout_s: float) -> Fields:
    """The answer to one request in the service's documented protocol."""
    answer: Fields = msgspec.msgpack.decode(await connection.call(msgspec.msgpack.encode(request), timeout_s))
    return answer


def isolated(node: Node) -> Grudge:
    """The grudge in which the node and the others do not hear each other (Jepsen `complete-grudge`)."""
    others = frozenset(NODES) - {node}
    return {node: others, **{other: frozenset({node}) for other in sorted(others)}}
