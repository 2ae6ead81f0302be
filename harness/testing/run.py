"""Runs as a test sees them: made from a definition, with their results and their history.

Lives here: `Run`, and how one is made from inside of somebody's test: the simulator in this process, real nodes by the
command line in a process of its own, which has the signals and the namespace that they need.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from checkers.formats import jsonl, open_binary
from checkers.history import Event, History
from checkers.result import Verdict
from harness import exit_codes
from harness.adapters.raft_register import RaftRegister
from harness.environments.sim.environment import SimEnvironment
from harness.errors import UsageError
from harness.judge import Results
from harness.nemesis.script import FaultWindow, Schedule, recorded
from harness.runner import run
from harness.store import ARTEFACT, HISTORY, RESULTS, RunDirectory, create
from harness.test import Test
from harness.testing.definition import define

_SETUP_S = 600.0
"""How long real nodes may take to come and go: the first run builds an image."""

_TEARDOWN_S = 120.0


@dataclass(frozen=True, repr=False)
class Run:
    """One run. `directory` is where it is kept; None if it is not. `events` is its history, in order of time."""

    test: Test
    results: Results
    events: Sequence[Event]
    directory: Path | None = None

    def __repr__(self) -> str:
        return f"<run of {self.test.name}, seed {self.test.seed}: {self.verdict}>"

    @property
    def verdict(self) -> Verdict:
        return self.results.verdict

    @property
    def reason(self) -> str:
        """Why it came out so, in one sentence."""
        return self.results.reason

    @cached_property
    def history(self) -> History:
        """What clients saw, for `assert_linearizable` and for `checkers.check`."""
        return History.of_events(self.events, str(self.directory or "history"))

    @property
    def schedule(self) -> Schedule:
        """The faults that took place."""
        return recorded(self.events)

    @property
    def artefact(self) -> Path | None:
        """What `splitbrain replay` takes; None unless it failed and is kept."""
        path = self.directory / ARTEFACT if self.directory else None
        return path if path is not None and path.exists() else None

    def assert_valid(self) -> None:
        """Raise AssertionError, with the evidence, if it is not valid: nor is a run that proves nothing."""
        __tracebackhide__ = True
        if self.verdict is not Verdict.VALID:
            details = [check.detail for check in self.results.checks.values() if check.detail]
            # Of a run that is kept the plugin says this, in a section of its own.
            repeat = [] if self.directory else self.how_to_repeat()
            raise AssertionError("\n".join([f"{self.verdict}: {self.reason}", *details, *repeat]))

    def how_to_repeat(self) -> list[str]:
        """Where it is kept, and the commands that have it again, a line each."""
        lines = [] if self.directory is None else [f"run directory  {self.directory}"]
        if self.artefact is not None:
            lines += [f"artefact       {self.artefact}", f"to replay      splitbrain replay {self.artefact}"]
        return lines if self.test.schedule is not None else [*lines, f"to run again   {self.results.command}"]


def simulate(*, seed: int, schedule: Iterable[FaultWindow | Mapping[str, object]] | None = None, **options: Any) -> Run:  # noqa: ANN401 - see `define`
    """A run in the simulator, of which nothing is kept on disk. `options` as `define` has them, and no `env`.

    The same arguments always make the same run.
    """
    test = define(seed=seed, env=SimEnvironment.name, schedule=schedule, **options)
    with tempfile.TemporaryDirectory(prefix="splitbrain-") as store:
        made = run_test(test, Path(store))
        return Run(made.test, made.results, made.events)


def run_test(test: Test, store: Path) -> Run:
    """The run of a test, kept in the store. Raises `UsageError` if it cannot be made here."""
    if test.environment == SimEnvironment.name:
        return _simulated(test, create(store, test.name))
    if test.schedule is not None:
        raise UsageError(f"schedule: in the simulator only; on {test.environment} nodes splitbrain replay issues one")
    return _by_command(test, store)


def _simulated(test: Test, directory: RunDirectory) -> Run:
    adapter = RaftRegister(mutant=test.mutant)
    environment = SimEnvironment(test.nodes, lambda notice: None, adapter, test.seed, directory.path)
    results = run(test, environment, adapter, directory)
    return Run(test, results, _events(directory.history), directory.path)


def _by_command(test: Test, store: Path) -> Run:
    """The run that `splitbrain run` makes of the test."""
    _, *words = shlex.split(test.command())
    command = [sys.executable, "-P", "-m", "harness", *words, "--store", str(store), "--json"]
    code, out, err = _output(command, _SETUP_S + test.time_limit_s + 2 * test.recovery_limit_s + test.check_limit_s)
    if code == exit_codes.BAD_INPUT:
        raise UsageError((err.strip().splitlines() or ["bad input"])[-1].removeprefix("splitbrain: "))
    if code not in exit_codes.VERDICTS:
        raise RuntimeError(f"{test.command()} exited with {code}:\n{err}")
    directory = Path(str(msgspec.json.decode(out)["run"]))
    results = msgspec.json.decode((directory / RESULTS).read_bytes(), type=Results)
    return Run(test, results, _events(directory / HISTORY), directory)


def _output(command: Sequence[str], limit_s: float) -> tuple[int, str, str]:
    """The exit code, stdout and stderr. Whatever ends the wait, the command has time to remove what it made."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = process.communicate(timeout=limit_s)
        return process.returncode, out, err
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=_TEARDOWN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _events(history: Path) -> list[Event]:
    with open_binary(history) as lines:
        return [event for _, event in jsonl.events(lines, str(history), "error")]
