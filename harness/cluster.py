"""The cluster as a whole, as seen through its nodes' own words: who leads, and is everybody well.

Lives here: questions put to all nodes. Must not live here: faults, or operations of clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.adapters.base import Adapter, Status
from harness.environments.base import Environment, Node, Sight
from harness.nemesis.fault import Observation

_STATUS_TIMEOUT_S = 0.5
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes of an environment, and the adapter that knows how to ask them."""

    environment: Environment
    adapter: Adapter

    async def statuses(self, nodes: Sequence[Node] | None = None) -> dict[Node, Status]:
        """What each of the nodes (all, if not given) that answers says of itself. All are asked at once."""

        async def ask(node: Node) -> Status | None:
            return await self.adapter.status(self.environment, node, _STATUS_TIMEOUT_S)

        answers = await self.environment.on_all(self.environment.nodes if nodes is None else nodes, ask)
        return {node: status for node, status in answers.items() if isinstance(status, Status)}

    async def observe(self, asked: Sequence[Node] | None = None) -> Observation:
        """What can be seen of all nodes now, and what those say that are `asked` (all, if not given) and run.

        From outside a node is looked at quickly; one that does not answer keeps everybody waiting.

        Raises `EnvironmentFailure` if a node cannot be looked at from outside.
        """
        environment = self.environment
        seen = await environment.on_all(environment.nodes, environment.observe)
        sights = {node: sight for node, sight in seen.items() if isinstance(sight, Sight)}
        running = [node for node, sight in sights.items() if sight.pid is not None and not sight.paused]
        statuses = await self.statuses([node for node in running if asked is None or node in asked])
        return Observation(environment.now_ns(), sights, statuses)

    async def wait_healthy(self, limit_s: float) -> str | None:
        """None as soon as every node answers and agrees on one leader; after `limit_s`, what is missing.

        Raises `EnvironmentFailure` if the machine of a silent node is lost: the cluster cannot be blamed for that.
        """
        deadline_ns = self.environment.now_ns() + int(limit_s * 1e9)
        while (missing := unhealthy(self.environment.nodes, statuses := await self.statuses())) is not None:
            if self.environment.now_ns() >= deadline_ns:
                return "; ".join([missing, *await self._last_words(statuses)])
            await self.environment.sleep(_POLL_S)
        return None

    async def _last_words(self, statuses: Mapping[Node, Status]) -> list[str]:
        """Which of those that do not answer have ended, and why, as far as their logs say."""
        silent = [node for node in self.environment.nodes if node not in statuses]
        words = await self.environment.on_all(silent, self.environment.last_words)
        return [f"{node} has ended: {words[node]}" for node in silent if words[node] is not None]


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
