"""What a plan would take: its runs by cell, and about how long.

Lives here: `--dry-run`. Must not live here: making any run, or recording anything.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from harness.campaign import catalogue
from harness.campaign.cells import Cell
from harness.campaign.expand import cells_of, jobs_of, seeds_of, shard_of
from harness.campaign.plan import Plan

_SAMPLE = 50
_GUESSED_OVERHEAD_S = 10.0
_GUESSED_SPEED = 10.0
"""Simulated seconds a second; a guess on the low side, which the first campaign replaces."""


class CellEstimate(msgspec.Struct, frozen=True):
    """A cell: how many runs, how long each, and from how many earlier runs that is known; none: it is a guess."""

    cell: str
    runs: int
    seconds_each: float
    measured: int


class Estimate(msgspec.Struct, frozen=True):
    """The whole plan. `seconds` with so many jobs, not more than its budget."""

    runs: int
    jobs: int
    seconds: float
    cells: Sequence[CellEstimate]

    def lines(self) -> list[str]:
        """For a terminal."""
        cells = [
            f"{one.runs:>7} x {one.seconds_each:>6.1f} s  {one.cell}  "
            + (f"(median of {one.measured})" if one.measured else "(a guess)")
            for one in self.cells
        ]
        return [*cells, f"{self.runs} runs, about {self.seconds / 60:.1f} min with --jobs {self.jobs}"]


def estimate(plan: Plan, store: Path, part: tuple[int, int]) -> Estimate:
    """What the plan would take here, from the runs that the store knows."""
    cells = cells_of(plan)
    jobs = shard_of(jobs_of(cells, seeds_of(plan, random.Random(0)), ()), *part)[: plan.budget.runs]
    counts = Counter(job.number for job in jobs)
    known = _known(store, cells)
    estimates = [_estimate(cell, counts[number], known.get(cell, [])) for number, cell in enumerate(cells)]
    seconds = sum(one.runs * one.seconds_each for one in estimates) / plan.at_a_time
    return Estimate(len(jobs), plan.at_a_time, min(seconds, plan.budget.wall_s or seconds), estimates)


def _known(store: Path, cells: Sequence[Cell]) -> dict[Cell, list[float]]:
    """The seconds that the last runs of each cell took."""
    if not (store / catalogue.FILE).exists():
        return {}
    with catalogue.opened(store) as known:
        rows = {cell: known.rows(catalogue.Filter(exactly=cell), _SAMPLE) for cell in cells}
    return {cell: [row.seconds for row in found if row.seconds] for cell, found in rows.items()}


def _estimate(cell: Cell, runs: int, seconds: Sequence[float]) -> CellEstimate:
    limit = cell.time_limit or 0.0
    guess = limit / _GUESSED_SPEED + 1.0 if cell.env == "sim" else limit + _GUESSED_OVERHEAD_S
    return CellEstimate(str(cell), runs, round(median(seconds) if seconds else guess, 3), len(seconds))
