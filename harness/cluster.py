"""The cluster as a whole, as seen through its nodes' own words: who leads, and is everybody well.

Lives here: questions put to all nodes. Must not live here: faults, or operations of clients.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.adapters.base import Adapter, Status
from harness.environments.base import Environment, Node

_STATUS_TIMEOUT_S = 0.5
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes of an environment, and the adapter that knows how to ask them."""

    environment: Environment
    adapter: Adapter

    async def statuses(self) -> dict[Node, Status]:
        """What each node that answers says of itself, in the cluster's order. All are asked at once."""
        environment = self.environment
        answers: dict[Node, Status | None] = {}
        asked = environment.future()

        async def ask(node: Node) -> None:
            answers[node] = await self.adapter.status(environment, node, _STATUS_TIMEOUT_S)
            if len(answers) == len(environment.nodes):
                asked.set_result(None)

        for node in environment.nodes:
            environment.spawn(ask(node))
        await asked
        return {node: status for node in environment.nodes if (status := answers[node]) is not None}

    async def primaries(self) -> tuple[Node, ...]:
        """The nodes that say they lead. After a cut there may be two: the old one does not know yet."""
        return tuple(node for node, status in (await self.statuses()).items() if status.leads)

    async def wait_healthy(self, limit_s: float) -> str | None:
        """None as soon as every node answers and agrees on one leader; after `limit_s`, what is missing."""
        deadline_ns = self.environment.now_ns() + int(limit_s * 1e9)
        while (missing := unhealthy(self.environment.nodes, await self.statuses())) is not None:
            if self.environment.now_ns() >= deadline_ns:
                return missing
            await self.environment.sleep(_POLL_S)
        return None


def unhealthy(nodes: tuple[Node, ...], statuses: dict[Node, Status]) -> str | None:
    """What keeps the cluster from being healthy, in a few words; None if nothing does."""
    silent = [node for node in nodes if node not in statuses]
    if silent:
        return f"no answer from {', '.join(silent)}"
    leaders = [node for node, status in statuses.items() if status.leads]
    if len(leaders) != 1:
        return f"{len(leaders)} nodes lead: {', '.join(leaders) or 'none'}"
    strangers = [node for node, status in statuses.items() if status.leader != leaders[0]]
    return f"{', '.join(strangers)} does not follow {leaders[0]}" if strangers else None
