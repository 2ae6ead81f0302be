"""The row: everything that a campaign, a gate or a list needs to know of one run.

Lives here: the record and the classes of outcomes. Must not live here: where rows come from or are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from checkers.result import Verdict
from checkers.stats import Statistics
from harness.campaign.cells import Cell
from harness.signature import Signature
from harness.untrusted import Count, Integer, Moment, RunPath, Seconds, Word


class Outcome(StrEnum):
    """What became of a run. Beyond the three verdicts: a fault that had no effect, and runs that said nothing.

    `interrupted` was under way when its campaign ended, and is run again; `incomplete` has not ended yet, or was
    killed; neither counts.
    """

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    INCONCLUSIVE = "inconclusive"
    CRASH = "crash"
    INTERRUPTED = "interrupted"
    INCOMPLETE = "incomplete"

    @property
    def conclusive(self) -> bool:
        """Whether it says anything about the system."""
        return self in (Outcome.VALID, Outcome.INVALID)

    @property
    def verdict(self) -> Verdict:
        """As one of three: what says nothing is unknown."""
        return Verdict(self.value) if self.conclusive else Verdict.UNKNOWN


COUNTED = (Outcome.VALID, Outcome.INVALID, Outcome.UNKNOWN, Outcome.INCONCLUSIVE, Outcome.CRASH)
"""The outcomes of runs that ended, as a campaign counts them."""

CRASHES = ("crash", "out of time", "out of memory", "refused")
"""How a run can have ended whose outcome is a crash."""

SEVERITY = (Outcome.INVALID, Outcome.CRASH, Outcome.UNKNOWN, Outcome.INCONCLUSIVE, Outcome.VALID)
"""Worst first."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `run` is its directory, relative to the store; `began` seconds since the epoch.

    `ended` says how the process ended: `ended`, `crash`, `out of time`, `out of memory`, `refused`. `faults` counts, by
    kind, the windows that are attested. `keeps` is `all` or `results`: what has not been pruned.
    """

    run: RunPath
    campaign: str | None = None
    job: Word | None = None
    cell: Cell
    seed: Integer | None
    verdict: Outcome
    ended: str = "ended"
    reason: str
    signature: Signature | None = None
    began: Moment
    seconds: Seconds
    version: str = ""
    command: str = ""
    operations: Mapping[str, Count] = {}
    faults: Mapping[str, Count] = {}
    leader_changes: Count | None = None
    minority_leader_cuts: Count = 0
    majority_leader_cuts: Count = 0
    statistics: Statistics | None = None
    keeps: str = "all"

    @property
    def place(self) -> tuple[Cell, int | None]:
        """What two rows share that are the same run again."""
        return self.cell, self.seed


def counts_of(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows there are of each outcome that counts, zeros included."""
    counts = dict.fromkeys((outcome.value for outcome in COUNTED), 0)
    for row in rows:
        if row.verdict in COUNTED:
            counts[row.verdict] += 1
    return counts
