"""The definition of a test: everything that is needed to run it, and to run it again.

Lives here: the frozen definition, and what is wrong with a bad one. Must not live here: running it.
"""

from __future__ import annotations

import math
import re
import shlex

import msgspec

import harness
from harness.errors import UsageError
from harness.nemesis import FAULTS
from harness.nemesis.script import Schedule, problems
from harness.nemesis.specs import NemesisSpec, format_nemesis
from harness.workloads import WORKLOADS

LAST_SEED = (1 << 63) - 1
"""The catalogue of runs has 64 bits for it."""

_DISK_MEGABYTES = 64
_OPERATION_BYTES = 64
"""What an operation may take on a node's disk; measured are 14, reads and all."""

_NO_INTERVAL_S = 10.0
"""Every spec has a pace; that of one whose faults come when a schedule says is never looked at."""


class Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test. Times in seconds, `rate` in operations a second over all workers.

    `nemesis` says which faults there are, and how often; with a `schedule` they come just then instead.
    """

    __test__ = False  # not one of pytest's

    environment: str
    nodes: tuple[str, ...]
    workload: str
    nemesis: tuple[NemesisSpec, ...]
    schedule: Schedule | None = None
    time_limit_s: float
    rate: float
    concurrency: int
    seed: int
    mutant: str | None = None
    clock: str = "node"
    base_image: str | None = None
    subnet: str | None = None
    hosts: str | None = None
    identity: str | None = None
    known_hosts: str | None = None
    accept_unknown_hosts: bool = False
    operation_timeout_s: float = 1.0
    recovery_limit_s: float = 60.0
    check_limit_s: float = 120.0
    version: str = harness.__version__

    @property
    def name(self) -> str:
        """What runs of this test are filed under."""
        return "-".join([self.workload, self.environment, *([self.mutant] if self.mutant else [])])

    @property
    def disk_megabytes(self) -> int | None:
        """How large a disk of its own each node is given, if one is to be filled: it must hold the whole run's log.

        None if no disk is to be filled; then nodes keep their data on the disk of their machine.
        """
        if not any(spec.name == "disk" and spec.given.get("kind", "full") == "full" for spec in self.nemesis):
            return None
        return _DISK_MEGABYTES + math.ceil(self.rate * self.time_limit_s * _OPERATION_BYTES / (1 << 20))

    def command(self, run: str = "RUN") -> str:
        """The command line that runs this test again; no options can give a schedule, so then it names the run."""
        if self.schedule is not None:
            return shlex.join(["splitbrain", "replay", run])
        words = ["splitbrain", "run", "--env", self.environment, "--nodes", str(len(self.nodes))]
        words += ["--workload", self.workload, "--nemesis", format_nemesis(self.nemesis)]
        words += ["--time-limit", f"{self.time_limit_s:g}", "--rate", f"{self.rate:g}"]
        words += ["--concurrency", str(self.concurrency), "--seed", str(self.seed)]
        words += ["--mutant", self.mutant] if self.mutant else []
        words += ["--clock", self.clock] if self.clock != "node" else []
        words += [word for option, value in self.docker_options().items() for word in (option, value)]
        words += [word for option, value in self.ssh_options().items() for word in (option, value) if word]
        return shlex.join(words)

    def docker_options(self) -> dict[str, str]:
        """The options that only containers understand, without those that were left as they are."""
        given = {"--base-image": self.base_image, "--subnet": self.subnet}
        return {option: value for option, value in given.items() if value is not None}

    def ssh_options(self) -> dict[str, str]:
        """The options that only machines reached by SSH understand; a flag has no value."""
        given = {"--hosts": self.hosts, "--identity": self.identity, "--known-hosts": self.known_hosts}
        flags = {"--accept-unknown-hosts": ""} if self.accept_unknown_hosts else {}
        return {option: value for option, value in given.items() if value is not None} | flags


def with_schedule(test: Test, schedule: Schedule) -> Test:
    """The same test with these faults, and no others."""
    named = {window.fault for window in schedule}
    nemesis = tuple(NemesisSpec(name, {}, _NO_INTERVAL_S) for name in FAULTS if name in named)
    return msgspec.structs.replace(test, nemesis=nemesis, schedule=schedule)


def node_names(count: int) -> tuple[str, ...]:
    """n1, n2, and so on."""
    return tuple(f"n{number}" for number in range(1, count + 1))


def parse_concurrency(text: str, nodes: int) -> int:
    """A number of workers, from `10` or from `2n`, which means twice the number of nodes. Raises `UsageError`."""
    match = re.fullmatch(r"([1-9]\d*)(n?)", text)
    if match is None:
        raise UsageError(f"--concurrency {text}: give a number of workers such as 10, or of workers a node such as 2n")
    return int(match[1]) * (nodes if match[2] else 1)


def validated(test: Test) -> Test:
    """The test itself; raises `UsageError` with everything that is wrong with it."""
    limits = {
        "--nodes": len(test.nodes),
        "--time-limit": test.time_limit_s,
        "--rate": test.rate,
        "--concurrency": test.concurrency,
        "--interval": min((spec.interval_s for spec in test.nemesis), default=1),
    }
    found = [
        f"{option} {value:g}: must be a finite number greater than 0"
        for option, value in limits.items()
        if not 0 < value < math.inf
    ]
    if abs(test.seed) > LAST_SEED:
        found.append(f"--seed {test.seed}: the last seed that there can be is {LAST_SEED}")
    if test.workload not in WORKLOADS:
        found.append(f"--workload {test.workload}: there is no such workload; choose from {', '.join(WORKLOADS)}")
    if test.environment == "sim" and test.clock != "node":
        found.append(f"--clock {test.clock}: only real nodes have it: choose --env docker, local or ssh")
    if test.environment != "docker":
        found += [f"{option} {value}: only --env docker has it" for option, value in test.docker_options().items()]
    if test.environment != "ssh":
        found += [f"{option} {value}: only --env ssh has it" for option, value in test.ssh_options().items()]
    found += problems(test.schedule or ())
    if found:
        raise UsageError("; ".join(found))
    return test
