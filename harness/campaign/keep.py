"""What stays on disk: failures whole, valid runs as much as the plan says, all of it within a budget.

Lives here: deleting, and the order in which it is done. Must not live here: whether a run is a failure.

Whatever is deleted, a run's row stays: the catalogue can still be rebuilt, and a gate still counts it.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from harness.campaign.plan import Keep
from harness.campaign.row import Outcome, Row
from harness.store import DEFINITION, REPORT, RESULTS, save
from harness.untrusted import inside

_ROW = frozenset({"job.json", "row.json"})
REDUCED = _ROW | {DEFINITION, RESULTS, REPORT}
"""What is left of a valid run that is not kept whole."""


class Keeper:
    """Prunes the runs of one campaign as they end. `say` is told when the budget makes it delete something."""

    def __init__(self, store: Path, keep: Keep, say: Callable[[str], None]) -> None:
        self._store = store
        self._limit = keep.valid if isinstance(keep.valid, int) else {"all": None, "failures": 0}[keep.valid]
        self._budget = None if keep.disk_mb is None else int(keep.disk_mb * 1e6)
        self._say = say
        self._whole: deque[Row] = deque()
        self._reduced: deque[Row] = deque()
        self._bytes = 0
        self._warned = False

    def ended(self, row: Row) -> list[Row]:
        """Take on a run that ended; the rows that changed since something of theirs was deleted."""
        self._bytes += self._size(row) if self._budget is not None else 0
        if row.verdict is Outcome.VALID and row.keeps == "all":
            self._whole.append(row)
        elif row.verdict is Outcome.VALID and row.keeps == "results":
            self._clean(row, REDUCED)  # of a campaign that was killed while it deleted
            self._reduced.append(row)
        changed = []
        while self._limit is not None and len(self._whole) > self._limit:
            changed.append(self._reduce(self._whole.popleft()))
        return [*changed, *self._within_budget()]

    def _within_budget(self) -> Iterable[Row]:
        if self._budget is None or self._bytes <= self._budget:
            return []
        changed, before = [], self._bytes
        while self._bytes > self._budget and self._whole:
            changed.append(self._reduce(self._whole.popleft()))
        while self._bytes > self._budget and self._reduced:
            changed.append(self._strip(self._reduced.popleft(), _ROW, "row"))
        if changed:
            self._say(f"disk budget: removed {(before - self._bytes) / 1e6:.1f} MB of the oldest valid runs")
        if self._bytes > self._budget and not self._warned:
            self._warned = True
            self._say(f"disk budget: {self._bytes / 1e6:.1f} MB are left, all of failures, which are never removed")
        return changed

    def _reduce(self, row: Row) -> Row:
        reduced = self._strip(row, REDUCED, "results")
        self._reduced.append(reduced)
        return reduced

    def _strip(self, row: Row, kept: frozenset[str], keeps: str) -> Row:
        """Delete all but the named files; the row says so before anything is gone."""
        before = self._size(row) if self._budget is not None else 0
        stripped = msgspec.structs.replace(row, keeps=keeps)
        save(self._directory(row) / "row.json", stripped)
        self._clean(row, kept)
        self._bytes += self._size(row) - before if self._budget is not None else 0
        return stripped

    def _clean(self, row: Row, kept: frozenset[str]) -> None:
        for entry in list(os.scandir(self._directory(row))):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name not in kept:
                os.unlink(entry.path)

    def _directory(self, row: Row) -> Path:
        """Where the run is. Raises `BadRecord` if that is not in the store."""
        return inside(self._store, self._store / row.run)

    def _size(self, row: Row) -> int:
        """The bytes that the run's files take."""
        root = self._store / row.run
        return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(root) for name in names)
