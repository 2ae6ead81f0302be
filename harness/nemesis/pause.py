"""Pauses: processes stop where they stand, with their memory and sockets, and go on later as if nothing had been."""

from __future__ import annotations

from random import Random

from checkers.history import Event
from harness.environments.base import Capability
from harness.generator import Template
from harness.nemesis.base import Package, Scene
from harness.nemesis.targets import PRIMARIES, WEIGHTS, draw, resolve


def _begin(random: Random) -> Template:
    return Template("start-pause", value=draw(WEIGHTS, random))


async def _start(scene: Scene, event: Event) -> object:
    primaries = await scene.primaries(event.value == PRIMARIES)
    targets = resolve(str(event.value), scene.environment.nodes, primaries, scene.random)
    await scene.on_all(targets, scene.environment.pause)
    return {"target": event.value, "nodes": targets, "primaries": primaries}


async def _stop(scene: Scene, event: Event) -> object:
    await scene.on_all(scene.environment.nodes, scene.environment.resume)
    return "resumed"


PAUSE = Package("pause", Capability.PAUSE, _begin, Template("stop-pause"), _start, _stop)
