"""Memory pressure: another process on the node's machine takes memory, and uses it."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment
from harness.nemesis.fault import Asked, Course, Evidence, Fault, Resolved, View, nodes_of
from harness.nemesis.parameters import size_megabytes
from harness.nemesis.targets import WEIGHTS, choose

_BELIEVED = 0.9


class Memory(Fault):
    name = "memory"
    about = "a process beside the node takes memory and keeps using it"
    requires = "memory to spare"
    proof = "the memory that this process has"
    capability = Capability.MEMORY
    may_break = "what else the machine runs, if size is more than it can spare"
    choices = {"target": WEIGHTS}
    parameters = {"size": size_megabytes("128M")}

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        megabytes = asked.get("size", self.parameters["size"].usual)
        return {"nodes": choose(str(asked["target"]), view, random), "megabytes": megabytes}

    def told(self, resolved: Resolved) -> str:
        return f"{_megabytes(resolved)} MB beside {', '.join(nodes_of(resolved))}"

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), lambda node: environment.hog(node, _megabytes(resolved)))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), lambda node: environment.hog(node, 0))

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        taken = {node: course.now.sights[node].memory_megabytes for node in nodes_of(resolved)}
        return {"megabytes": taken} if min(taken.values()) >= _megabytes(resolved) * _BELIEVED else None

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        taken = {node: course.now.sights[node].memory_megabytes for node in nodes_of(resolved)}
        short = [node for node, megabytes in taken.items() if megabytes < _megabytes(resolved) * _BELIEVED]
        return f"the memory is not taken any more beside {', '.join(short)}" if short else None

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        holding = [node for node in nodes_of(resolved) if course.now.sights[node].memory_megabytes]
        return f"memory is still taken beside {', '.join(holding)}" if holding else None


def _megabytes(resolved: Resolved) -> int:
    return round(float(str(resolved["megabytes"])))
