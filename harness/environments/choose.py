"""Which environment a run gets: by name, or the most real one that this machine can do.

Lives here: the names and the order of preference. Must not live here: what one needs (each says that itself).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import ledger
from harness.adapters.raft_register import RaftRegister
from harness.environments.agents import AgentEnvironment
from harness.environments.base import Environment
from harness.environments.docker import DockerEnvironment
from harness.environments.local import LocalEnvironment
from harness.environments.sim.environment import SimEnvironment
from harness.environments.ssh import SshEnvironment
from harness.environments.ssh_access import SshAccess
from harness.environments.ssh_hosts import ssh_hosts
from harness.errors import UsageError
from harness.test import Test

_AUTOMATIC: tuple[type[Environment], ...] = (DockerEnvironment, LocalEnvironment, SimEnvironment)
"""What `auto` may take, the most real one first: machines of somebody's are used only if they are named."""

_ALL: tuple[type[Environment], ...] = (*_AUTOMATIC, SshEnvironment)
ENVIRONMENTS: dict[str, type[Environment]] = {environment.name: environment for environment in _ALL}
"""By name."""


def require_known(name: str) -> None:
    """Raises `UsageError` for what is the name of no environment, whatever this machine can do."""
    if name != "auto" and name not in ENVIRONMENTS:
        raise UsageError(f"--env {name}: there is no such environment; choose from auto, {', '.join(ENVIRONMENTS)}")


def unavailable(environment: type[Environment]) -> str | None:
    """Why no run can be made there on this machine, in one line; None if one can. Quick, and changes nothing."""
    reason = environment.unavailable()
    if reason is None and issubclass(environment, AgentEnvironment):
        reason = ledger.unavailable()  # what is done to real nodes is written down first
    return reason


def choose(name: str) -> tuple[str, str]:
    """The environment to use and, for `auto`, why it was chosen. Raises `UsageError` if the one named cannot."""
    require_known(name)
    if name != "auto":
        reason = unavailable(ENVIRONMENTS[name])
        if reason is not None:
            raise UsageError(f"--env {name}: {reason}")
        return name, "it was asked for"
    passed_over: list[str] = []
    for environment in _AUTOMATIC:
        reason = unavailable(environment)
        if reason is None:
            return environment.name, "; ".join(passed_over) or "it is the most real one"
        passed_over.append(f"no {environment.name}: {reason}")
    raise AssertionError("the simulator needs nothing")


def make(test: Test, adapter: RaftRegister, directory: Path, say: Callable[[str], None]) -> Environment:
    """A new environment for one run of the test."""
    if test.environment == DockerEnvironment.name:
        return DockerEnvironment(
            test.nodes,
            say,
            adapter,
            base_image=test.base_image,
            subnet=test.subnet,
            clock=test.clock,
            disk_megabytes=test.disk_megabytes,
        )
    if test.environment == LocalEnvironment.name:
        return LocalEnvironment(test.nodes, say, adapter, directory, test.disk_megabytes, test.clock)
    if test.environment == SshEnvironment.name:
        return SshEnvironment(ssh_hosts(test.hosts or ""), say, adapter, ssh_access(test), test.clock)
    return SimEnvironment(test.nodes, say, adapter, test.seed, directory)


def ssh_access(test: Test) -> SshAccess:
    """How the test's machines are logged in to. Raises `UsageError` for a file that is not there."""
    return SshAccess.of(test.identity, test.known_hosts, test.accept_unknown_hosts)
