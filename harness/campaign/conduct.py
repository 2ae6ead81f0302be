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

from harness import untrusted
from harness.campaign import catalogue
from harness.campaign.begin import jobs_in
from harness.campaign.cells import Job
from harness.campaign.directory import Assignment, CampaignDirectory, read_assignment
from harness.campaign.evidence import finished
from harness.campaign.execute import Limits
from harness.campaign.hook import Hook
from harness.campaign.keep import Keeper
from harness.campaign.plan import Plan
from harness.campaign.pool import Task
from harness.campaign.record import Record, place_of, read_record
from harness.campaign.row import COUNTED, Outcome, Row
from harness.campaign.settle import row_of_unfinished
from harness.campaign.summary import Summary
from harness.errors import EnvironmentFailure
from harness.escape import short
from harness.untrusted import BadRecord, inside

Engine = Callable[[Iterable[Task]], Generator[Row, None, None]]
"""Makes the runs, some at a time, and gives their rows as they end."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def begin(self, planned: int, rows: Sequence[Row]) -> None: ...
    def ended(self, row: Row) -> None: ...
    def say(self, notice: str) -> None: ...


def settled(campaign: CampaignDirectory) -> dict[str, Row]:
    """The rows of the jobs that have ended, by key. Nothing is under way now: what was is settled here.

    A row that cannot be read, or that its run's results contradict, is made again from the results. Raises
    `EnvironmentFailure` if a run that was invalid cannot be read any more: to make it again could hide that.
    """
    failed, name = _failed(campaign), campaign.definition().campaign
    rows: dict[str, Row] = {}
    for record in map(read_record, campaign.runs()):
        row = _settled(campaign, name, record)
        if row is not None and row.verdict in COUNTED:
            rows[place_of(record.run.name)[0]] = row
    read = {row.run.rpartition("/")[2]: row.verdict for row in rows.values()}
    lost = [run for run in failed if read.get(run) is not Outcome.INVALID]
    if lost:
        first = short(", ".join(lost[:5]))
        raise EnvironmentFailure(f"{campaign.path}: invalid by its summary, and cannot be read: {first}; restore it")
    return rows


def _settled(campaign: CampaignDirectory, name: str, record: Record) -> Row | None:
    """The row of one run; None if what is there is not known to be one of this campaign, which has that name."""
    assignment, (job, attempt) = record.assignment, place_of(record.run.name)
    if assignment is None or (assignment.campaign, assignment.job, assignment.attempt) != (name, job, attempt):
        return None
    if record.row is not None and record.trouble is None:
        return record.row
    return row_of_unfinished(campaign.store, inside(campaign.path, record.run), assignment)


def _failed(campaign: CampaignDirectory) -> list[str]:
    """The runs that the campaign had counted as invalid when it was over."""
    try:
        summary = untrusted.load(campaign.summary, Summary)
    except BadRecord:
        return []
    return [brief.run.rpartition("/")[2] for brief in summary.runs if brief.verdict == Outcome.INVALID]


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
        self.campaign.reopen()
        definition = self.campaign.definition()
        jobs = jobs_in(definition)
        keeper = Keeper(self.campaign.store, self.plan.keep, self.watcher.say)
        self._begun = len(rows)
        self.watcher.begin(self._aim(len(jobs)), list(rows.values()))
        left = (job for job in jobs if job.key not in rows)
        tasks = self._tasks(left, definition.campaign)
        # Closed whatever happens here: an engine that is not asked to go on stops what is under way.
        with catalogue.opened(self.campaign.store, say=self.watcher.say) as known, closing(self.engine(tasks)) as made:
            known.refresh()
            for row in sorted(rows.values(), key=lambda row: row.began):
                known.add(keeper.ended(row))
                self.hook.know(row)
            for row in made:
                if row.verdict in COUNTED:
                    rows[row.job or ""] = row
                self._follow(row, known, keeper)
                self.watcher.ended(row)
        return finished(self.campaign)

    def _follow(self, row: Row, known: catalogue.Catalogue, keeper: Keeper) -> None:
        """Do what follows from a row. It is on disk: whatever goes wrong is said, and does not end the campaign."""

        def call() -> None:
            if row.verdict in COUNTED:
                self.hook.ended(row, self.watcher.say)

        steps = {"catalogue and disk budget": lambda: known.add([row, *keeper.ended(row)]), "--on-failure": call}
        for what, step in steps.items():
            try:
                step()
            except Exception as error:  # noqa: BLE001 - see above
                self.watcher.say(f"{row.run}: {what}: {error!r}")

    def _aim(self, jobs: int) -> int:
        return min(jobs, self.plan.budget.runs or jobs)

    def _tasks(self, jobs: Iterable[Job], campaign: str) -> Iterator[Task]:
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
            run = self.campaign.assign(job, time.time(), campaign)
            assignment = read_assignment(run)
            assert isinstance(assignment, Assignment)
            yield Task(store=self.campaign.store, run=run, assignment=assignment, limits=limits)
