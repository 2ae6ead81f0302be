"""One run, as the commands make it: what `run`, `demo` and `replay` have in common.

Lives here: what has to be so before a run begins, the run itself, and showing what came of it. Must not live here: how
the test was defined, which is each command's own.
"""

from __future__ import annotations

import os
import signal
import sys

import msgspec
import typer

from checkers.result import Verdict
from harness import exit_codes
from harness.adapters.raft_register import RaftRegister
from harness.commands.terminal import Terminal
from harness.environments import choose, namespace
from harness.environments.local import LocalEnvironment
from harness.errors import EnvironmentFailure
from harness.heal import heal
from harness.judge import Results
from harness.ledger import state_directory
from harness.report.text import render, sentence
from harness.runner import run
from harness.store import RunDirectory
from harness.test import Test


def heal_before(terminal: Terminal) -> None:
    """Put right what dead harnesses left, unless this is the inner half of a command that has done so."""
    if not namespace.inside():
        heal(terminal.say)


def enter_namespace(environment: str) -> None:
    """Go on inside of a private namespace if the environment needs one: run this command line there, then exit."""
    if environment == LocalEnvironment.name and not namespace.inside():
        again = [sys.executable, "-P", "-m", "harness", *sys.argv[1:], "--env", environment]
        # Inside this user is root, who may have another home.
        os.environ["SPLITBRAIN_STATE"] = str(state_directory())
        code = namespace.reexecute(again)
        if code in _KILLED:  # by the signal that we passed on, before it was ready for any
            raise typer.Abort
        if code == exit_codes.INTERRUPTED:
            raise AlreadySaid
        raise typer.Exit(code)


class AlreadySaid(typer.Abort):
    """The command was interrupted in the namespace, and has said there how it ended."""


_KILLED = (128 + signal.SIGTERM, 128 + signal.SIGHUP)


def execute(test: Test, directory: RunDirectory, terminal: Terminal) -> Results:
    """The results of the test. Whoever calls for `local` must be inside of the namespace: see `enter_namespace`."""
    # libfaketime leaves the monotonic clock alone, so nodes must look at the other one for it to matter.
    clock_base = "realtime" if test.clock == "libfaketime" else "monotonic"
    adapter = RaftRegister(mutant=test.mutant, clock_base=clock_base)
    environment = choose.make(test, adapter, directory.path, terminal.say)
    try:
        with terminal.progress(f"{test.name}, seed {test.seed}", test.time_limit_s, environment.now_ns):
            return run(test, environment, adapter, directory)
    except KeyboardInterrupt as interruption:
        raise typer.Abort from interruption  # of the interruption itself typer would say nothing


def print_failure(failure: EnvironmentFailure, directory: RunDirectory, terminal: Terminal) -> None:
    """With `--json`, the object of a run that has no results: they could not be had, or not be kept."""
    if terminal.json:
        terminal.document({"run": str(directory.path), "verdict": Verdict.UNKNOWN, "reason": str(failure)})


def print_results(results: Results, directory: RunDirectory, terminal: Terminal) -> None:
    """Show the results and keep the same text in the run directory."""
    text = render(results, directory.path)
    try:
        directory.report.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        terminal.say(f"{directory.report} cannot be written: {error.strerror}")
    if terminal.json:
        terminal.document({"run": str(directory.path), **msgspec.to_builtins(results)})
    else:
        *body, _ = text.split("\n")
        terminal.lines(body)
        terminal.verdict(results.verdict, sentence(results))
