"""From a run's directory to its row.

Lives here: what a run's end, or the lack of one, is called. Must not live here: reading results (`facts`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from checkers.result import Verdict
from harness.campaign.cells import Cell, cell_of_command
from harness.campaign.directory import Assignment, read_assignment, read_row
from harness.campaign.execute import Exit
from harness.campaign.facts import Facts, read_facts, read_test
from harness.campaign.row import Outcome, Row
from harness.shortage import OUT_OF_MEMORY
from harness.store import DEFINITION, RESULTS, save


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
    """The row of whatever run is kept there, of a campaign or by itself; None if no run is."""
    assignment = read_assignment(run)
    if assignment is not None:
        return read_row(run) or _incomplete(store, run, assignment)
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
    else:
        row = _row(store, run, alone, facts, _modified(run / RESULTS) - began)
    return msgspec.structs.replace(row, campaign=None, job=None, seed=seed)


def _row(store: Path, run: Path, assignment: Assignment, facts: Facts, seconds: float) -> Row:
    results = facts.results
    # It has results, in which the check that there was no memory for says so; nothing else may have been bad.
    short = results.verdict is Verdict.UNKNOWN and results.reason.startswith(OUT_OF_MEMORY)
    return Row(
        run=str(run.relative_to(store)),
        campaign=assignment.campaign,
        job=assignment.job,
        cell=assignment.cell,
        seed=assignment.seed,
        verdict=Outcome.CRASH if short else results.outcome,
        ended=OUT_OF_MEMORY if short else "ended",
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
