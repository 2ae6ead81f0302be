"""Shards made into one campaign, in a store of its own.

Lives here: copying runs, and refusing what does not belong together. Must not live here: summing up (`summary`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.campaign import directory
from harness.campaign.directory import CampaignDirectory, Definition, read_assignment, read_row
from harness.campaign.row import COUNTED, SEVERITY, Row
from harness.errors import UsageError
from harness.store import save

_FREE = ("jobs", "budget")
"""What may differ from shard to shard."""


def merge(shards: Sequence[CampaignDirectory], store: Path, now: float) -> CampaignDirectory:
    """A new campaign with the runs of all shards; where two have made the same job, the worse result counts.

    Raises `UsageError` if they are not parts of one campaign.
    """
    definitions = [shard.definition() for shard in shards]
    for shard, definition in zip(shards, definitions, strict=True):
        if _identity(definition) != _identity(definitions[0]):
            raise UsageError(f"{shard.path}: not a part of the campaign of {shards[0].path}: their plans differ")
    name = str(definitions[0].plan.get("name", "campaign"))
    whole = msgspec.structs.replace(definitions[0], shard=(1, 1), failed=[], began=now)
    merged = directory.create(store, name, whole)
    chosen: dict[str, tuple[Row, Path]] = {}
    for shard in shards:
        for run in shard.runs():
            row = read_row(run)
            if row is None or row.verdict not in COUNTED or row.job is None:
                continue
            if row.job not in chosen or _severity(row) < _severity(chosen[row.job][0]):
                chosen[row.job] = (row, run)
    for job, (row, run) in chosen.items():
        _copy(merged, job, row, run)
    return merged


def missing(shards: Sequence[CampaignDirectory]) -> list[int]:
    """The indexes of the shards that were not given."""
    parts = [shard.definition().shard for shard in shards]
    return sorted(set(range(1, max(count for _, count in parts) + 1)) - {index for index, _ in parts})


def _copy(merged: CampaignDirectory, job: str, row: Row, run: Path) -> None:
    """Copy a run; it is a run of the new campaign from the moment at which it exists there."""
    draft, path = merged.path / f".{job}", merged.path / job
    shutil.copytree(run, draft, symlinks=True)
    assignment = read_assignment(run)
    assert assignment is not None, "whatever has a row has an assignment"
    save(draft / "job.json", msgspec.structs.replace(assignment, campaign=merged.name))
    moved = msgspec.structs.replace(row, campaign=merged.name, run=str(path.relative_to(merged.store)))
    save(draft / "row.json", moved)
    draft.rename(path)


def _identity(definition: Definition) -> tuple[Any, ...]:
    plan = {name: value for name, value in definition.plan.items() if name not in _FREE}
    return plan, definition.cells, definition.seeds, definition.shard[1]


def _severity(row: Row) -> int:
    return SEVERITY.index(row.verdict)
