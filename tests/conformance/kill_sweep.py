"""SIGKILL of the harness at random moments of a run, then `splitbrain heal`; is all as it was before?

    PYTHONPATH=tests python tests/conformance/kill_sweep.py --env ssh --count 20          also docker, local

Prints a line for each kill and a sum, and exits with 1 if anything was left even once. For ssh it makes machines with
an OpenSSH server, in containers. Lives here: the kills and the comparison. Must not live here: looking (`traces`).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from harness.environments.base import Node
from leftovers import processes_naming, things_labelled
from sshd import Machine, container_machines, from_outside, have_rules, hosts_option
from traces import difference, look

DEADLINE_S = 180.0
NODES = ("n1", "n2", "n3")
LATEST_S = 14.0
"""The last moment at which a harness is killed: until then it sets up, and has had some faults of each kind."""

_SETTLE_S = 10.0
_POLL_S = 0.1

Look = Callable[[], list[str]]


@dataclass(frozen=True)
class Sweep:
    """Where harnesses are killed, and how what is left there is seen: a look for each machine, by its name."""

    environment: str
    directory: Path
    looks: Mapping[str, Look]
    options: list[str] = field(default_factory=list)
    variables: Mapping[str, str] = field(default_factory=dict)

    def kill_once(self, moment_s: float, seed: int) -> tuple[str, list[str]]:
        """What is to be told of a kill at that moment, and all that was left after `heal`."""
        store = self.directory / f"store-{seed}"
        before = {name: look_at() for name, look_at in self.looks.items()}
        pid = self._killed(moment_s, seed, store)
        things = len(list(self._differences(before, store, pid)))
        first, second = self._heal(), self._heal()
        left = self._left(before, store, pid)
        if first.returncode != 0:
            left.append(f"heal: exit {first.returncode}: {first.stdout}{first.stderr}")
        if (second.returncode, second.stdout) != (0, "nothing to heal\n"):
            left.append(f"second heal: exit {second.returncode}: {second.stdout}{second.stderr}")
        faults = sum(" undone: " in line for line in first.stdout.splitlines())
        lines = len(first.stdout.splitlines())
        told = f"killed at {moment_s:5.2f} s, {faults} faults in force, {things} traces"
        return f"{told}; heal said {lines} lines; left: {'; '.join(left) or 'nothing'}", left

    def _killed(self, moment_s: float, seed: int, store: Path) -> int:
        words = ["run", "--env", self.environment, *self.options, "--store", str(store), "--seed", str(seed)]
        words += ["--nemesis", "all", "--interval", "2", "--time-limit", "600"]
        with subprocess.Popen(_command(words), env=self._variables(), stdout=subprocess.DEVNULL, stderr=_ERRORS) as run:
            try:
                said = run.communicate(timeout=moment_s)[1]
                raise AssertionError(f"it ended by itself: {said.decode()}")
            except subprocess.TimeoutExpired:
                return run.pid
            finally:
                run.kill()

    def _heal(self) -> subprocess.CompletedProcess[str]:
        command, variables = _command(["heal"]), self._variables()
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    def _variables(self) -> dict[str, str]:
        return {**os.environ, **self.variables, "SPLITBRAIN_STATE": str(self.directory / "state")}

    def _left(self, before: Mapping[str, list[str]], store: Path, pid: int) -> list[str]:
        """What is there that was not, and the other way round. The kernel may take a moment to end a namespace."""
        end = time.monotonic() + _SETTLE_S
        while (left := list(self._differences(before, store, pid))) and time.monotonic() < end:
            time.sleep(_POLL_S)
        return left

    def _differences(self, before: Mapping[str, list[str]], store: Path, pid: int) -> Iterator[str]:
        yield from (f"process {command}" for command in processes_naming(str(store)))
        if self.environment == "docker":
            yield from things_labelled({"splitbrain.pid": str(pid)})
        yield from (str(file) for file in (self.directory / "state" / "ledger").glob("*"))
        for name, look_at in self.looks.items():
            yield from (f"{name}: {line}" for line in difference(before[name], look_at()))


_ERRORS = subprocess.PIPE


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "harness", *words]


@contextmanager
def sweep_on(environment: str, directory: Path) -> Iterator[Sweep]:
    """Where harnesses are killed; for ssh, machines that exist as long as the context."""
    if environment != "ssh":
        temporary = directory / "temporary"
        temporary.mkdir()
        looks = {"this machine": partial(_this_machine, temporary)}
        yield Sweep(environment, directory, looks, ["--nodes", str(len(NODES))], {"TMPDIR": str(temporary)})
        return
    with container_machines(NODES, directory / "machines") as machines:
        have_rules(machines)
        yield on_machines(machines, directory)


def on_machines(machines: Mapping[Node, Machine], directory: Path) -> Sweep:
    """Where harnesses are killed: on these machines."""

    def look_at(machine: Machine) -> Look:
        return lambda: look(lambda script: from_outside(machine, script))

    options = ["--hosts", hosts_option(machines), *machines[NODES[0]].options()]
    return Sweep("ssh", directory, {node: look_at(machine) for node, machine in machines.items()}, options)


def _this_machine(temporary: Path) -> list[str]:
    """The rules and mounts here, and all that is in the directory for what is temporary.

    Of processes those are looked for that name the run; others come and go here. So do mounts of containers, and the
    rules that the engine makes for each of its networks: what is left on the engine is found by its label.
    """

    def execute(script: str) -> str:
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        return done.stdout

    of_engine = re.compile(r"^mount .*(/docker/|nsfs)|^rule .*\bbr-[0-9a-f]{12}\b|^process ")
    return [line for line in look(execute, str(temporary)) if of_engine.search(line) is None]


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", choices=["docker", "local", "ssh"], required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="what the moments are drawn from")
    options = parser.parse_args()
    random, failed = Random(options.seed), 0
    with tempfile.TemporaryDirectory() as directory, sweep_on(options.env, Path(directory)) as sweep:
        for number in range(1, options.count + 1):
            told, left = sweep.kill_once(random.uniform(0.2, LATEST_S), number)
            print(f"{options.env} {number}/{options.count}: {told}", flush=True)
            failed += bool(left)
    print(f"{options.env}: {options.count} kills, something was left after {failed} of them")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
