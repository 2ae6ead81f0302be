"""Partitions: the network between nodes is cut along a grudge."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment, Grudge, Pair
from harness.nemesis.fault import (
    Asked,
    Course,
    Evidence,
    Fault,
    NothingToHit,
    Resolved,
    View,
    caught,
    nodes_of,
    not_catching,
    still_catching,
)
from harness.nemesis.grudges import SHAPES, describe


class Partition(Fault):
    name = "partition"
    about = "nodes drop what certain others send"
    requires = "iptables and NET_ADMIN, or a private namespace"
    proof = "packets caught by each node's filter; a probe that is no longer heard"
    capability = Capability.PARTITION
    # Mostly a leader is cut off from everybody, for that is where stale reads and lost writes come from.
    choices = {"shape": {shape: 20 if shape == "leader" else 1 for shape in SHAPES}}
    # Short and often: a cut shows what it can show soon after it was made, while the old leader does not know yet.
    window = (1 / 3, 1 / 6)

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        grudge = SHAPES[str(asked["shape"])](view.nodes, view.now.leaders, random)
        if not grudge:
            raise NothingToHit(f"{asked['shape']} cuts nothing between {len(view.nodes)} nodes")
        return {"nodes": sorted(grudge), "drops": {node: sorted(grudge[node]) for node in sorted(grudge)}}

    def told(self, resolved: Resolved) -> str:
        return describe(_grudge(resolved))

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        await environment.cut(_grudge(resolved))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.heal()

    def pairs(self, resolved: Resolved) -> frozenset[Pair]:
        return frozenset((source, node) for node, sources in _grudge(resolved).items() for source in sources)

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        pairs = self.pairs(resolved)
        if course.now.heard & pairs:
            return None
        dropped = caught(course, resolved, self.name)
        if len(dropped) < len(nodes_of(resolved)):
            return None
        return {"packets_dropped": dropped, "probes": {"heard_before": len(course.before.heard & pairs), "heard": 0}}

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        return not_catching(course.now, resolved, self.name)

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        return still_catching(course.now, self.name)


def _grudge(resolved: Resolved) -> Grudge:
    drops = resolved["drops"]
    assert isinstance(drops, dict)
    return {node: frozenset(sources) for node, sources in drops.items()}
