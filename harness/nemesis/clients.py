"""Clients cut off: nodes hear each other, but nobody else."""

from __future__ import annotations

from random import Random

from harness.environments.base import Capability, Environment
from harness.nemesis.fault import (
    Asked,
    Course,
    Evidence,
    Fault,
    Resolved,
    View,
    at_each,
    caught,
    nodes_of,
    not_catching,
    still_catching,
)
from harness.nemesis.targets import WEIGHTS, choose


class Clients(Fault):
    name = "clients"
    about = "nodes drop what anybody but their peers sends to the service"
    requires = "iptables and NET_ADMIN, or a private namespace"
    proof = "packets of clients caught by each node's filter"
    capability = Capability.CLIENTS
    choices = {"target": WEIGHTS}
    silences_nodes = True

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        return {"nodes": choose(str(asked["target"]), view, random)}

    def told(self, resolved: Resolved) -> str:
        return f"clients from {', '.join(nodes_of(resolved))}"

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        await environment.cut_clients(nodes_of(resolved))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.cut_clients(())

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        return at_each({"packets_dropped": caught(course, resolved, self.name)}, nodes_of(resolved))

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        return not_catching(course.now, resolved, self.name)

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        return still_catching(course.now, self.name)
