"""What the files of one run of a campaign say, and whether they agree.

Lives here: reading `job.json`, `row.json` and `results.json` of one directory against each other. Must not live here:
what was planned (`evidence`), or making a row (`settle`).

A row is a claim; what it rests on is `results.json`. Where both are there, signature and attested faults are taken from
the results, and whatever else differs is a contradiction.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from harness import untrusted
from harness.campaign.directory import Assignment, load_assignment, load_row
from harness.campaign.facts import SavedResults
from harness.campaign.row import COUNTED, CRASHES, Outcome, Row
from harness.store import HISTORY, RESULTS
from harness.untrusted import Absent, BadRecord


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One run's directory. `trouble` is what is missing or contradicts itself; a row with trouble proves nothing.

    Without a row and without trouble it has not ended, or was killed.
    """

    run: Path
    assignment: Assignment | None = None
    row: Row | None = None
    trouble: str | None = None

    @property
    def ended(self) -> bool:
        return self.row is not None and self.row.verdict in COUNTED


def read_record(run: Path) -> Record:
    """What the directory holds."""
    if run.is_symlink():
        return Record(run=run, trouble="a symbolic link")
    try:
        assignment = load_assignment(run)
    except BadRecord as error:
        return Record(run=run, trouble=f"job.json: {error.reason}")
    try:
        row = load_row(run)
    except Absent:
        return Record(run=run, assignment=assignment)
    except BadRecord as error:
        return Record(run=run, assignment=assignment, trouble=f"row.json: {error.reason}")
    results, unreadable = _results(run)
    trouble = _not_of(row, assignment) or _unfit(row) or (None if results is None else _differs(row, results))
    if trouble is None and unreadable is not None and row.ended == "ended":
        trouble = f"results.json: {unreadable}"
    if results is not None and trouble is None:
        row = msgspec.structs.replace(row, signature=results.signature, faults=results.attested())
    return Record(run=run, assignment=assignment, row=row, trouble=trouble)


def incomplete(record: Record) -> str | None:
    """What the row of a campaign's run needs beside it, and is not there."""
    row = record.row
    if row is None or row.ended != "ended" or row.keeps == "row":
        return None
    if not (record.run / RESULTS).exists():
        return "results.json is missing"
    if row.keeps == "all" and row.verdict is Outcome.VALID and row.operations.get("total", 0):
        return _without_history(record.run / HISTORY)
    return None


def _results(run: Path) -> tuple[SavedResults | None, str | None]:
    """The results, and why there are none although their file is there."""
    try:
        results = untrusted.load(run / RESULTS, SavedResults)
    except Absent:
        return None, None
    except BadRecord as error:
        return None, error.reason
    return (results, None) if results.contradiction is None else (None, results.contradiction)


def _not_of(row: Row, assignment: Assignment) -> str | None:
    """What makes it the row of another run."""
    for name in ("campaign", "job", "cell", "seed", "began"):
        if getattr(row, name) != getattr(assignment, name):
            return f"row.json is of another run: its {name} is not that of job.json"
    return None


def _unfit(row: Row) -> str | None:
    """What no run's row can say."""
    crashed = row.ended in CRASHES
    if row.verdict is Outcome.INCOMPLETE or (row.verdict is Outcome.CRASH) != crashed:
        return f"row.json says {row.verdict} of a run that is {row.ended or 'not ended'}"
    if row.verdict.conclusive and row.ended != "ended":
        return f"row.json says {row.verdict} of a run that was {row.ended}"
    if row.keeps not in ("all", "results", "row"):
        return "row.json does not say what is kept"
    if row.keeps != "all" and row.verdict is not Outcome.VALID:
        return f"row.json says that the files of a run that is {row.verdict} were pruned"
    return None


def _differs(row: Row, results: SavedResults) -> str | None:
    """Where the row is not what the results make of the run."""
    outcome, ended = results.ending
    if row.verdict is not outcome:
        return f"row.json says {row.verdict}, results.json {outcome}"
    claimed = {
        "ended": (row.ended, ended),
        "reason": (row.reason, results.reason),
        "seed": (row.seed, results.seed if results.seed is not None else row.seed),
        "version": (row.version, results.version),
        "operations": (row.operations, results.operations),
        "leader_changes": (row.leader_changes, results.leader_changes),
    }
    differing = next((name for name, (said, is_) in claimed.items() if said != is_), None)
    return None if differing is None else f"row.json and results.json differ in {differing}"


def _without_history(path: Path) -> str | None:
    try:
        untrusted.require_file(path)
    except BadRecord as error:
        return f"{HISTORY}: {error.reason}"
    return None if path.stat().st_size else f"{HISTORY} is empty"


_ATTEMPT = re.compile(r"(?P<job>.+?)(?:\.(?P<attempt>[1-9][0-9]{0,4}))?", re.DOTALL)


def place_of(name: str) -> tuple[str, int]:
    """The job, and which attempt at it, that a directory of that name is for: `003-17.2` is the second."""
    match = _ATTEMPT.fullmatch(name)
    assert match is not None, name
    return match["job"], int(match["attempt"] or 1)
