"""What goes into a node's image, and the tag that it decides. No engine is needed."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from docker.errors import APIError

from harness.environments.node_image import archive, digest, forget_superseded
from harness.environments.site_packages import installed_sources, library

ROOT = Path(__file__).parents[2]
CONTEXT = {"Dockerfile": b"FROM base\n", "site/module.py": b"x = 1\n", "bin/node": b"#!/bin/sh\n"}


def test_the_digest_does_not_depend_on_the_order() -> None:
    assert digest(CONTEXT, "base") == digest(dict(reversed(CONTEXT.items())), "base")


@pytest.mark.parametrize(
    ("context", "salt"),
    [
        (CONTEXT | {"site/module.py": b"x = 2\n"}, "base"),
        (CONTEXT | {"site/other.py": b""}, "base"),
        ({path: content for path, content in CONTEXT.items() if path != "bin/node"}, "base"),
        (CONTEXT, "another base"),
        ({"a": b"bc"}, ""),
        ({"ab": b"c"}, ""),
    ],
)
def test_the_digest_depends_on_everything_that_goes_in(context: dict[str, bytes], salt: str) -> None:
    others = [digest(CONTEXT, "base"), digest({"a": b"", "bc": b""}, "")]
    assert digest(context, salt) not in others
    assert digest({"a": b"bc"}, "") != digest({"ab": b"c"}, "")


def test_the_archive_holds_every_file_and_scripts_can_be_run() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(CONTEXT))) as tar:
        modes = {member.name: member.mode for member in tar}
        contents = {name: tar.extractfile(name).read() for name in modes}  # type: ignore[union-attr]
    assert contents == CONTEXT
    assert modes["bin/node"] == 0o755
    assert modes["site/module.py"] == 0o644


def test_sources_are_those_of_the_installed_package() -> None:
    sources = installed_sources("raft_impl")
    assert sources["raft_impl/__main__.py"] == (ROOT / "raft_impl" / "__main__.py").read_bytes()
    assert all(path.endswith(".py") for path in sources)


def test_the_library_is_the_installed_one_where_the_python_is_alike() -> None:
    files = asyncio.run(library(sysconfig.get_config_var("SOABI")))
    assert "msgspec/__init__.py" in files
    assert any(path.endswith(".so") for path in files)
    assert not any(path.endswith(".pyc") for path in files)


def test_the_wheel_holds_the_packages_and_all_that_an_image_needs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("raft_impl", "checkers", "harness"):
        sources = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        assert sources <= names
    assert {f"harness/environments/image/{name}" for name in ("Dockerfile", "init")} <= names
    assert "harness/environments/ssh_clean.sh" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


class Images:
    """The part of the engine's API that removes images; a container uses `splitbrain-node:used`."""

    def __init__(self) -> None:
        self.made_s = {"splitbrain-node:used": 10, "splitbrain-node:old": 20, "splitbrain-node:new": 90}
        self.api = self

    def images(self, name: str) -> list[dict[str, object]]:
        assert name == "splitbrain-node"
        named: list[dict[str, object]] = [{"RepoTags": [tag], "Created": made} for tag, made in self.made_s.items()]
        return [*named, {"RepoTags": None, "Created": 10}]

    def remove_image(self, tag: str) -> None:
        if tag == "splitbrain-node:used":
            raise APIError("conflict: a container is using it")
        del self.made_s[tag]


def test_old_images_that_no_container_uses_are_removed() -> None:
    images = Images()
    assert forget_superseded(images, "splitbrain-node:now", before_s=50) == ["splitbrain-node:old"]
    assert forget_superseded(images, "splitbrain-node:new", before_s=99) == []
    assert list(images.made_s) == ["splitbrain-node:used", "splitbrain-node:new"]
