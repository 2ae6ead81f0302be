"""The main path of a campaign: make its runs, take on what became of them, sum up.

    plan -> begin -> jobs that have no row yet -> engine -> row -> catalogue, keeper, hook, watcher -> summary

Lives here: that order. Start reading here: `plan` is what goes in, `directory` is what is on disk, an engine (`pool`,
`engine_dask`) makes runs, `row` is what comes out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from harness.campaign import catalogue
from harness.campaign.begin import jobs_in
from harness.campaign.cells import Job
from harness.campaign.directory import Assignment, CampaignDirectory, read_assignment, read_row
from harness.campaign.execute import Limits
from harness.campaign.hook import Hook
from harness.campaign.keep import Keeper
from harness.campaign.plan import Plan
from harness.campaign.pool import Task
from harness.campaign.row import COUNTED, Row
from harness.campaign.settle import row_of_unfinished
from harness.campaign.summary import Summary, finished

Engine = Callable[[Iterable[Task]], Generator[Row, None, None]]
"""Makes the runs, some at a time, and gives their rows as they end."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def begin(self, planned: int, rows: Sequence[Row]) -> None: ...
    def ended(self, row: Row) -> None: ...
    def say(self, notice: str) -> None: ...


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
        self.campaign.reopen()
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
