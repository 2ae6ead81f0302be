"""Runs as text for a terminal: many as a table, one as a screen.

Lives here: wording and order. Must not live here: finding runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from harness.campaign.facts import SavedFault, SavedResults
from harness.campaign.row import Outcome, Row
from harness.escape import terminal

COLUMNS = ("began", "verdict", "seconds", "cell", "seed", "version", "run", "signature or reason")
_MOST_WINDOWS = 6
_KEPT = {"all": "everything", "results": "its results", "row": "its row"}


def cells(row: Row) -> tuple[str, ...]:
    """The row as the texts of `COLUMNS`."""
    verdict = row.ended if row.verdict is Outcome.CRASH else row.verdict.value
    why = "" if row.verdict is Outcome.VALID else str(row.signature or row.reason)
    texts = (
        *(moment(row.began), verdict, f"{row.seconds:.1f}", str(row.cell), "" if row.seed is None else str(row.seed)),
        *(row.version, row.run, why),
    )
    return tuple(map(terminal, texts))


def counted(counts: Mapping[str, int], shown: int) -> str:
    """How many there are, in a line."""
    total = sum(counts.values())
    kinds = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "none"
    hidden = f"; the newest {shown} are shown, --limit shows more" if shown < total else ""
    return f"{total} runs: {kinds}{hidden}"


def screen(store: Path, row: Row, results: SavedResults | None) -> list[str]:
    """All about one run that fits a screen: what, when, why, what was done to it, how it felt, how to see it again."""
    lines = [
        f"run            {store / row.run}",
        f"cell           {row.cell}, seed {row.seed}",
        f"began          {moment(row.began)}, took {row.seconds:.1f} s, version {row.version or 'not known'}",
        *([f"campaign       {row.campaign}"] if row.campaign else []),
        f"verdict        {row.verdict}: {row.reason}",
        *([f"signature      {row.signature}"] if row.signature else []),
        *_checks(results),
        *_faults(row, results),
        *_operations(row),
        f"kept           {_KEPT.get(row.keeps, row.keeps)}",
        *([f"to run again   {row.command}"] if row.command else []),
    ]
    detail = next((check.detail for check in results.checks.values() if check.detail), "") if results else ""
    return list(map(terminal, [*lines, *detail.splitlines()[:20]]))


def moment(began: float) -> str:
    """As a person reads it, in local time."""
    return datetime.fromtimestamp(began).strftime("%Y-%m-%d %H:%M:%S")


def _checks(results: SavedResults | None) -> list[str]:
    if results is None:
        return []
    return [f"{name:<14} {check.verdict}: {check.reason}" for name, check in results.checks.items()]


def _faults(row: Row, results: SavedResults | None) -> list[str]:
    counts = ", ".join(f"{count} {kind}" for kind, count in row.faults.items()) or "none"
    cuts = f"leaders cut off with a minority: {row.minority_leader_cuts}, with a majority: {row.majority_leader_cuts}"
    changes = "not known" if row.leader_changes is None else str(row.leader_changes)
    lines = [f"faults         {counts}; {cuts}", f"elections won  {changes}"]
    windows = results.fault_rows if results is not None else []
    lines += [line for window in windows[:_MOST_WINDOWS] for line in _window(window)]
    if len(windows) > _MOST_WINDOWS:
        lines.append(f"    and {len(windows) - _MOST_WINDOWS} more")
    return lines


def _window(window: SavedFault) -> list[str]:
    """What was done and what it became; beneath, what proves it and what it changed."""
    begin = "?" if window.begin is None else f"{window.begin:.1f}"
    end = "" if window.end is None else f"{window.end:.1f}"
    seen = f"{'seen' if window.proved else 'NOT PROVED'}: {_words(window.evidence or 'nothing')}"
    return [
        f"    {begin:>6} .. {end:>6} s  {window.asked or window.fault}: {window.resolved}",
        f"{'':23}{seen}",
        f"{'':23}felt: {_felt(window.effect)}",
    ]


def _felt(effect: object) -> str:
    """Who led and in which term before and after, and how the operations meanwhile ended."""
    if not isinstance(effect, dict):
        return _words(effect)
    ends = [", ".join(map(str, leaders)) or "nobody" for leaders in _lists(effect.get("leaders"))]
    terms = [str(term) for term in _listed(effect.get("terms"))]
    counts = [f"{count} {kind}" for kind, count in effect.items() if kind not in ("leaders", "terms")]
    changes = [f"{what} {' -> '.join(dict.fromkeys(which))}" for what, which in (("leader", ends), ("term", terms))]
    return "; ".join((", ".join(changes), ", ".join(counts)))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _lists(value: object) -> list[list[object]]:
    return [item for item in _listed(value) if isinstance(item, list)]


def _words(value: object) -> str:
    """A JSON value without its punctuation: `packets_dropped n1 25, n2 31; heard 0`."""
    if not isinstance(value, dict):
        return f"{value:g}" if isinstance(value, float) else str(value)
    nested = any(isinstance(inner, dict) for inner in value.values())
    return ("; " if nested else ", ").join(f"{key} {_words(inner)}" for key, inner in value.items() if inner != {})


def _operations(row: Row) -> Sequence[str]:
    counts = ", ".join(f"{count} {kind}" for kind, count in row.operations.items())
    figures = row.statistics
    if figures is None:
        return [f"operations     {counts}"]
    times = {"p50": figures.p50_ms, "p95": figures.p95_ms, "p99": figures.p99_ms, "max": figures.max_ms}
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in times.items() if value is not None)
    rate = "" if figures.rate is None else f"; {figures.rate:.1f}/s"
    available = "not known" if figures.availability is None else f"{100 * figures.availability:.2f} %"
    recovery = "not known" if figures.recovery_s is None else f"{figures.recovery_s:.3f} s"
    return [
        f"operations     {counts}{rate}",
        f"latency        {latency or 'not known'}",
        f"availability   {available}; recovery {recovery}",
    ]
