"""`splitbrain demo`: the sound Raft passes, the same Raft with a known bug is caught."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from checkers.result import Verdict
from harness import defaults, exit_codes
from harness.commands.one_run import enter_namespace, execute, heal_before, print_results
from harness.commands.terminal import Terminal
from harness.environments.choose import choose
from harness.nemesis.specs import parse_nemesis
from harness.store import create
from harness.test import Test, node_names, parse_concurrency, validated

BUG = "Q1"


def demo_command(
    env: Annotated[str, typer.Option(help="Where nodes run: auto, docker, local or sim.")] = "auto",
    time_limit: Annotated[float, typer.Option(help="Seconds of operations and faults in each test.")] = 45.0,
    seed: Annotated[int, typer.Option(help="What all randomness is derived from.")] = 7,
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
) -> None:
    """Two tests under partitions, skewed clocks, kills and pauses: a sound Raft, then one with a bug.

    Exits with 0 only if the first is valid and the second invalid.
    """
    terminal = Terminal()
    environment, why = choose(env)
    terminal.say(f"environment {environment}: {why}")
    heal_before(terminal)
    enter_namespace(environment)
    found = []
    for mutant, title in (
        (None, "a sound Raft"),
        (BUG, "the same, whose leader answers reads without asking a quorum"),
    ):
        terminal.lines([f"== {title}"])
        test = validated(
            Test(
                environment=environment,
                nodes=node_names(defaults.NODES),
                workload=defaults.WORKLOAD,
                nemesis=parse_nemesis(defaults.NEMESIS, defaults.INTERVAL_S),
                time_limit_s=time_limit,
                rate=defaults.RATE,
                concurrency=parse_concurrency(defaults.CONCURRENCY, defaults.NODES),
                seed=seed,
                mutant=mutant,
            )
        )
        directory = create(store, test.name, say=terminal.say)
        results = execute(test, directory, terminal)
        print_results(results, directory, terminal)
        found.append(results.verdict)
    as_expected = found == [Verdict.VALID, Verdict.INVALID]
    terminal.lines(["", f"expected valid, then invalid; found {found[0]}, then {found[1]}"])
    raise typer.Exit(exit_codes.VALID if as_expected else exit_codes.INVALID)
