"""Where a campaign begins, or is taken up again: from a plan to a definition, and from that to jobs.

Lives here: what is settled once and recorded (fresh seeds, `auto`, what failed before), and whether a plan is still the
same. Must not live here: making runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.campaign import catalogue, directory
from harness.campaign.cells import Job
from harness.campaign.directory import CampaignDirectory, Definition
from harness.campaign.expand import cells_of, jobs_of, seeds_of, shard_of
from harness.campaign.plan import Plan
from harness.environments.choose import choose
from harness.environments.ssh_hosts import ssh_hosts
from harness.errors import UsageError

_FAILED_LIMIT = 1000
"""How many of the runs that failed before are looked at, to be run first."""

_FREE_TO_CHANGE = ("jobs", "budget", "gate")
"""What a campaign may be resumed with otherwise than it was begun: none of it changes what its runs are."""


def begin(store: Path, plan: Plan, shard: tuple[int, int] = (1, 1)) -> CampaignDirectory:
    """A new campaign. Fresh seeds are drawn, `auto` is resolved, and what failed before is looked up: all recorded.

    Raises `UsageError` if this machine does not have an environment of the plan.
    """
    if shard[1] > 1 and plan.seeds.fresh is not None:
        raise UsageError("--shard: fresh seeds would differ from shard to shard; give --seeds FIRST..LAST")
    if plan.hosts is not None:
        ssh_hosts(plan.hosts)  # what is wrong with them is told before anything is made
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
