"""Slow nodes: the process has only a part of the time, as a container has whose quota of the processor is small."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment
from harness.nemesis.fault import Asked, Course, Evidence, Fault, Resolved, View, nodes_of
from harness.nemesis.parameters import share
from harness.nemesis.targets import WEIGHTS, choose

_SHARE = 0.8
_BELIEVED = 0.5
"""How much of the time asked for a node must be seen to stand still: samples of one period are few."""


class Slow(Fault):
    name = "slow"
    about = "the node's process stands still for most of every tenth of a second"
    proof = "how often the process is found stopped"
    capability = Capability.SLOW
    choices = {"target": WEIGHTS}
    parameters = {"share": share("80%", most=0.95)}
    holds_nodes = True

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        return {"nodes": choose(str(asked["target"]), view, random), "share": asked.get("share", _SHARE)}

    def told(self, resolved: Resolved) -> str:
        return f"{', '.join(nodes_of(resolved))} without {_share(resolved):.0%} of the time"

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), lambda node: environment.slow(node, _share(resolved)))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), lambda node: environment.slow(node, 0))

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        shares = {node: course.now.sights[node].stopped_share for node in nodes_of(resolved)}
        believed = min(shares.values()) >= _share(resolved) * _BELIEVED
        return {"stopped_share": shares} if believed else None

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        slow = [
            node
            for node in nodes_of(resolved)
            if course.now.sights[node].stopped_share or course.now.sights[node].paused
        ]
        return f"{', '.join(slow)} still stand still" if slow else None


def _share(resolved: Resolved) -> float:
    return float(str(resolved["share"]))
