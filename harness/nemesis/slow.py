"""Slow nodes: stopped for most of the time, whatever they want, or given a small quota of a processor."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment
from harness.nemesis.fault import Asked, Course, Evidence, Fault, Resolved, View, by_node, nodes_of, rise
from harness.nemesis.parameters import share, time_ms
from harness.nemesis.targets import WEIGHTS, choose

_BELIEVED = 0.5
"""How much of the time asked for a node must be seen to stand still: samples of one period are few."""


class Slow(Fault):
    name = "slow"
    about = "the node's process stands still for most of every tenth of a second, or gets little of a processor"
    requires = "nothing; a quota: a container"
    proof = "how often the process is found stopped; how long its control group was throttled"
    capability = Capability.SLOW
    needs = {"quota": Capability.CPU_QUOTA}
    choices = {"kind": {"duty": 1, "quota": 1}, "target": WEIGHTS}
    # A node under the usual load wants 8 ms of each tenth of a second, and its agent needs some to be heard.
    parameters = {"share": share("80%", most=0.95), "quota": time_ms("5ms", least=1)}
    kind_of = {"share": "duty", "quota": "quota"}
    holds_nodes = True

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        nodes = choose(str(asked["target"]), view, random)
        if asked["kind"] == "quota":
            return {"nodes": nodes, "quota_ms": asked.get("quota", self.parameters["quota"].usual)}
        return {"nodes": nodes, "share": asked.get("share", self.parameters["share"].usual)}

    def told(self, resolved: Resolved) -> str:
        nodes = ", ".join(nodes_of(resolved))
        if "quota_ms" in resolved:
            return f"{nodes} with {_quota_ms(resolved):g} ms of a processor in 100"
        return f"{nodes} without {_share(resolved):.0%} of the time"

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        if "quota_ms" in resolved:
            await environment.on_all(nodes_of(resolved), lambda node: environment.throttle(node, _quota_ms(resolved)))
        else:
            await environment.on_all(nodes_of(resolved), lambda node: environment.slow(node, _share(resolved)))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        lift = environment.throttle if "quota_ms" in resolved else environment.slow
        await environment.on_all(nodes_of(resolved), lambda node: lift(node, 0))

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        nodes = nodes_of(resolved)
        if "quota_ms" in resolved:
            held_up = by_node((node, rise(course, node, lambda sight: sight.throttled_ms)) for node in nodes)
            return {"throttled_ms": held_up} if len(held_up) == len(nodes) else None
        shares = {node: course.now.sights[node].stopped_share for node in nodes}
        believed = min(shares.values()) >= _share(resolved) * _BELIEVED
        return {"stopped_share": shares} if believed else None

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        sights = {node: course.now.sights[node] for node in nodes_of(resolved)}
        if "quota_ms" in resolved:
            free = [node for node, sight in sights.items() if not sight.quota_ms]
            return f"{', '.join(free)} has no quota any more" if free else None
        # A short standstill may fall between the moments at which a node is looked at.
        free = [node for node, sight in sights.items() if not sight.stopped_share and _share(resolved) > _BELIEVED]
        return f"{', '.join(free)} does not stand still any more" if free else None

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        sights = {node: course.now.sights[node] for node in nodes_of(resolved)}
        if "quota_ms" in resolved:
            limited = [node for node, sight in sights.items() if sight.quota_ms]
            return f"{', '.join(limited)} still have a quota" if limited else None
        slow = [node for node, sight in sights.items() if sight.stopped_share or sight.paused]
        return f"{', '.join(slow)} still stand still" if slow else None


def _share(resolved: Resolved) -> float:
    return float(str(resolved["share"]))


def _quota_ms(resolved: Resolved) -> float:
    return float(str(resolved["quota_ms"]))
