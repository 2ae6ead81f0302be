"""The image that a node's image is built on.

Lives here: finding one, or making one where no registry answers. Must not live here: what is put on top of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.environments.command import patience, run
from harness.environments.engine import Engine
from harness.environments.owner import LABEL
from harness.environments.scratch import Scratch, remove_abandoned
from harness.errors import EnvironmentFailure, UsageError

if TYPE_CHECKING:
    from docker import DockerClient

VARIABLE = "SPLITBRAIN_BASE_IMAGE"
PYTHON_IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim-bookworm"
OWN_IMAGE = "splitbrain-base:bookworm"
PACKAGES = ("python3", "iptables", "iproute2", "libfaketime")
_SUITE = "bookworm"
_PREFIX = "splitbrain-base-"
# However the harness ends, so does what it runs, with all its children; and no /proc stays mounted in a directory.
_DYING_WITH_US = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount-proc", "--pid", "--fork", "--kill-child")
_REGISTRY_DEADLINE_S = 10.0
_PULL_DEADLINE_S = 300.0
_STEP_DEADLINE_S = 600.0


async def base_image(engine: Engine, say: Callable[[str], None], wanted: str | None) -> str:
    """The name of an image with Debian, present on the engine's machine; `wanted` if that is given.

    Else one that is there already; else one from a registry, if one answers soon; else one made here with debootstrap.
    """
    for name in [wanted] if wanted else [PYTHON_IMAGE, OWN_IMAGE]:
        if await image_id(engine, name):
            return name
    name = wanted or PYTHON_IMAGE
    try:
        await _pull(engine, say, name)
    except EnvironmentFailure as error:
        if wanted:
            raise UsageError(f"the base image {wanted} is not here and cannot be pulled ({error})") from error
        await _bootstrap(engine, say, str(error))
        return OWN_IMAGE
    return name


async def image_id(engine: Engine, name: str) -> str | None:
    """The identity of the image's content; None if the engine does not have it."""
    from docker.errors import ImageNotFound

    def look_up(client: DockerClient) -> str | None:
        try:
            return client.images.get(name).id
        except ImageNotFound:
            return None

    return await engine.call(f"look for the image {name}", look_up)


async def _pull(engine: Engine, say: Callable[[str], None], name: str) -> None:
    """Pull it, after a question that an absent registry fails soon."""
    await engine.call(
        "ask a registry", lambda client: client.images.get_registry_data(name).id, deadline_s=_REGISTRY_DEADLINE_S
    )
    async with patience(say, f"pulling {name}"):
        await engine.call(f"pull {name}", lambda client: client.images.pull(name).id, deadline_s=_PULL_DEADLINE_S)


async def _bootstrap(engine: Engine, say: Callable[[str], None], no_registry: str) -> None:
    """Make the base image from Debian's packages."""
    missing = _missing()
    if missing:
        raise UsageError(
            f"no base image: {PYTHON_IMAGE} cannot be pulled ({no_registry}), and making one {missing}; "
            f"or set {VARIABLE} to an image of Debian with Python"
        )
    say(f"no registry answers ({no_registry})")
    for abandoned in remove_abandoned(_PREFIX):
        say(f"removed {abandoned}, left by a harness that was killed")
    scratch = Scratch(_PREFIX)
    try:
        async with patience(say, "building a base image with debootstrap (once, about a minute)"):
            archive = await _debian(scratch.path)
            bring_in = partial(_bring_in, archive=archive)
            await engine.call("import the base image", bring_in, deadline_s=_STEP_DEADLINE_S)
    finally:
        await asyncio.to_thread(scratch.remove)


def _missing() -> str | None:
    """What stands in the way of debootstrap."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("debootstrap") is None:
        return "needs debootstrap: install the package debootstrap"
    return None


async def _debian(directory: Path) -> Path:
    """A tar archive of a minimal Debian with what a node needs."""
    root, archive = directory / "root", directory / "base.tar"
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", _SUITE, str(root)]
    await run(*_DYING_WITH_US, *debootstrap, deadline_s=_STEP_DEADLINE_S)
    excluded = ("./var/cache/apt/*.bin", "./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*")
    tar = ["tar", "-C", str(root), "-cf", str(archive), *(f"--exclude={path}" for path in excluded), "."]
    await run(*tar, deadline_s=_STEP_DEADLINE_S)
    return archive


def _bring_in(client: DockerClient, archive: Path) -> None:
    repository, _, tag = OWN_IMAGE.partition(":")
    client.api.import_image_from_file(
        str(archive), repository=repository, tag=tag, changes=[f"LABEL {LABEL}.image=base"]
    )
