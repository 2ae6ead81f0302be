"""Kills: processes die by SIGKILL, and are started again on the data they left."""

from __future__ import annotations

from random import Random

from checkers.history import Event
from harness.environments.base import Capability
from harness.generator import Template
from harness.nemesis.base import Package, Scene
from harness.nemesis.targets import PRIMARIES, WEIGHTS, draw, resolve

_WEIGHTS = {**WEIGHTS, "primaries": 5, "one": 6}
"""Less often the leader: a dead one tells nothing, and its death ends what the other faults do to it."""


def _begin(random: Random) -> Template:
    return Template("start-kill", value=draw(_WEIGHTS, random))


async def _start(scene: Scene, event: Event) -> object:
    primaries = await scene.primaries(event.value == PRIMARIES)
    targets = resolve(str(event.value), scene.environment.nodes, primaries, scene.random)
    await scene.on_all(targets, scene.environment.kill)
    return {"target": event.value, "nodes": targets, "primaries": primaries}


async def _stop(scene: Scene, event: Event) -> object:
    await scene.on_all(scene.environment.nodes, scene.environment.start)
    return "restarted"


# Seldom: a dead node tells nothing, and while several are dead there is little for other faults to show.
KILL = Package("kill", Capability.KILL, _begin, Template("stop-kill"), _start, _stop, closed=1.5)
