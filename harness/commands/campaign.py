"""`splitbrain campaign`: many runs, from a plan to a verdict on all of them.

Lives here: options in, a plan out; what is said at the end. Must not live here: how runs are made (`harness.campaign`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from harness.commands.terminal import Terminal
from harness.errors import LEFT, EnvironmentFailure, Interrupted, UsageError
from harness.escape import shell, short
from harness.ledger import left_in

if TYPE_CHECKING:  # loaded when it is needed: every run of a campaign loads this file as well
    from harness.campaign.conduct import Engine
    from harness.campaign.directory import CampaignDirectory, Definition
    from harness.campaign.plan import Plan


def campaign_command(
    plan: Annotated[Path | None, typer.Argument(help="A plan in TOML; with --resume, a campaign's directory.")] = None,
    env: Annotated[str | None, typer.Option(help="Where nodes run; several with commas.")] = None,
    nodes: Annotated[str | None, typer.Option(help="How many nodes; several with commas.")] = None,
    workload: Annotated[str | None, typer.Option(help="What clients do; several with commas.")] = None,
    nemesis: Annotated[
        list[str] | None, typer.Option(help="A mix of faults, as for run; several by giving it again.")
    ] = None,
    concurrency: Annotated[str | None, typer.Option(help="Client workers; several with commas.")] = None,
    rate: Annotated[str | None, typer.Option(help="Operations a second; several with commas.")] = None,
    interval: Annotated[str | None, typer.Option(help="Seconds between faults; several with commas.")] = None,
    mutant: Annotated[str | None, typer.Option(help="Known bugs; none is the sound one; several with commas.")] = None,
    hosts: Annotated[str | None, typer.Option(help="FILE, or n1=user@host:port,... (ssh only).")] = None,
    seeds: Annotated[str | None, typer.Option(help="For every cell: 100, 1..100, or fresh:20.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of operations and faults in each run.")] = None,
    jobs: Annotated[int | None, typer.Option(help="How many runs at a time.")] = None,
    wall: Annotated[float | None, typer.Option(help="Begin no more runs after that many seconds.")] = None,
    runs: Annotated[int | None, typer.Option(help="Make no more runs than that.")] = None,
    run_wall: Annotated[float | None, typer.Option(help="Seconds that one run may take, set-up and check too.")] = None,
    memory: Annotated[int | None, typer.Option(help="Megabytes of address space that a process may take.")] = None,
    keep: Annotated[str | None, typer.Option(help="Of valid runs everything (all), failures only, or of N.")] = None,
    disk: Annotated[float | None, typer.Option(help="Megabytes; beyond them the oldest valid runs are pruned.")] = None,
    name: Annotated[str | None, typer.Option(help="What campaigns of this plan are called.")] = None,
    shard: Annotated[str, typer.Option(help="Make only part I of N, such as 2/8.")] = "1/1",
    engine: Annotated[str, typer.Option(help="Who makes the runs: pool (this machine) or dask.")] = "pool",
    scheduler: Annotated[str | None, typer.Option(help="The address of the scheduler of dask.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the campaign that was ended early.")] = False,
    on_failure: Annotated[str | None, typer.Option(help="A shell command for each new kind of failure.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and run nothing.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a plan.")] = False,
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object, nothing else.")] = False,
) -> None:
    """Make many runs, of every combination of the axes under every seed, and survive whatever happens to any of them.

    Exits with 0 if all are valid, 1 if any is invalid, 2 if any says nothing.
    """
    if schema:
        _print_schema()
        return
    if resume and dry_run:
        raise UsageError("--dry-run: it says what a new campaign would run; leave --resume out")
    axes = {"env": env, "nodes": nodes, "workload": workload, "concurrency": concurrency}
    axes |= {"rate": rate, "interval": interval, "mutant": mutant}
    options = _options(
        axes={name: text.split(",") for name, text in axes.items() if text is not None}
        | ({"nemesis": nemesis} if nemesis else {}),
        name=name,
        hosts=hosts,
        time_limit_s=time_limit,
        jobs=jobs,
        budget=_options(wall_s=wall, runs=runs),
        limits=_options(wall_s=run_wall, memory_mb=memory),
        keep=_options(valid=keep, disk_mb=disk),
    )
    terminal = Terminal(json)
    part = parse_shard(shard)
    if resume:
        campaign, definition, wanted = _resumed(store, plan, options, seeds, part, terminal)
        maker = _engine(engine, scheduler, wanted)
    else:
        from harness.campaign.load import load

        wanted = load(plan, options | _seeds(seeds))
        if dry_run:
            _print_dry_run(wanted, store, part, terminal)
            return
        maker = _engine(engine, scheduler, wanted)
        campaign, definition = _begun(store, wanted, part)
    _conduct(campaign, definition, wanted, maker, on_failure, terminal)


def parse_shard(text: str) -> tuple[int, int]:
    """(index, count) of `2/8`. Raises `UsageError`."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {short(text)}: give I/N with I from 1 to N, such as 2/8")
    return int(match[1]), int(match[2])


def _options(**given: object) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in given.items() if value is not None and value != {}}


def _seeds(text: str | None) -> dict[str, Any]:
    from harness.campaign.load import parse_seeds

    return {} if text is None else {"seeds": parse_seeds(text)}


def _begun(store: Path, plan: Plan, part: tuple[int, int]) -> tuple[CampaignDirectory, Definition]:
    from harness.campaign.begin import begin

    campaign = begin(store, plan, part)
    return campaign, campaign.definition()


def _resumed(
    store: Path,
    path: Path | None,
    options: dict[str, Any],
    seeds: str | None,
    part: tuple[int, int],
    terminal: Terminal,
) -> tuple[CampaignDirectory, Definition, Plan]:
    """The campaign to go on with: the one named, the last of the plan or the name given, or the last of all."""
    from harness.campaign.begin import require_same
    from harness.campaign.directory import find
    from harness.campaign.load import laid_over, load

    options = options | _seeds(seeds)
    if path is not None and not path.is_file():
        campaign = find(store, str(path))
        definition = campaign.definition()
        plan = load(None, laid_over(definition.plan, options))
    else:
        recorded = path is None and "seeds" not in options
        given = None if recorded else load(path, options)
        known = _readable(store, given.name if given else options.get("name"), terminal)
        known = [(one, definition) for one, definition in known if recorded or definition.shard == part]
        if not known:
            raise UsageError(
                f"--resume: there is no campaign in {store} to go on with; leave --resume out to begin one"
            )
        campaign, definition = known[-1]
        plan = given or load(None, laid_over(definition.plan, options))
    require_same(definition, plan)
    return campaign, definition, plan


def _readable(store: Path, plan: str | None, terminal: Terminal) -> list[tuple[CampaignDirectory, Definition]]:
    """The campaigns of that plan, or of all, that can be read, the oldest first. It says which cannot."""
    from harness.campaign.directory import campaigns

    readable = []
    for campaign in campaigns(store, plan):
        try:
            readable.append((campaign, campaign.definition()))
        except UsageError as error:
            terminal.say(f"passed over: {error}")
    return readable


def _engine(name: str, scheduler: str | None, plan: Plan) -> Engine:
    if name == "pool":
        from harness.campaign.pool import completed

        return lambda tasks: completed(tasks, plan.at_a_time)
    if name != "dask":
        raise UsageError(f"--engine {name}: there is no such engine; choose from pool, dask")
    if plan.hosts is not None:
        raise UsageError("--engine dask: it would make several runs at once on the same --hosts; leave --engine out")
    if scheduler is None:
        raise UsageError("--engine dask: give the address of its scheduler, such as --scheduler tcp://10.0.0.1:8786")
    try:
        from harness.campaign.engine_dask import connected
    except ImportError as error:
        raise UsageError(f"--engine dask: {error}; pip install distributed") from error

    return connected(scheduler, whole=plan.keep.valid != "failures")


def _conduct(
    campaign: CampaignDirectory,
    definition: Definition,
    plan: Plan,
    engine: Engine,
    on_failure: str | None,
    terminal: Terminal,
) -> None:
    from harness.campaign.conduct import Conductor
    from harness.campaign.hook import Hook
    from harness.campaign.prepare import prepare
    from harness.commands.morning import write_morning_report
    from harness.commands.watch import Watch
    from harness.report.campaign import render, sentence

    with campaign.locked(), Watch(campaign.name) as watch:
        prepare({cell.env for cell in definition.cells}, watch.say)
        try:
            summary = Conductor(campaign, plan, engine, watch, Hook(campaign.store, on_failure)).conduct()
            terminal.best_effort("the morning report", lambda: write_morning_report(campaign))
        except (KeyboardInterrupt, Interrupted, EnvironmentFailure) as end:
            watch.say(f"to go on: splitbrain campaign {shell(str(campaign.path))} --resume")
            if isinstance(end, KeyboardInterrupt) and (runs := left_in(campaign.path)):
                raise Interrupted(f"not all that was started has been stopped: {LEFT} of {', '.join(runs)}") from None
            raise
    if terminal.json:
        terminal.document(summary)
    else:
        terminal.lines(render(summary))
        terminal.verdict(summary.verdict, sentence(summary))
    raise typer.Exit(summary.verdict.exit_code)


def _print_schema() -> None:
    from harness.campaign.plan import Plan

    Terminal(json=True).indented(msgspec.json.encode(Plan.model_json_schema()))


def _print_dry_run(plan: Plan, store: Path, part: tuple[int, int], terminal: Terminal) -> None:
    from harness.campaign.estimate import estimate

    expected = estimate(plan, store, part)
    if terminal.json:
        terminal.document(expected)
    else:
        terminal.lines(expected.lines())
