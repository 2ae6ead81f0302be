"""The definition of a test: everything that is needed to run it, and to run it again.

Lives here: the frozen definition, and what is wrong with a bad one. Must not live here: running it.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

import harness
from harness.environments.faketime import CLOCKS
from harness.environments.sim.mutants import mutant_ids
from harness.errors import UsageError
from harness.escape import short
from harness.nemesis import FAULTS
from harness.nemesis.script import FaultWindow, Schedule, problems
from harness.nemesis.specs import NemesisSpec, format_nemesis, parse_nemesis
from harness.untrusted import Word
from harness.workloads import WORKLOADS

LAST_SEED = (1 << 63) - 1
"""The catalogue of runs has 64 bits for it."""

MOST_NODES = 1000
MOST_WORKERS = 100_000
MOST_RATE = 1e6
MOST_SECONDS = 1e7
LEAST_INTERVAL_S = 1e-3
MOST_OPERATIONS = 100_000_000
"""Of one run: that many take a day to make in the simulator, and 20 GB of history."""

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

    environment: Word
    nodes: tuple[Word, ...]
    workload: Word
    nemesis: tuple[NemesisSpec, ...]
    schedule: Schedule | None = None
    time_limit_s: float
    rate: float
    concurrency: int
    seed: int
    mutant: Word | None = None
    clock: Word = "node"
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
    """n1, n2, and so on; none is for `validated` to refuse. Raises `UsageError` for a number that nothing can have."""
    if not 0 <= count <= MOST_NODES:
        raise UsageError(_cluster_size(count))
    return tuple(f"n{number}" for number in range(1, count + 1))


def parse_concurrency(text: str, nodes: int) -> int:
    """A number of workers, from `10` or from `2n`, which means twice the number of nodes. Raises `UsageError`."""
    match = re.fullmatch(r"([1-9][0-9]*)(n?)", text)
    if match is None:
        right = "give a number of workers such as 10, or of workers a node such as 2n"
        raise UsageError(f"--concurrency {short(text)}: {right}")
    workers = int(match[1][:12]) * (nodes if match[2] else 1)
    if workers > MOST_WORKERS:
        raise UsageError(f"--concurrency {short(text)}: there are at most {MOST_WORKERS} workers")
    return workers


def _cluster_size(count: int) -> str:
    return f"--nodes {count:.12g}: a cluster has 1 to {MOST_NODES} nodes"


def validated(test: Test) -> Test:
    """The test itself; raises `UsageError` with everything that is wrong with it.

    It may come from a file: so nothing in it is taken for a known name, or a part of a path, without a look.
    """
    found = [*_out_of_range(test), *_unknown_words(test)]
    if test.environment == "sim" and test.clock != "node":
        found.append(f"--clock {test.clock}: only real nodes have it: choose --env docker, local or ssh")
    if test.environment != "docker":
        found += [
            f"{option} {short(value)}: only --env docker has it" for option, value in test.docker_options().items()
        ]
    if test.environment != "ssh":
        found += [f"{option} {short(value)}: only --env ssh has it" for option, value in test.ssh_options().items()]
    found += problems(test.schedule or ())
    found += [problem for window in test.schedule or () for problem in _foreign(window, test.nodes)]
    if found:
        raise UsageError("; ".join(found))
    return test


def _out_of_range(test: Test) -> list[str]:
    """Numbers that no test can have."""
    limits: dict[str, tuple[float, float]] = {
        "--time-limit": (test.time_limit_s, MOST_SECONDS),
        "--rate": (test.rate, MOST_RATE),
        "--concurrency": (test.concurrency, MOST_WORKERS),
        "operation_timeout_s": (test.operation_timeout_s, MOST_SECONDS),
        "recovery_limit_s": (test.recovery_limit_s, MOST_SECONDS),
        "check_limit_s": (test.check_limit_s, MOST_SECONDS),
    }
    found = []
    if not 1 <= len(test.nodes) <= MOST_NODES:
        found.append(_cluster_size(len(test.nodes)))
    for option, (value, most) in limits.items():
        if not 0 < value < math.inf:
            found.append(f"{option} {value:g}: must be a finite number greater than 0")
        elif value > most:
            found.append(f"{option} {value:g}: at most {most:g}")
    for spec in test.nemesis:
        if not LEAST_INTERVAL_S <= spec.interval_s <= MOST_SECONDS:
            right = f"must be a finite number greater than 0, from {LEAST_INTERVAL_S:g} to {MOST_SECONDS:g}"
            found.append(f"--interval {spec.interval_s:g}: {right}")
    if not found and (operations := test.rate * test.time_limit_s) > MOST_OPERATIONS:
        found.append(f"--rate, --time-limit: {operations:.3g} operations, and a run has at most {MOST_OPERATIONS:g}")
    if abs(test.seed) > LAST_SEED:
        found.append(f"--seed {test.seed:.12g}: the last seed that there can be is {LAST_SEED}")
    return list(dict.fromkeys(found))


def _unknown_words(test: Test) -> list[str]:
    """Names that mean nothing, or that cannot be names."""
    vocabulary = {
        "--workload": (test.workload, "workload", tuple(WORKLOADS)),
        "--mutant": (test.mutant, "mutant", mutant_ids()),
        "--clock": (test.clock, "clock", CLOCKS),
    }
    found = [
        f"{option} {short(word)}: there is no such {what}; choose from {', '.join(words)}"
        for option, (word, what, words) in vocabulary.items()
        if word is not None and word not in words
    ]
    if len(set(test.nodes)) < len(test.nodes):
        found.append("nodes: two have the same name")
    for spec in test.nemesis:
        try:
            read = parse_nemesis(format_nemesis((msgspec.structs.replace(spec, named=True, interval_s=1.0),)), 1.0)
        except (UsageError, KeyError, ValueError, ArithmeticError):
            read = ()
        if [(one.name, dict(one.given)) for one in read] != [(spec.name, dict(spec.given))]:
            found.append(f"--nemesis {short(spec.name)}: there is no such fault, or not with these words and numbers")
    return found


def _foreign(window: FaultWindow, nodes: Sequence[str]) -> list[str]:
    """What in a window cannot come from a fault: words that are no plain words, numbers beyond all measure."""
    where = f"schedule: {short(window.fault)} at {window.begin_ns / 1e9:g} s"
    values = [*_leaves(window.asked), *_leaves(window.resolved or {})]
    strange = next((value for value in values if not _plain(value)), None)
    found = [] if strange is None else [f"{where}: {short(repr(strange))} is nothing that a fault has"]
    hit = [] if window.resolved is None else window.resolved.get("nodes")
    if not isinstance(hit, list | tuple) or not set(map(str, hit)) <= set(nodes):
        found.append(f"{where}: it does not say which of the nodes it hits")
    return found


def _leaves(value: object) -> Iterator[object]:
    """All that is in a JSON value, names included."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _plain(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[A-Za-z0-9 _.,:%+*/()<>=-]{0,200}", value) is not None and ".." not in value
    return value is None or (isinstance(value, int | float) and abs(value) <= LAST_SEED)
