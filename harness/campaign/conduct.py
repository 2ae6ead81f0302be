"""The main path of a campaign: begin or resume it, make its runs, take on what became of them, sum up.

    plan -> definition -> jobs that have no row yet -> engine -> row -> catalogue, keeper, hook, watcher -> summary

Lives here: that order. Start reading here: `plan` is what goes in, `directory` is what is on disk, an engine (`pool`,
`engine_dask`) makes runs, `row` is what comes out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from checkers.result import Verdict, merge
from harness.campaign import catalogue, directory
from harness.campaign.cells import Job
from harness.campaign.directory import Assignment, CampaignDirectory, Definition, read_assignment, read_row
from harness.campaign.execute import Limits
from harness.campaign.expand import cells_of, jobs_of, seeds_of, shard_of
from harness.campaign.hook import Hook
from harness.campaign.keep import Keeper
from harness.campaign.plan import Plan
from harness.campaign.pool import Task
from harness.campaign.row import COUNTED, Row, counts_of
from harness.campaign.settle import row_of_unfinished
from harness.environments.base import UsageError
from harness.environments.choose import choose
from harness.report import morning

_FAILED_LIMIT = 1000
"""How many of the runs that failed before are looked at, to be run first."""

_FREE_TO_CHANGE = ("jobs", "budget", "gate")
"""What a campaign may be resumed with otherwise than it was begun: none of it changes what its runs are."""

Engine = Callable[[Iterable[Task]], Generator[Row, None, None]]
"""Makes the runs, some at a time, and gives their rows as they end."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def begin(self, planned: int, rows: Sequence[Row]) -> None: ...
    def ended(self, row: Row) -> None: ...
    def say(self, notice: str) -> None: ...


class Brief(msgspec.Struct, frozen=True):
    """A run as the summary has it."""

    run: str
    env: str
    seed: int | None
    verdict: str
    signature: str | None
    seconds: float
    cell: str
    ended: str


class Summary(msgspec.Struct, frozen=True):
    """The object that a campaign ends with. `planned` runs were to be made; fewer were if a budget ended it."""

    campaign: str
    verdict: Verdict
    counts: Mapping[str, int]
    planned: int
    runs: Sequence[Brief]


def begin(store: Path, plan: Plan, shard: tuple[int, int] = (1, 1)) -> CampaignDirectory:
    """A new campaign. Fresh seeds are drawn, `auto` is resolved, and what failed before is looked up: all recorded.

    Raises `UsageError` if this machine does not have an environment of the plan.
    """
    if shard[1] > 1 and plan.seeds.fresh is not None:
        raise UsageError("--shard: fresh seeds would differ from shard to shard; give --seeds FIRST..LAST")
    environments = {name: choose(name)[0] for name in plan.axes.env}
    placed = (msgspec.structs.replace(cell, env=environments[cell.env]) for cell in cells_of(plan))
    cells = list(dict.fromkeys(placed))
    seeds = seeds_of(plan, random.SystemRandom())
    directory.require_writable(store)
    with catalogue.opened(store) as known:
        known.refresh()
        failed = [(cell, seed) for cell, seed in known.failed(_FAILED_LIMIT) if cell in cells]
    if plan.seeds.fresh is None:
        failed = [(cell, seed) for cell, seed in failed if seed in set(seeds)]
    definition = Definition(
        campaign="",
        plan=plan.model_dump(mode="json"),
        cells=cells,
        seeds=seeds,
        failed=failed,
        shard=shard,
        began=time.time(),
    )
    return directory.create(store, plan.name, definition)


def require_same(definition: Definition, plan: Plan) -> None:
    """Raises `UsageError` with what has changed, if the plan is not the one that the campaign was begun with."""
    given = plan.model_dump(mode="json")
    changes = [
        f"{path} was {before} and is {now}"
        for path, before, now in _differences(definition.plan, given)
        if path.split(".")[0] not in _FREE_TO_CHANGE
    ]
    if changes:
        right = "resume it with the plan as it was, or leave --resume out to begin another"
        raise UsageError(f"{definition.campaign}: its plan has changed: {'; '.join(changes)}; {right}")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{at}{name}.")
        elif old != new:
            yield f"{at}{name}", old, new


def jobs_in(definition: Definition) -> list[Job]:
    """The jobs of the campaign, or of its shard, in their order."""
    jobs = jobs_of(definition.cells, definition.seeds, definition.failed)
    return shard_of(jobs, *definition.shard)


def settled(campaign: CampaignDirectory) -> dict[str, Row]:
    """The rows of the jobs that have ended, by key. Nothing is under way now: what was is settled here."""
    rows: dict[str, Row] = {}
    for run in campaign.runs():
        assignment = read_assignment(run)
        if assignment is None:
            continue
        row = read_row(run) or row_of_unfinished(campaign.store, run, assignment)
        if row.verdict in COUNTED:
            rows[assignment.job] = row
    return rows


@dataclass
class Conductor:
    """Makes the runs of one campaign. Whoever uses it holds the campaign's lock."""

    campaign: CampaignDirectory
    plan: Plan
    engine: Engine
    watcher: Watcher
    hook: Hook
    clock: Callable[[], float] = time.monotonic
    _begun: int = field(default=0, init=False)

    def conduct(self) -> Summary:
        """Make every run that has no row yet, as far as the budget goes. Saves the summary and gives it."""
        rows = settled(self.campaign)
        jobs = jobs_in(self.campaign.definition())
        keeper = Keeper(self.campaign.store, self.plan.keep, self.watcher.say)
        self._begun = len(rows)
        self.watcher.begin(self._aim(len(jobs)), list(rows.values()))
        left = (job for job in jobs if job.key not in rows)
        # Closed whatever happens here: an engine that is not asked to go on stops what is under way.
        with catalogue.opened(self.campaign.store) as known, closing(self.engine(self._tasks(left))) as made:
            known.refresh()
            for row in sorted(rows.values(), key=lambda row: row.began):
                known.add(keeper.ended(row))
                self.hook.know(row)
            for row in made:
                known.add([row, *keeper.ended(row)])
                if row.verdict in COUNTED:
                    rows[row.job or ""] = row
                    self.hook.ended(row, self.watcher.say)
                self.watcher.ended(row)
        return finished(self.campaign)

    def _aim(self, jobs: int) -> int:
        return min(jobs, self.plan.budget.runs or jobs)

    def _tasks(self, jobs: Iterable[Job]) -> Iterator[Task]:
        """A task a job, each made when it is asked for; no more once the budget is spent."""
        budget = self.plan.budget
        deadline = None if budget.wall_s is None else self.clock() + budget.wall_s
        limits = Limits(self.plan.run_wall_s, self.plan.limits.memory_mb)
        for job in jobs:
            if deadline is not None and self.clock() >= deadline:
                self.watcher.say(f"the budget of {budget.wall_s:g} s is spent")
                return
            if budget.runs is not None and self._begun >= budget.runs:
                self.watcher.say(f"the budget of {budget.runs} runs is spent")
                return
            self._begun += 1
            run = self.campaign.assign(job, time.time())
            assignment = read_assignment(run)
            assert isinstance(assignment, Assignment)
            yield Task(store=self.campaign.store, run=run, assignment=assignment, limits=limits)


def finished(campaign: CampaignDirectory) -> Summary:
    """The summary of a campaign that is over, for now; saved, and the morning report beside it."""
    rows = campaign.rows()
    summary = summarise(campaign, len(jobs_in(campaign.definition())), rows)
    directory.save(campaign.summary, summary)
    campaign.report.write_text(_morning(campaign, rows), encoding="utf-8")
    return summary


def _morning(campaign: CampaignDirectory, rows: Sequence[Row]) -> str:
    """The report against the campaign before it, and all that the store knows of its cells."""
    plan = str(campaign.definition().plan.get("name"))
    earlier = [one for one in directory.campaigns(campaign.store, plan) if one.name < campaign.name]
    before = earlier[-1].rows() if earlier else []
    with catalogue.opened(campaign.store) as known:
        known.refresh()
        cells = dict.fromkeys(row.cell for row in [*rows, *before])
        history = [row for cell in cells for row in known.rows(catalogue.Filter(exactly=cell))]
    return morning.report(campaign.name, rows, before, history)


def summarise(campaign: CampaignDirectory, planned: int, rows: Sequence[Row]) -> Summary:
    """The summary of the rows that count. No rows are `unknown`, as is a run that says nothing."""
    return Summary(
        campaign=str(campaign.path),
        verdict=merge(row.verdict.verdict for row in rows),
        counts=counts_of(rows),
        planned=planned,
        runs=[
            Brief(
                run=str(campaign.store / row.run),
                env=row.cell.env,
                seed=row.seed,
                verdict=row.verdict.value,
                signature=None if row.signature is None else str(row.signature),
                seconds=row.seconds,
                cell=str(row.cell),
                ended=row.ended,
            )
            for row in rows
        ],
    )
