"""What a plan amounts to: its cells, its seeds, and its jobs in the order in which they are run.

Lives here: pure functions. Must not live here: drawing fresh seeds, or knowing what has been run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from random import Random

from harness.campaign.cells import Cell, Job
from harness.campaign.plan import SOUND, SSH, Plan

_SEED_BITS = 31


def cells_of(plan: Plan) -> list[Cell]:
    """Every combination of the axes, in their order. Machines have their number: over `nodes` they are one cell."""
    axes = plan.axes
    combinations = product(
        *(axes.env, axes.nodes, axes.workload, axes.nemesis, axes.concurrency, axes.rate, axes.interval, axes.mutant)
    )
    cells = [
        Cell(
            env=env,
            nodes=None if env == SSH else nodes,
            workload=workload,
            nemesis=nemesis,
            concurrency=concurrency,
            rate=rate,
            interval=interval,
            time_limit=plan.time_limit_s,
            mutant=None if mutant == SOUND else mutant,
            hosts=plan.hosts if env == SSH else None,
        )
        for env, nodes, workload, nemesis, concurrency, rate, interval, mutant in combinations
    ]
    return list(dict.fromkeys(cells))


def seeds_of(plan: Plan, random: Random) -> list[int]:
    """The seeds that every cell gets. Fresh ones are drawn, all different; the others are as the plan says."""
    seeds = plan.seeds
    if seeds.fresh is not None:
        return random.sample(range(1 << _SEED_BITS), seeds.fresh)
    first, last = seeds.bounds() if seeds.range is not None else (1, seeds.count or 0)
    return list(range(first, last + 1))


def jobs_of(cells: Sequence[Cell], seeds: Sequence[int], failed: Iterable[tuple[Cell, int]]) -> list[Job]:
    """Every cell under every seed: what failed before first, then round robin over the cells.

    So a budget that ends early has still covered every cell. What failed under a seed that is not among `seeds` is run
    as well; what failed in a cell that is not among `cells` is not.
    """
    numbers = {cell: number for number, cell in enumerate(cells)}
    again = [Job(numbers[cell], cell, seed) for cell, seed in failed if cell in numbers]
    rest = [Job(number, cell, seed) for seed in seeds for cell, number in numbers.items()]
    return list(dict.fromkeys([*again, *rest]))


def shard_of(jobs: Sequence[Job], index: int, count: int) -> list[Job]:
    """The jobs of shard `index` of `count`, counted from 1, in their order.

    Each job belongs to exactly one shard, whatever failed before on the machine that asks; and each shard gets a part
    of every cell: successive seeds of a cell go to successive shards, as do successive cells of a seed.
    """
    seeds = sorted({job.seed for job in jobs})
    places = {seed: place for place, seed in enumerate(seeds)}
    return [job for job in jobs if (places[job.seed] + job.number) % count == index - 1]
