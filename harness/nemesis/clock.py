"""Clocks: nodes' clocks jump or run at the wrong rate, and are set right again."""

from __future__ import annotations

import math
from random import Random

from checkers.history import Event
from harness.environments.base import Capability, ClockSetting
from harness.generator import Template
from harness.nemesis.base import Package, Scene
from harness.nemesis.targets import PRIMARIES, WEIGHTS, draw, resolve


def _begin(random: Random) -> Template:
    kind = random.choice(("offset", "rate"))
    return Template("start-clock", value={"target": draw(WEIGHTS, random), "kind": kind})


def bump_ms(random: Random) -> float:
    """A jump of Jepsen's size, in either direction: 1.5^(6+25U) milliseconds, so between 11 ms and 288 s."""
    return round(random.choice((-1, 1)) * math.pow(1.5, 6 + 25 * random.random()), 3)


def drift(random: Random) -> float:
    """A rate between a fifth and five times the true one, evenly on a logarithmic scale."""
    return round(math.pow(5, random.uniform(-1, 1)), 3)


async def _start(scene: Scene, event: Event) -> object:
    asked = event.value
    assert isinstance(asked, dict)
    primaries = await scene.primaries(asked["target"] == PRIMARIES)
    targets = resolve(asked["target"], scene.environment.nodes, primaries, scene.random)
    # A clock that can only be shifted is shifted; the answer says what became of each.
    kind = asked["kind"] if Capability.CLOCK_RATE in scene.environment.capabilities else "offset"
    settings = {node: _wrong(kind, scene.random) for node in targets}
    await scene.on_all(targets, lambda node: scene.environment.set_clock(node, settings[node]))
    return {"target": asked["target"], "clocks": settings, "primaries": primaries}


def _wrong(kind: str, random: Random) -> ClockSetting:
    return ClockSetting(offset_ms=bump_ms(random)) if kind == "offset" else ClockSetting(rate=drift(random))


async def _stop(scene: Scene, event: Event) -> object:
    await scene.on_all(scene.environment.nodes, lambda node: scene.environment.set_clock(node, ClockSetting()))
    return "reset"


CLOCK = Package("clock", Capability.CLOCK, _begin, Template("stop-clock"), _start, _stop)
