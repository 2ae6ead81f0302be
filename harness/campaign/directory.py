"""The directory of a campaign: its definition, and a directory for each of its runs.

    STORE/<campaign>/campaign.json      what it is: plan, cells, seeds, shard; written once
    STORE/<campaign>/<job>/job.json     that this run was begun; written before it is
    STORE/<campaign>/<job>/row.json     that it ended, and what became of it; written last
    STORE/<campaign>/<job>.2/           the second time, after the first was interrupted
    STORE/<campaign>/summary.json       the object that the campaign printed when it was over
    STORE/<campaign>/report.md          the morning report

Lives here: that layout. It is the whole truth: whatever was killed, these files say what is done and what was under
way. Must not live here: deciding what to run, or the catalogue.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import harness
from harness.campaign.cells import Cell, Job
from harness.campaign.facts import read_json
from harness.campaign.load import load
from harness.campaign.row import COUNTED, Row
from harness.errors import UsageError
from harness.store import is_link_name, save

SCHEMA = 1


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign, such that its jobs follow from it. `shard` is (index, count); `failed` is run first."""

    schema: int = SCHEMA
    campaign: str
    plan: dict[str, Any]
    cells: list[Cell]
    seeds: list[int]
    failed: list[tuple[Cell, int]] = []
    shard: tuple[int, int] = (1, 1)
    began: float
    version: str = harness.__version__


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """That a run was begun."""

    campaign: str
    job: str
    cell: Cell
    seed: int
    attempt: int
    began: float
    version: str = harness.__version__


@dataclass(frozen=True, slots=True)
class CampaignDirectory:
    """Where one campaign is kept."""

    store: Path
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.md"

    def definition(self) -> Definition:
        """What was written when it began. Raises `UsageError` if that cannot be read."""
        file = self.path / "campaign.json"
        try:
            definition = msgspec.json.decode(file.read_bytes(), type=Definition)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.path}: no campaign is kept there ({error})") from None
        if definition.schema > SCHEMA:
            raise UsageError(f"{file}: written by splitbrain {definition.version}, which is newer than this one")
        return definition

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the campaign while the body runs; its lock is gone with this process, however that ends."""
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"{self.path}: another process is running this campaign; wait for it") from None
            yield

    @property
    def over(self) -> bool:
        """Whether it has come to its end, of its own accord or its budget's; not if it runs, or was killed."""
        return self.summary.exists()

    def reopen(self) -> None:
        """It goes on: what it came to is out of date."""
        for file in (self.summary, self.report):
            file.unlink(missing_ok=True)

    def assign(self, job: Job, began: float) -> Path:
        """A new run directory for the job. It says whose it is from the moment at which it exists."""
        names = (job.key, *(f"{job.key}.{attempt}" for attempt in range(2, 10_000)))
        attempt, path = next(
            (n, self.path / name) for n, name in enumerate(names, 1) if not (self.path / name).exists()
        )
        assignment = Assignment(
            campaign=self.name, job=job.key, cell=job.cell, seed=job.seed, attempt=attempt, began=began
        )
        draft = self.path / f".{path.name}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        save(draft / "job.json", assignment)
        draft.rename(path)
        return path

    def rows(self) -> list[Row]:
        """The rows of its runs that count, in order of time."""
        rows = [row for run in self.runs() if (row := read_row(run)) is not None and row.verdict in COUNTED]
        return sorted(rows, key=lambda row: (row.began, row.run))

    def runs(self) -> Iterator[Path]:
        """The directories of its runs, however far they got, in order of their names."""
        for path in sorted(self.path.iterdir()):
            if (path / "job.json").exists() and not path.is_symlink() and not _is_hidden(path.name):
                yield path


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_link_name(name)


def create(store: Path, name: str, definition: Definition, now: datetime | None = None) -> CampaignDirectory:
    """The directory of a new campaign, by name and time. Raises `UsageError` if the store cannot be written."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    path = store.resolve() / f"{name}-{stamp}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"--store {store}: {error.strerror}; name a directory that can be written") from error
    save(path / "campaign.json", msgspec.structs.replace(definition, campaign=path.name))
    return CampaignDirectory(store.resolve(), path)


def require_writable(store: Path) -> None:
    """Make the store if there is none. Raises `UsageError` if nothing can be written there."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        writable = os.access(store, os.W_OK | os.X_OK)
    except OSError as error:
        raise UsageError(f"--store {store}: {error.strerror}; name a directory that can be written") from error
    if not writable:
        raise UsageError(f"--store {store}: it cannot be written; name a directory that can")


def find(store: Path, text: str) -> CampaignDirectory:
    """The campaign of that path, of that name in the store, or the newest of that plan: by its name, or by its file.

    Raises `UsageError`.
    """
    for path in (Path(text), store / text):
        if (path / "campaign.json").exists():
            return CampaignDirectory(path.resolve().parent, path.resolve())
    of_plan = campaigns(store, load(Path(text), {}).name if Path(text).is_file() else text)
    if of_plan:
        return of_plan[-1]
    known = [campaign.name for campaign in campaigns(store)]
    having = f"; it has {', '.join(known[-5:])}" if known else ""
    raise UsageError(f"{text}: there is no such campaign in {store}{having}")


def campaigns(store: Path, plan: str | None = None) -> Sequence[CampaignDirectory]:
    """The campaigns in a store, of one plan or of all, the oldest first."""
    found = [path.parent for path in store.resolve().glob("*/campaign.json")]
    wanted = [path for path in found if plan in (None, path.name.rpartition("-")[0])]
    ordered = sorted(wanted, key=lambda path: (path.name.rpartition("-")[2], path.name))
    return [CampaignDirectory(path.parent, path) for path in ordered]


def read_assignment(run: Path) -> Assignment | None:
    """What `job.json` says; None if it does not say it."""
    return read_json(run / "job.json", Assignment)


def read_row(run: Path) -> Row | None:
    """What `row.json` says; None if the run has not ended."""
    return read_json(run / "row.json", Row)
