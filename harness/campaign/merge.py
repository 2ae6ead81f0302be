"""Shards made into one campaign, in a store of its own.

Lives here: copying runs, and refusing what does not belong together. Must not live here: summing up (`evidence`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.campaign import directory
from harness.campaign.directory import CampaignDirectory, Definition, clear
from harness.campaign.evidence import Account, account
from harness.campaign.record import Record, place_of
from harness.campaign.row import SEVERITY, Row
from harness.errors import EnvironmentFailure, UsageError
from harness.store import save

_FREE = ("jobs", "budget")
"""What may differ from shard to shard."""


def merge(shards: Sequence[CampaignDirectory], store: Path, now: float) -> tuple[CampaignDirectory, list[str]]:
    """A new campaign with the runs of all shards, and what of them is missing.

    Where two have made the same job, the worse result counts. A run with anything wrong about it is not taken over,
    but is missing. Raises `UsageError` if they are not parts of one campaign.
    """
    accounts = [account(shard) for shard in shards]
    first = accounts[0].definition
    for shard, told in zip(shards, accounts, strict=True):
        if _identity(told.definition) != _identity(first):
            raise UsageError(f"{shard.path}: not a part of the campaign of {shards[0].path}: their plans differ")
    parts = sorted({part for told in accounts for part in _parts(told.definition)})
    whole = msgspec.structs.replace(first, shard=(1, 1), parts=parts, failed=[], began=now)
    merged = directory.create(store, first.settings().name, whole)
    for job, record in _chosen(accounts).items():
        _copy(merged, job, record)
    return merged, [line for shard, told in zip(shards, accounts, strict=True) for line in _lacks(shard, told)]


def missing(shards: Sequence[CampaignDirectory]) -> list[int]:
    """The indexes of the shards that were not given."""
    parts = [part for shard in shards for part in _parts(shard.definition())]
    return sorted(set(range(1, max(count for _, count in parts) + 1)) - {index for index, _ in parts})


def _parts(definition: Definition) -> Sequence[tuple[int, int]]:
    return definition.parts or [definition.shard]


def _lacks(shard: CampaignDirectory, told: Account) -> list[str]:
    lines = [f"{shard.name}: {line}" for line in told.own]
    return lines if told.over else [*lines, f"{shard.name}: it has not ended"]


def _chosen(accounts: Sequence[Account]) -> dict[str, Record]:
    """By job, the record of which the row counts."""
    chosen: dict[str, Record] = {}
    for record in (record for told in accounts for record in told.records):
        job = place_of(record.run.name)[0]
        if job not in chosen or _severity(record) < _severity(chosen[job]):
            chosen[job] = record
    return chosen


def _copy(merged: CampaignDirectory, job: str, record: Record) -> None:
    """Copy a run; it is a run of the new campaign from the moment at which it exists there.

    Links and special files are left behind: no run makes any, and they would lead out of the store.
    """
    draft, path = merged.path / f".{job}", merged.path / job
    assignment, row = record.assignment, record.row
    assert assignment is not None, "whatever has a row has an assignment"
    assert isinstance(row, Row)
    try:
        clear(draft)
        shutil.copytree(record.run, draft, ignore=_foreign)
    except OSError as error:
        raise EnvironmentFailure(f"{record.run} cannot be copied: {error.strerror or error}") from error
    save(draft / "job.json", msgspec.structs.replace(assignment, campaign=merged.name, attempt=1))
    moved = msgspec.structs.replace(row, campaign=merged.name, run=f"{merged.name}/{job}")
    save(draft / "row.json", moved)
    draft.rename(path)


def _foreign(where: str, names: list[str]) -> list[str]:
    paths = {name: Path(where, name) for name in names}
    return [name for name, path in paths.items() if path.is_symlink() or not (path.is_file() or path.is_dir())]


def _identity(definition: Definition) -> tuple[Any, ...]:
    plan = {name: value for name, value in definition.plan.items() if name not in _FREE}
    return plan, definition.cells, definition.seeds, definition.shard[1]


def _severity(record: Record) -> int:
    assert record.row is not None
    return SEVERITY.index(record.row.verdict)
