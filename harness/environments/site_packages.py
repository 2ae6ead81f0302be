"""Python packages for an image, brought from this machine so that a build needs no registry.

Lives here: what raft_impl and the library it needs consist of. Must not live here: images.

raft_impl is taken as it is installed here. msgspec has compiled parts: it is taken as it is installed here where the
image's Python can load them, else it is downloaded for that Python.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import files, version
from importlib.util import find_spec
from pathlib import Path

from harness.environments.base_image import VARIABLE
from harness.environments.command import run
from harness.errors import EnvironmentFailure, UsageError

_LIBRARY = "msgspec"
_DOWNLOAD_DEADLINE_S = 120.0


def installed_sources(package: str) -> Mapping[str, bytes]:
    """The source files of a package, found without importing it: path -> content."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFailure(f"the package {package} is not installed")
    root = Path(spec.submodule_search_locations[0])
    return _contents(root.parent, root.rglob("*.py"))


def agent_sources() -> Mapping[str, bytes]:
    """The source files of the agent, which needs nothing else of the harness: path -> content."""
    wanted = ("harness/__init__.py", "harness/agent/")
    return {path: content for path, content in installed_sources("harness").items() if path.startswith(wanted)}


def library_version() -> str:
    """The requirement that `library` fulfils, such as msgspec==0.20.0."""
    return f"{_LIBRARY}=={version(_LIBRARY)}"


async def library(abi: str) -> Mapping[str, bytes]:
    """The files of msgspec for a Python with that ABI, such as cpython-311-x86_64-linux-gnu: path -> content."""
    if abi == sysconfig.get_config_var("SOABI"):
        recorded = [path for path in files(_LIBRARY) or [] if ".." not in path.parts and path.suffix != ".pyc"]
        return {str(path): Path(str(path.locate())).read_bytes() for path in recorded}
    with tempfile.TemporaryDirectory() as directory:
        await run(*_download(abi, directory), deadline_s=_DOWNLOAD_DEADLINE_S)
        root = Path(directory)
        return _contents(root, (path for path in root.rglob("*") if path.suffix != ".pyc"))


def _download(abi: str, directory: str) -> list[str]:
    """The command that unpacks the wheel which fits `abi` into `directory`."""
    _, digits, machine, *_ = abi.split("-")
    python = f"{digits[0]}.{digits[1:]}"
    common = ["install", "--target", directory, "--no-deps", "--only-binary=:all:", "--python-version", python]
    if find_spec("pip"):
        platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (28, 17)]
        return [sys.executable, "-m", "pip", *common, "--implementation=cp", *platforms, library_version()]
    if shutil.which("uv"):
        return ["uv", "pip", *common, "--python-platform", f"{machine}-manylinux_2_28", library_version()]
    raise UsageError(
        f"Python {python} is there, and neither pip nor uv is here to fetch {library_version()} for it: install one, "
        f"or take a machine, or an image ({VARIABLE}), with Python {sys.version_info.major}.{sys.version_info.minor}"
    )


def _contents(root: Path, paths: Iterable[Path]) -> Mapping[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths) if path.is_file()}
