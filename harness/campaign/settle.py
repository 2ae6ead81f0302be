"""From a run's directory to its row.

Lives here: what a run's end, or the lack of one, is called. Must not live here: reading results (`facts`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness import untrusted
from harness.campaign.cells import Cell, cell_of_command
from harness.campaign.directory import Assignment
from harness.campaign.execute import Exit
from harness.campaign.facts import Facts, SavedResults, read_facts, read_test
from harness.campaign.record import read_record
from harness.campaign.row import Outcome, Row
from harness.store import DEFINITION, RESULTS, save
from harness.untrusted import Absent, BadRecord


def row_of_exit(store: Path, run: Path, assignment: Assignment, end: Exit) -> Row:
    """The row of a campaign's run whose process has just ended; saved in its directory, which makes it final."""
    facts = read_facts(run) if end.ended == "ended" else None
    if facts is not None:
        row = _row(store, run, assignment, facts, end.seconds)
    else:
        row = _without_facts(
            store,
            run,
            assignment,
            verdict=Outcome.INTERRUPTED if end.ended == "interrupted" else Outcome.CRASH,
            ended="crash" if end.ended == "ended" else end.ended,
            reason=f"{end.ended}: {end.said}" if end.ended != "ended" else "its results cannot be read",
            seconds=end.seconds,
        )
    save(run / "row.json", row)
    return row


def row_of_unfinished(store: Path, run: Path, assignment: Assignment) -> Row:
    """The row of a run that was under way when its campaign was killed; saved.

    If it has its results it ended all the same, and counts. Else it is marked as interrupted.
    """
    facts = read_facts(run)
    if facts is None:
        return row_of_exit(store, run, assignment, Exit("interrupted", 0.0, "its campaign was killed"))
    row = _row(store, run, assignment, facts, _modified(run / RESULTS) - assignment.began)
    save(run / "row.json", row)
    return row


def row_of_directory(store: Path, run: Path) -> Row | None:
    """The row of whatever run is kept there, of a campaign or by itself; None if no run is.

    One whose files cannot be read, or contradict each other, is unknown.
    """
    record = read_record(run)
    if record.assignment is not None:
        row = record.row or _incomplete(store, run, record.assignment)
        return row if record.trouble is None else _unreadable(row, record.trouble)
    if not (run / DEFINITION).exists():
        return None
    began = _modified(run / DEFINITION)
    facts = read_facts(run)
    placed = cell_of_command(facts.results.command) if facts is not None else None
    saved = read_test(run)
    cell, seed = placed or (Cell(env=saved.environment, mutant=saved.mutant), saved.seed)
    alone = Assignment(campaign="", job="", cell=cell, seed=seed or 0, attempt=1, began=began, version=saved.version)
    if facts is None:
        row = _incomplete(store, run, alone)
        if (trouble := _trouble(run / RESULTS)) is not None:
            row = _unreadable(row, f"{RESULTS}: {trouble}")
    else:
        row = _row(store, run, alone, facts, _modified(run / RESULTS) - began)
    return msgspec.structs.replace(row, campaign=None, job=None, seed=seed)


def _row(store: Path, run: Path, assignment: Assignment, facts: Facts, seconds: float) -> Row:
    results = facts.results
    outcome, ended = results.ending
    return Row(
        run=str(run.relative_to(store)),
        campaign=assignment.campaign,
        job=assignment.job,
        cell=assignment.cell,
        seed=assignment.seed,
        verdict=outcome,
        ended=ended,
        reason=results.reason,
        signature=results.signature,
        began=assignment.began,
        seconds=round(max(seconds, 0.0), 3),
        version=results.version,
        command=results.command,
        operations=results.operations,
        faults=results.attested(),
        leader_changes=results.leader_changes,
        minority_leader_cuts=facts.minority_leader_cuts,
        majority_leader_cuts=facts.majority_leader_cuts,
        statistics=facts.statistics,
    )


def _unreadable(row: Row, trouble: str) -> Row:
    return msgspec.structs.replace(row, verdict=Outcome.UNKNOWN, ended="ended", reason=trouble, signature=None)


def _trouble(path: Path) -> str | None:
    """Why the results cannot be read; None if there are none."""
    try:
        untrusted.load(path, SavedResults)
    except Absent:
        return None
    except BadRecord as error:
        return error.reason
    return None


def _incomplete(store: Path, run: Path, assignment: Assignment) -> Row:
    reason = "it has not ended yet, or was killed"
    return _without_facts(store, run, assignment, verdict=Outcome.INCOMPLETE, ended="", reason=reason, seconds=0.0)


def _without_facts(
    store: Path, run: Path, assignment: Assignment, *, verdict: Outcome, ended: str, reason: str, seconds: float
) -> Row:
    """The row of a run that left no results: who it is, and what is known of its end."""
    return Row(
        run=str(run.relative_to(store)),
        campaign=assignment.campaign,
        job=assignment.job,
        cell=assignment.cell,
        seed=assignment.seed,
        verdict=verdict,
        ended=ended,
        reason=reason,
        began=assignment.began,
        seconds=seconds,
        version=assignment.version,
    )


def _modified(path: Path) -> float:
    return path.stat().st_mtime
