"""The image of a node: a base image, the packages that break things, and raft_impl.

Lives here: the build context, the tag that its content decides, the build. Must not live here: where the base image or
the Python packages come from.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import tarfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.environments.base_image import base_image, image_id
from harness.environments.command import patience
from harness.environments.engine import Engine
from harness.environments.owner import RUN, Owner
from harness.environments.site_packages import agent_sources, installed_sources, library, library_version

if TYPE_CHECKING:
    from docker import DockerClient

NAME = "splitbrain-node"
_SYSTEM_NAME = "splitbrain-system"
_QUESTION_DEADLINE_S = 60.0
_BUILD_DEADLINE_S = 600.0
_KEPT_S = 24 * 3600
_DOCKERFILE = "Dockerfile"
_SITE = "root/opt/splitbrain"

Context = Mapping[str, bytes]
"""A build context: path -> content."""


async def node_image(engine: Engine, say: Callable[[str], None], wanted_base: str | None) -> str:
    """The tag of a node's image, which is built if the engine does not have it.

    The tag is a digest of all that goes in, so a changed source, library or base image is a new tag.
    """
    base = await base_image(engine, say, wanted_base)
    base_id = await image_id(engine, base)
    own = {
        _DOCKERFILE: _recipe(_DOCKERFILE),
        **_under("root/usr/local/bin", {"init": _recipe("init")}),
        **_under(_SITE, {**installed_sources("raft_impl"), **agent_sources()}),
    }
    tag = f"{NAME}:{digest(own, f'{base_id} {library_version()}')}"
    if not await image_id(engine, tag):
        async with patience(say, f"building {tag} on {base}"):
            system = await _system_image(engine, base, str(base_id))
            context = {**own, **_under(_SITE, await library(await _abi(engine, system)))}
            await _build(engine, context, {"BASE_IMAGE": base}, tag)
        forget = partial(forget_superseded, tag=tag, before_s=time.time() - _KEPT_S)
        if forgotten := await engine.call("look for superseded images", forget, deadline_s=_QUESTION_DEADLINE_S):
            say(f"removed superseded images: {', '.join(forgotten)}")
    return tag


async def _system_image(engine: Engine, base: str, base_id: str) -> str:
    """The tag of the first stage: the base image with the packages. Only there is it known which Python a node has."""
    context = {_DOCKERFILE: _recipe(_DOCKERFILE)}
    tag = f"{_SYSTEM_NAME}:{digest(context, base_id)}"
    if not await image_id(engine, tag):
        await _build(engine, context, {"BASE_IMAGE": base}, tag, target="system")
    return tag


async def _abi(engine: Engine, image: str) -> str:
    """What extension modules the image's Python loads, such as cpython-311-x86_64-linux-gnu."""
    question = ["python3", "-c", "import sysconfig; print(sysconfig.get_config_var('SOABI'))"]

    def ask(client: DockerClient) -> str:
        labels = Owner.current().labels() | {RUN: f"{NAME}-{secrets.token_hex(4)}"}
        answer: bytes = client.containers.run(image, question, remove=True, network_mode="none", labels=labels)
        return answer.decode().strip()

    return await engine.call(f"ask the Python of {image}", ask, deadline_s=_QUESTION_DEADLINE_S)


async def _build(engine: Engine, context: Context, arguments: dict[str, str], tag: str, target: str = "") -> None:
    def build(client: DockerClient) -> None:
        client.images.build(
            fileobj=io.BytesIO(archive(context)),
            custom_context=True,
            buildargs=arguments,
            target=target,
            tag=tag,
            rm=True,
            forcerm=True,
        )

    await engine.call(f"build {tag}", build, deadline_s=_BUILD_DEADLINE_S)


def forget_superseded(client: DockerClient, tag: str, before_s: float) -> list[str]:
    """The tags of node images made before that time, now removed; `tag` and what a container uses stay.

    Recent ones stay as well: another checkout may be about to start containers from its own.
    """
    from docker.errors import APIError

    forgotten = []
    for image in client.api.images(name=NAME):
        for old in image["RepoTags"] or []:
            if old == tag or image["Created"] >= before_s:
                continue
            try:
                client.api.remove_image(old)
            except APIError:  # a container uses it, or somebody else has just removed it
                continue
            forgotten.append(old)
    return forgotten


def digest(context: Context, salt: str) -> str:
    """Twelve hexadecimal digits that depend on every path and byte of `context` and on `salt`, and on nothing else."""
    state = hashlib.sha256(salt.encode())
    for path, content in sorted(context.items()):
        for part in (path.encode(), content):
            state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()[:12]


def archive(context: Context) -> bytes:
    """The context as an uncompressed tar archive; what has no suffix may be executed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in sorted(context.items()):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o644 if PurePosixPath(path).suffix else 0o755
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _recipe(name: str) -> bytes:
    """A file of docker/, which is beside the package in a checkout and inside of it in a wheel."""
    here = Path(__file__)
    folder = next(path for path in (here.with_name("image"), here.parents[2] / "docker") if path.is_dir())
    return (folder / name).read_bytes()


def _under(folder: str, context: Context) -> Context:
    return {f"{folder}/{path}": content for path, content in context.items()}
