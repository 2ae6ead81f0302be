"""The definition of a test: everything that is needed to run it, and to run it again.

Lives here: the frozen definition, its defaults, and what is wrong with a bad one. Must not live here: running it.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence

import msgspec

import harness
from harness.environments.base import UsageError
from harness.nemesis import PACKAGES
from harness.workloads import WORKLOADS


class NemesisSpec(msgspec.Struct, frozen=True):
    """One kind of fault, and the seconds from one to the next, about (partitions are more frequent, kills less)."""

    name: str
    interval_s: float


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """A test. Times in seconds, `rate` in operations a second over all workers."""

    __test__ = False  # not one of pytest's

    environment: str
    nodes: tuple[str, ...]
    workload: str
    nemesis: tuple[NemesisSpec, ...]
    time_limit_s: float
    rate: float
    concurrency: int
    seed: int
    mutant: str | None = None
    clock: str = "node"
    base_image: str | None = None
    subnet: str | None = None
    operation_timeout_s: float = 1.0
    recovery_limit_s: float = 60.0
    check_limit_s: float = 120.0
    version: str = harness.__version__

    @property
    def name(self) -> str:
        """What runs of this test are filed under."""
        return "-".join([self.workload, self.environment, *([self.mutant] if self.mutant else [])])

    def command(self) -> str:
        """The command line that runs this test again."""
        words = ["splitbrain", "run", "--env", self.environment, "--nodes", str(len(self.nodes))]
        words += ["--workload", self.workload, "--nemesis", format_nemesis(self.nemesis)]
        words += ["--time-limit", f"{self.time_limit_s:g}", "--rate", f"{self.rate:g}"]
        words += ["--concurrency", str(self.concurrency), "--seed", str(self.seed)]
        words += ["--mutant", self.mutant] if self.mutant else []
        words += [word for option, value in self.docker_options().items() for word in (option, value)]
        return shlex.join(words)

    def docker_options(self) -> dict[str, str]:
        """The options that only containers understand, without those that were left as they are."""
        clock = None if self.clock == "node" else self.clock
        given = {"--clock": clock, "--base-image": self.base_image, "--subnet": self.subnet}
        return {option: value for option, value in given.items() if value is not None}


def node_names(count: int) -> tuple[str, ...]:
    """n1, n2, and so on."""
    return tuple(f"n{number}" for number in range(1, count + 1))


def parse_concurrency(text: str, nodes: int) -> int:
    """A number of workers, from `10` or from `2n`, which means twice the number of nodes. Raises `UsageError`."""
    match = re.fullmatch(r"([1-9]\d*)(n?)", text)
    if match is None:
        raise UsageError(f"--concurrency {text}: give a number of workers such as 10, or of workers a node such as 2n")
    return int(match[1]) * (nodes if match[2] else 1)


def parse_nemesis(text: str, interval_s: float) -> tuple[NemesisSpec, ...]:
    """The packages of a list such as `partition,kill:interval=2`; `none` is no nemesis. Raises `UsageError`."""
    items = [item.strip() for item in text.split(",")]
    return tuple(_parse_package(item, interval_s) for item in items if item not in ("", "none"))


def _parse_package(item: str, interval_s: float) -> NemesisSpec:
    name, _, parameter = item.partition(":")
    if name not in PACKAGES:
        raise UsageError(f"--nemesis {name}: there is no such nemesis; choose from {', '.join(PACKAGES)}, none")
    if not parameter:
        return NemesisSpec(name, interval_s)
    match = re.fullmatch(r"interval=(\d+(?:\.\d+)?)", parameter)
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"--nemesis {item}: the one parameter is interval=SECONDS, greater than 0")
    return NemesisSpec(name, float(match[1]))


def format_nemesis(specs: Sequence[NemesisSpec]) -> str:
    """The list that `parse_nemesis` reads back."""
    return ",".join(f"{spec.name}:interval={spec.interval_s:g}" for spec in specs) or "none"


def validated(test: Test) -> Test:
    """The test itself; raises `UsageError` with everything that is wrong with it."""
    limits = {
        "--nodes": len(test.nodes),
        "--time-limit": test.time_limit_s,
        "--rate": test.rate,
        "--concurrency": test.concurrency,
        "--interval": min((spec.interval_s for spec in test.nemesis), default=1),
    }
    problems = [
        f"{option} {value:g}: must be a finite number greater than 0"
        for option, value in limits.items()
        if not 0 < value < math.inf
    ]
    if test.workload not in WORKLOADS:
        problems.append(f"--workload {test.workload}: there is no such workload; choose from {', '.join(WORKLOADS)}")
    if test.environment != "docker":
        problems += [f"{option} {value}: only --env docker has it" for option, value in test.docker_options().items()]
    names = [spec.name for spec in test.nemesis]
    problems += [f"--nemesis {name}: named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise UsageError("; ".join(problems))
    return test
