"""`splitbrain doctor`: what this machine can do, what is missing, what that is needed for, and how to get it.

Lives here: the list of checks, and how it is printed. Every check is quick, changes nothing, and has a deadline.
Must not live here: what an environment needs to run (each says that itself, and is asked).
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.terminal import Terminal
from harness.environments import choose, engine
from harness.environments.containers import labels
from harness.environments.engine import Engine
from harness.environments.node_image import NAME as NODE_IMAGE
from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from docker import DockerClient

_TIMEOUT_S = 10.0
_PIPED_WIDTH = 120
_NODE_DISK_BYTES = 2 << 30
_DEBIAN = "apt-get install"


class Missing(Exception):  # noqa: N818 - a finding, not a malfunction
    """A check's answer: it is not there; the message says what was found instead."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a machine may have: `probe` returns what was found, or raises `Missing`."""

    name: str
    needed_for: str
    remedy: str
    probe: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    name: str
    present: bool
    found: str
    needed_for: str
    remedy: str


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on stdout.")] = False,
) -> None:
    """Say what this machine can do, what is missing, and what that is needed for.

    Exits 0: the simulator needs nothing.
    """
    findings = [_find(check) for check in CHECKS]
    reasons = {name: choose.unavailable(environment) for name, environment in choose.ENVIRONMENTS.items()}
    if as_json:
        Terminal(as_json).document({"environments": reasons, "checks": findings})
        return
    terminal = Terminal()
    rows = [("yes" if one.present else "no", one.name, one.found, one.needed_for) for one in findings]
    titles = ("", "what", "found", "needed for")
    terminal.table(titles, rows, colours={"yes": "green", "no": "yellow"}, piped_width=_PIPED_WIDTH)
    terminal.lines(f"to get {finding.name}: {finding.remedy}" for finding in findings if not finding.present)
    terminal.lines(f"{name}: {f'no: {reason}' if reason else 'yes'}" for name, reason in reasons.items())
    taken, _ = choose.choose("auto")
    terminal.lines([f"splitbrain run --env auto takes {taken}"])


def _find(check: Check) -> Finding:
    try:
        found, present = check.probe(), True
    except (Missing, EnvironmentFailure, OSError, subprocess.TimeoutExpired) as reason:
        found, present = str(reason), False
    return Finding(check.name, present, found, check.needed_for, "" if present else check.remedy)


# -- probes ------------------------------------------------------------------------------------------------------------


def _python() -> str:
    return platform.python_version()


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise Missing("not installed") from error


def _program(name: str, *question: str) -> str:
    """Where the program is, or what it answers."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise Missing("not installed")
    return _output(found, *question) if question else found


def _output(*command: str) -> str:
    """The first line that the command prints; `Missing` if it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    lines = (ran.stdout.strip() or ran.stderr.strip()).splitlines() or [""]
    if ran.returncode != 0:
        raise Missing(lines[-1] or f"ended with {ran.returncode}")
    return lines[0]


def _user_namespaces() -> str:
    _program("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "true")
    return "allowed" if os.geteuid() else "allowed (asked as root)"


_PRIVATE = ("--user", "--map-root-user", "--net")

LOSS = ("-s", "192.0.2.1", "-m", "statistic", "--mode", "random", "--probability", "0.5", "-j", "DROP")
QUEUE = ("-s", "192.0.2.1", "-j", "NFQUEUE", "--queue-num", "1", "--queue-bypass")
COPY = ("-s", "192.0.2.1", "-j", "TEE", "--gateway", "127.0.0.1")


def _accepts(rule: tuple[str, ...]) -> str:
    """Whether the kernel knows such a rule, in a namespace that is gone at once."""
    iptables = _program("iptables")
    lock = "XTABLES_LOCKFILE=/dev/null"
    _program("unshare", *_PRIVATE, "env", lock, iptables, "-w", "-A", "INPUT", *rule)
    return "in the kernel"


def _faketime() -> str:
    found = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    if not found:
        raise Missing("not installed")
    return str(found[0])


def _debootstrap() -> str:
    found = _program("debootstrap")
    if os.geteuid() != 0:
        raise Missing(f"{found}, but it needs root")
    return found


def _fuse() -> str:
    if not Path("/dev/fuse").exists():
        raise Missing("no /dev/fuse")
    return "/dev/fuse"


def _disk() -> str:
    free = shutil.disk_usage("/var/tmp").free
    if free < _NODE_DISK_BYTES:
        raise Missing(f"{free / 1e9:.1f} GB")
    return f"{free / 1e9:.1f} GB"


@cache
def _engine() -> Engine:
    """The engine, if it answers."""
    if engine.unavailable() is not None:
        raise Missing("none answers")
    return Engine()


def _ask(what: str, work: Callable[[DockerClient], str]) -> str:
    return asyncio.run(_engine().call(what, work, _TIMEOUT_S))


def _engine_version() -> str:
    def ask(client: DockerClient) -> str:
        answer = client.version()
        return f"engine {answer['Version']}, API {answer['ApiVersion']}"

    return _ask("ask for its version", ask)


def _image(client: DockerClient) -> str:
    """The name of a node's image."""
    for image in client.images.list(name=NODE_IMAGE):
        return str(image.tags[0])
    raise Missing("not built yet")


def _net_admin() -> str:
    def ask(client: DockerClient) -> str:
        client.containers.run(
            _image(client),
            ["iptables", "-w", "-S"],
            remove=True,
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            network_mode="none",
            labels=labels(f"splitbrain-doctor-{os.getpid()}"),
        )
        return "iptables works in a container"

    return _ask("run iptables in a container", ask)


CHECKS = (
    Check("Python", "everything", "install Python 3.11 or newer", _python),
    Check("Docker SDK", "--env docker", "pip install docker", partial(_package, "docker")),
    Check("Docker Engine", "--env docker", f"start one, or {_DEBIAN} docker.io", _engine_version),
    Check("node image", "--env docker", "the first run builds it", lambda: _ask("list images", _image)),
    Check("NET_ADMIN in containers", "partitions with --env docker", "known once the image is built", _net_admin),
    Check("user namespaces", "--env local", "allow them to this user, or run as root", _user_namespaces),
    Check("iptables", "partitions with --env local", f"{_DEBIAN} iptables", partial(_program, "iptables", "--version")),
    Check("setpriv", "limits on the runs of campaigns", f"{_DEBIAN} util-linux", partial(_program, "setpriv", "-V")),
    Check("debootstrap", "a base image where no registry answers", f"{_DEBIAN} debootstrap", _debootstrap),
    Check("libfaketime", "--clock libfaketime with --env local", f"{_DEBIAN} libfaketime", _faketime),
    Check("packet loss", "--nemesis packets:loss", "a kernel with xt_statistic", partial(_accepts, LOSS)),
    Check(
        "packet queue", "--nemesis packets:delay, reorder, rate", "a kernel with xt_NFQUEUE", partial(_accepts, QUEUE)
    ),
    Check("packet copies", "--nemesis packets:duplicate", "a kernel with xt_TEE", partial(_accepts, COPY)),
    Check("FUSE", "LazyFS, for disks of programs other than ours", "a kernel with FUSE", _fuse),
    Check("LazyFS", "disks of programs other than ours", "build it from its sources", partial(_program, "lazyfs")),
    Check(
        "ssh", "the agent and configuration for --env ssh", f"{_DEBIAN} openssh-client", partial(_program, "ssh", "-V")
    ),
    Check("free disk", "images and run directories, 2 GB", "remove something from /var", _disk),
    Check("numba", "fast checking of long histories", "pip install numba", partial(_package, "numba")),
)
