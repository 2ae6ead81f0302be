"""What a machine is given for a run, and how all of it is taken away again.

Lives here: the run's own directory there, what is put into it, and the cleaning. Must not live here: how the machine is
reached, or what its agent is asked.

    /var/tmp/splitbrain-1a2b3c4d/        (or in $TMPDIR there) mode 0700, the user's
        venv/                            of the machine's python3, with raft_impl, the agent, msgspec
        nodes/n1/                        the node's data, log, trace; root's

Every process of the run has SPLITBRAIN_DIRECTORY in its environment, so that each can be found however the harness
ended. Cleaning is one shell script that is sent as it stands, and needs nothing of what was uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.environments.base import Node
from harness.environments.site_packages import installed_sources, library
from harness.environments.ssh_connection import SshConnection
from harness.errors import UsageError

PACKAGES = ("raft_impl", "harness.agent")
"""Ours, of which the sources go there; the libraries that they need go with them."""

_OLDEST_PYTHON = (3, 11)
_QUESTION = """
command -v python3 >/dev/null || exit 0
exec python3 -c 'import sys, sysconfig
print(*sys.version_info[:2], sysconfig.get_config_var("SOABI"), sys.executable)'
"""
_VENV = """
"$1" -c 'import venv' 2>/dev/null || exit 0
"$1" -m venv --without-pip "$2"
exec "$3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
"""
_CLEAN = Path(__file__).with_name("ssh_clean.sh")
_CLEAN_DEADLINE_S = 60.0


async def run_directory(connection: SshConnection, token: str) -> str:
    """Where the run's directory is to be on that machine; nothing is made. `token`: eight letters of the run's own."""
    parent = await connection.run("sh", "-c", 'printf %s "${TMPDIR:-/var/tmp}"')
    return f"{parent}/splitbrain-{token}"


def node_directory(directory: str, node: Node) -> str:
    """Where a node's things are to be."""
    return f"{directory}/nodes/{node}"


def interpreter(directory: str) -> str:
    """The Python that has the packages."""
    return f"{directory}/venv/bin/python"


def with_variables(directory: str, *command: str) -> tuple[str, ...]:
    """The command, with what a process of the run has in its environment: a mark to find it by."""
    return ("env", f"SPLITBRAIN_DIRECTORY={directory}", *command)


async def install(connection: SshConnection, directory: str) -> None:
    """Make the run's directory, with everything that an agent and a node need. Root must have been gained.

    Raises `UsageError` if the machine's Python cannot do.
    """
    abi, python = await _python(connection)
    files = await program(abi)
    await connection.run("mkdir", "-m", "0700", "--", directory)
    await connection.upload(files, await _make_venv(connection, python, directory))
    imports = f"import {', '.join((*PACKAGES, 'msgspec'))}"
    await connection.run(*with_variables(directory, interpreter(directory), "-P", "-c", imports), as_root=True)


async def _make_venv(connection: SshConnection, python: str, directory: str) -> str:
    """Where packages go in the new virtual environment. It needs no pip, and no package beside Debian's python3."""
    made = ("sh", "-euc", _VENV, "sh", python, f"{directory}/venv", interpreter(directory))
    packages = await connection.run(*made)
    if not packages:
        raise UsageError(f"{connection.host.node}: {python} has no module venv there: install the package python3-venv")
    return packages


async def program(abi: str) -> Mapping[str, bytes]:
    """The packages for a Python with that ABI, such as cpython-311-x86_64-linux-gnu: path -> content."""
    files: dict[str, bytes] = {}
    for package in PACKAGES:
        folder = "".join(f"{name}/" for name in package.split(".")[:-1])
        files |= {f"{folder}{path}": content for path, content in installed_sources(package).items()}
    return {**files, **await library(abi)}


async def _python(connection: SshConnection) -> tuple[str, str]:
    """What extension modules root's python3 loads there, and where it is."""
    answer = await connection.run("sh", "-c", _QUESTION, as_root=True)
    needed = f"{connection.host.node}: a python3 of {_OLDEST_PYTHON[0]}.{_OLDEST_PYTHON[1]} or newer is needed there"
    if not answer:
        raise UsageError(f"{needed}, and there is none: install the package python3")
    major, minor, abi, python = answer.splitlines()[-1].split(" ", 3)
    if (int(major), int(minor)) < _OLDEST_PYTHON:
        raise UsageError(f"{needed}, and it is {major}.{minor}")
    return abi, python


async def clean(connection: SshConnection, directory: str, prefix: str) -> list[str]:
    """Remove the run's processes, chains (those whose names begin with `prefix`, SB-1a2b3c4d-), mounts and directory.

    What was removed, a line each; nothing the second time. Root must have been gained.
    """
    script = _CLEAN.read_bytes()
    command = ("sh", "-s", directory, prefix)
    return (await connection.run(*command, stdin=script, deadline_s=_CLEAN_DEADLINE_S, as_root=True)).splitlines()
