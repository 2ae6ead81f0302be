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
import random
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

import harness
from harness import untrusted
from harness.campaign.cells import Cell, Job
from harness.campaign.expand import cells_of, seeds_of
from harness.campaign.load import load
from harness.campaign.plan import MOST_RUNS, Plan
from harness.campaign.row import Row
from harness.errors import UsageError
from harness.escape import short
from harness.store import DEFINITION, RESULTS, is_link_name, save
from harness.test import LAST_SEED
from harness.untrusted import WORD, BadRecord, Count, Integer, Moment

SCHEMA = 1

_JOB = re.compile(r"-?\d{3,}--?\d+(?:\.\d+)?")
_OF_A_RUN = ("job.json", "row.json", DEFINITION, RESULTS)
"""By its name, or by what is in it, a directory is told to be a run's."""

Index = Annotated[int, msgspec.Meta(ge=1, le=MOST_RUNS)]
Shard = tuple[Index, Index]
NameOrNone = Annotated[str, msgspec.Meta(pattern=rf"\A\Z|{WORD}")]
Seed = Annotated[int, msgspec.Meta(ge=-LAST_SEED, le=LAST_SEED)]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign, such that its jobs follow from it. `shard` is (index, count); `failed` is run first.

    `parts` are the shards that it was merged from; none, if it was not.
    """

    schema: Integer = SCHEMA
    campaign: NameOrNone
    plan: dict[str, Any]
    cells: list[Cell]
    seeds: list[Seed]
    failed: list[tuple[Cell, Seed]] = []
    shard: Shard = (1, 1)
    parts: list[Shard] = []
    began: Moment
    version: str = harness.__version__

    def settings(self) -> Plan:
        """The plan, checked as one that a user gives. Raises `UsageError`."""
        return load(None, self.plan)


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """That a run was begun."""

    campaign: NameOrNone
    job: NameOrNone
    cell: Cell
    seed: Seed
    attempt: Count
    began: Moment
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
        """What was written when it began. Raises `UsageError` if that cannot be read, or contradicts itself."""
        file = self.path / "campaign.json"
        try:
            definition = untrusted.load(file, Definition)
        except BadRecord as error:
            raise UsageError(f"{self.path}: no campaign is kept there (campaign.json: {error.reason})") from None
        if definition.schema > SCHEMA:
            made = short(definition.version)
            raise UsageError(f"{file}: written by splitbrain {made}, which is newer than this one")
        if (wrong := _contradiction(definition)) is not None:
            raise UsageError(f"{file}: {wrong}; restore the file, or begin another campaign")
        return definition

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the campaign while the body runs; its lock is gone with this process, however that ends."""
        path = self.path / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; remove it, or name a campaign that can be written") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"{self.path}: another process is running this campaign; wait for it") from None
            yield
        finally:
            os.close(descriptor)

    @property
    def over(self) -> bool:
        """Whether it has come to its end, of its own accord or its budget's; not if it runs, or was killed."""
        return self.summary.exists()

    def reopen(self) -> None:
        """It goes on: what it came to is out of date."""
        for file in (self.summary, self.report):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise UsageError(f"{file}: {error.strerror}; remove it, it is no file of ours") from None

    def assign(self, job: Job, began: float, campaign: str) -> Path:
        """A new run directory for the job. It says whose it is from the moment at which it exists.

        `campaign` is what the definition calls it: its directory may have been renamed.
        """
        names = (job.key, *(f"{job.key}.{attempt}" for attempt in range(2, 10_000)))
        attempt, path = next(
            (n, self.path / name) for n, name in enumerate(names, 1) if not os.path.lexists(self.path / name)
        )
        assignment = Assignment(
            campaign=campaign, job=job.key, cell=job.cell, seed=job.seed, attempt=attempt, began=began
        )
        draft = self.path / f".{path.name}"
        clear(draft)
        draft.mkdir()
        save(draft / "job.json", assignment)
        draft.rename(path)
        return path

    def runs(self) -> Iterator[Path]:
        """What stands where its runs are kept, whatever it is, in order of names; `latest` is one of them again."""
        for path in sorted(self.path.iterdir()):
            if path.name.startswith(".") or is_link_name(path.name):
                continue
            if _JOB.fullmatch(path.name) or (path.is_dir() and any((path / name).exists() for name in _OF_A_RUN)):
                yield path


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
            if Path(os.path.normpath(path)).is_symlink():
                raise UsageError(f"{path}: a symbolic link; name the directory that it leads to")
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
    wanted = [path for path in found if plan in (None, path.name.rpartition("-")[0]) and not path.is_symlink()]
    ordered = sorted(wanted, key=lambda path: (path.name.rpartition("-")[2], path.name))
    return [CampaignDirectory(path.parent, path) for path in ordered]


def load_assignment(run: Path) -> Assignment:
    """What `job.json` says. Raises `BadRecord`."""
    return untrusted.load(run / "job.json", Assignment)


def load_row(run: Path) -> Row:
    """What `row.json` says of the run in that directory, which alone says where it is. Raises `BadRecord`."""
    return msgspec.structs.replace(untrusted.load(run / "row.json", Row), run=f"{run.parent.name}/{run.name}")


def read_assignment(run: Path) -> Assignment | None:
    """What `job.json` says; None if it does not say it."""
    try:
        return load_assignment(run)
    except BadRecord:
        return None


def read_row(run: Path) -> Row | None:
    """What `row.json` says; None if the run has not ended, or if its row cannot be read."""
    try:
        return load_row(run)
    except BadRecord:
        return None


def clear(draft: Path) -> None:
    """Remove what a process that was killed had begun to make there."""
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)


def _contradiction(definition: Definition) -> str | None:
    """What is wrong with it: what is to be run must be what its plan asks for."""
    plan = definition.settings()
    if len(definition.cells) * len(definition.seeds) > MOST_RUNS:
        return f"more than {MOST_RUNS} runs, the most that a campaign can have"
    if any(index > count for index, count in (definition.shard, *definition.parts)):
        return "there is no such shard"
    cells, wanted = set(definition.cells), set(cells_of(plan))
    twice = len(cells) < len(definition.cells)
    if "auto" in plan.axes.env:  # what that was on the machine where it began is for it alone to say
        cells, wanted = _anywhere(cells), _anywhere(wanted)
    if twice or cells != wanted:
        return "its cells are not those of its plan"
    seeds = definition.seeds
    if plan.seeds.fresh is not None:
        fits = len(set(seeds)) == len(seeds) == plan.seeds.fresh
    else:
        fits = seeds == seeds_of(plan, random.Random(0))
    return None if fits else "its seeds are not those of its plan"


def _anywhere(cells: Iterable[Cell]) -> set[Cell]:
    return {msgspec.structs.replace(cell, env="") for cell in cells}
