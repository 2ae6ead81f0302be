"""Partitions: the network is cut along a grudge, and healed."""

from __future__ import annotations

from random import Random

from checkers.history import Event
from harness.environments.base import Capability, EnvironmentFailure
from harness.generator import Template
from harness.nemesis.base import Package, Scene
from harness.nemesis.grudges import SHAPES
from harness.nemesis.targets import PRIMARIES, draw

_WEIGHTS = {shape: 20 if shape == "primaries" else 1 for shape in SHAPES}
"""Mostly a leader is cut off from everybody, for that is where stale reads and lost writes come from."""


def _begin(random: Random) -> Template:
    return Template("start-partition", value=draw(_WEIGHTS, random))


async def _start(scene: Scene, event: Event) -> object:
    primaries = await scene.primaries(event.value == PRIMARIES)
    shape = str(event.value)
    grudge = SHAPES[shape](scene.environment.nodes, primaries, scene.random)
    if not grudge:
        raise EnvironmentFailure(f"{shape} cuts nothing between {len(scene.environment.nodes)} nodes")
    await scene.environment.cut(grudge)
    return {"shape": shape, "drops": {node: sorted(grudge[node]) for node in sorted(grudge)}, "primaries": primaries}


async def _stop(scene: Scene, event: Event) -> object:
    await scene.environment.heal()
    return "healed"


# Short and often: a cut shows what it can show soon after it was made, while the old leader does not know yet.
PARTITION = Package(
    "partition", Capability.PARTITION, _begin, Template("stop-partition"), _start, _stop, open=1 / 3, closed=1 / 6
)
