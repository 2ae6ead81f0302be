"""What runs share and must not make at the same time: the image of a node.

Lives here: making it once before several first runs would. Must not live here: how it is made.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

from harness.environments.base_image import VARIABLE
from harness.environments.docker import DockerEnvironment
from harness.environments.engine import Engine
from harness.environments.node_image import node_image
from harness.errors import EnvironmentFailure


def prepare(environments: Iterable[str], say: Callable[[str], None]) -> None:
    """Make what runs in these environments share, unless it is there.

    If that cannot be made it is said, and every run will say so too, as its row. Raises `UsageError` if it never can.
    """
    if DockerEnvironment.name not in environments:
        return
    try:
        asyncio.run(node_image(Engine(), say, os.environ.get(VARIABLE)))
    except EnvironmentFailure as failure:
        say(f"no image of a node: {failure}")
