"""Kills: processes die by SIGKILL, and are started again on the data they left."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment
from harness.nemesis.fault import Asked, Course, Evidence, Fault, Resolved, View, nodes_of, still_dead
from harness.nemesis.targets import WEIGHTS, choose


class Kill(Fault):
    name = "kill"
    about = "the node's process dies by SIGKILL, and is started again on the data it left"
    proof = "the process that was seen before is gone; afterwards there is another"
    capability = Capability.KILL
    # Less often the leader: a dead one tells nothing, and its death ends what the other faults do to it.
    choices = {"target": {**WEIGHTS, "leader": 5, "one": 6}}
    holds_nodes = True
    # Seldom: a dead node tells nothing, and while several are dead there is little for other faults to show.
    window = (0.5, 1.5)

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        return {"nodes": choose(str(asked["target"]), view, random)}

    def told(self, resolved: Resolved) -> str:
        return ", ".join(nodes_of(resolved))

    async def apply(self, environment: Environment, resolved: Resolved) -> object:
        return await environment.on_all(nodes_of(resolved), environment.kill)

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), environment.start)

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        killed = course.facts if isinstance(course.facts, dict) else dict.fromkeys(nodes_of(resolved), False)
        pids = {node: course.before.sights[node].pid for node in nodes_of(resolved) if killed[node]}
        gone = {node: pid for node, pid in pids.items() if pid and course.now.sights[node].pid is None}
        return {"killed": gone} if len(gone) == len(nodes_of(resolved)) else None

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        alive = [node for node in nodes_of(resolved) if course.now.sights[node].pid is not None]
        return f"somebody has started {', '.join(alive)} again" if alive else None

    def after(self, resolved: Resolved, course: Course) -> Evidence:
        return {"started": {node: course.now.sights[node].pid for node in nodes_of(resolved)}}

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        return still_dead(resolved, course)
