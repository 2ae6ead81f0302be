"""Pauses: processes stop where they stand, with their memory and sockets, and go on later as if nothing had been."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment
from harness.nemesis.fault import Asked, Course, Evidence, Fault, Resolved, View, nodes_of
from harness.nemesis.targets import WEIGHTS, choose


class Pause(Fault):
    name = "pause"
    about = "the node's process stands still (SIGSTOP), and goes on later"
    proof = "the kernel says that the process that was seen before is stopped"
    capability = Capability.PAUSE
    choices = {"target": WEIGHTS}
    holds_nodes = True

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        return {"nodes": choose(str(asked["target"]), view, random)}

    def told(self, resolved: Resolved) -> str:
        return ", ".join(nodes_of(resolved))

    async def apply(self, environment: Environment, resolved: Resolved) -> object:
        return await environment.on_all(nodes_of(resolved), environment.pause)

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), environment.resume)

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        now = course.now.sights
        stopped = {node: now[node].pid for node in nodes_of(resolved) if now[node].paused}
        return {"stopped": stopped} if len(stopped) == len(nodes_of(resolved)) else None

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        running = [node for node in nodes_of(resolved) if not course.now.sights[node].paused]
        return f"{', '.join(running)} does not stand still any more" if running else None

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        still = [node for node in nodes_of(resolved) if course.now.sights[node].paused]
        return f"{', '.join(still)} still stand still" if still else None
