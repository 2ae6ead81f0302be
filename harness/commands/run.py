"""`splitbrain run`: one test, from the options of the command line to an exit code."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from harness import defaults
from harness.commands.one_run import enter_namespace, execute, heal_before, print_failure, print_results
from harness.commands.terminal import Terminal
from harness.environments import choose
from harness.environments.ssh import SshEnvironment
from harness.environments.ssh_hosts import EXAMPLE, ssh_hosts
from harness.errors import EnvironmentFailure, UsageError
from harness.nemesis.specs import parse_nemesis
from harness.store import create, take
from harness.test import Test, node_names, parse_concurrency, validated


def run_command(
    env: Annotated[str, typer.Option(help="Where nodes run: auto, docker, local, sim or ssh.")] = "auto",
    nodes: Annotated[int, typer.Option(help="How many nodes; with ssh, one on each of --hosts.")] = defaults.NODES,
    workload: Annotated[str, typer.Option(help="What clients do.")] = defaults.WORKLOAD,
    nemesis: Annotated[
        str, typer.Option(help="Faults such as partition:one-way,clock:offset=2s,kill:leader:interval=9; all; none.")
    ] = defaults.NEMESIS,
    time_limit: Annotated[float, typer.Option(help="Seconds of operations and faults.")] = defaults.TIME_LIMIT_S,
    rate: Annotated[float, typer.Option(help="Operations a second, over all workers.")] = defaults.RATE,
    concurrency: Annotated[
        str, typer.Option(help="Client workers; 2n is twice the number of nodes.")
    ] = defaults.CONCURRENCY,
    seed: Annotated[int | None, typer.Option(help="What all randomness is derived from; drawn if not given.")] = None,
    interval: Annotated[
        float, typer.Option(help="Seconds from one fault of a kind to the next, about.")
    ] = defaults.INTERVAL_S,
    mutant: Annotated[str | None, typer.Option(help="A known bug to build into every node, such as Q1.")] = None,
    clock: Annotated[str, typer.Option(help="Whose clocks are faulty: node, or libfaketime (not sim).")] = "node",
    base_image: Annotated[str | None, typer.Option(help="What a node's image is built on (docker only).")] = None,
    subnet: Annotated[str | None, typer.Option(help="The nodes' network, such as 10.213.7.0/24 (docker only).")] = None,
    hosts: Annotated[str | None, typer.Option(help="FILE, or n1=user@host:port,... (ssh only).")] = None,
    identity: Annotated[str | None, typer.Option(help="A private key to log in with (ssh only).")] = None,
    known_hosts: Annotated[str | None, typer.Option(help="A file of host keys, beside your own (ssh only).")] = None,
    accept_unknown_hosts: Annotated[
        bool, typer.Option("--accept-unknown-hosts", help="Take unknown host keys unseen (ssh only).")
    ] = False,
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    directory: Annotated[
        Path | None, typer.Option(help="Keep this run just there, instead of by name and time.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON object, nothing else.")] = False,
) -> None:
    """Run one test: start a cluster, break it while clients use it, and check what they saw.

    Exits with 0 if that is linearizable (valid), 1 if not (invalid), 2 if it is not known.
    """
    environment, why = choose.choose(env)
    names = _names(environment, nodes, hosts)
    test = validated(
        Test(
            environment=environment,
            nodes=names,
            workload=workload,
            nemesis=parse_nemesis(nemesis, interval),
            time_limit_s=time_limit,
            rate=rate,
            concurrency=parse_concurrency(concurrency, max(len(names), 1)),
            seed=random.SystemRandom().randrange(1 << 31) if seed is None else seed,
            mutant=mutant,
            clock=clock,
            base_image=base_image,
            subnet=subnet,
            hosts=hosts,
            identity=identity,
            known_hosts=known_hosts,
            accept_unknown_hosts=accept_unknown_hosts,
        )
    )
    if environment == SshEnvironment.name:
        choose.ssh_access(test)  # what is wrong with it is told before anything is made
    terminal = Terminal(json)
    if env == "auto":
        terminal.say(f"environment {environment}: {why}")
    heal_before(terminal)
    enter_namespace(environment)
    run_directory = create(store, test.name, say=terminal.say) if directory is None else take(store, directory)
    try:
        results = execute(test, run_directory, terminal)
    except EnvironmentFailure as failure:
        print_failure(failure, run_directory, terminal)
        raise
    print_results(results, run_directory, terminal)
    raise typer.Exit(results.verdict.exit_code)


def _names(environment: str, nodes: int, hosts: str | None) -> tuple[str, ...]:
    """The nodes' names: machines that exist already have theirs."""
    if environment != SshEnvironment.name:
        return node_names(nodes)
    if hosts is None:
        raise UsageError(f"--env ssh: name the machines, such as --hosts {EXAMPLE},n2=...")
    return tuple(host.node for host in ssh_hosts(hosts))
