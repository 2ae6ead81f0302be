"""`splitbrain gate`: does a campaign pass?

Lives here: options over the plan's own gate, reports to files, the exit code. Must not live here: deciding
(`harness.campaign.gate`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from harness.commands.terminal import Terminal
from harness.errors import UsageError
from harness.store import replace_file

if TYPE_CHECKING:  # loaded when it is needed: every run of a campaign loads this file as well
    from harness.campaign.gate import Decision
    from harness.campaign.row import Row

REPORTS = ("junit", "json", "markdown")


def gate_command(
    campaign: Annotated[str, typer.Argument(help="A campaign: its directory, its name, or its plan, by name or file.")],
    baseline: Annotated[Path | None, typer.Option(help="Failures that are accepted.")] = None,
    write_baseline: Annotated[
        Path | None, typer.Option(help="Accept its failures, and the baseline's, in that file.")
    ] = None,
    max_rate: Annotated[float | None, typer.Option(help="The failure rate to be excluded; 0.01 is 1 %.")] = None,
    confidence: Annotated[float | None, typer.Option(help="With which confidence; 0.95 is 95 %.")] = None,
    max_unknown: Annotated[float | None, typer.Option(help="The share of runs that may be unknown or crash.")] = None,
    max_inconclusive: Annotated[float | None, typer.Option(help="The share of runs that may be inconclusive.")] = None,
    faults: Annotated[int | None, typer.Option(help="How often each kind of fault must be attested in a cell.")] = None,
    operations: Annotated[int | None, typer.Option(help="How many operations there must be.")] = None,
    leader_changes: Annotated[int | None, typer.Option(help="How many elections must have been won.")] = None,
    minority_leader_cuts: Annotated[int | None, typer.Option(help="How often a leader must be cut off.")] = None,
    majority_leader_cuts: Annotated[int | None, typer.Option(help="How often others must be cut off.")] = None,
    threshold: Annotated[list[str] | None, typer.Option(help="Such as p99<500ms; may be given again.")] = None,
    report: Annotated[str | None, typer.Option(help="junit, json, markdown; several with commas.")] = None,
    to: Annotated[Path | None, typer.Option(help="The directory for reports; by default the campaign's.")] = None,
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[bool, typer.Option("--json", help="Print the decision as one JSON object, nothing else.")] = False,
) -> None:
    """Decide whether a campaign passes, and say what its runs support.

    Exits with 0 if it passes, 1 if something is bad, 2 if something was not shown.
    """
    from harness.campaign import baseline as baselines
    from harness.campaign import gate
    from harness.campaign.directory import find
    from harness.campaign.evidence import account
    from harness.campaign.load import laid_over, load
    from harness.report import gate as text

    kinds = _reports(report)
    _require_places(write_baseline, to)
    found = find(store, campaign)
    coverage = _given(
        faults=faults,
        operations=operations,
        leader_changes=leader_changes,
        minority_leader_cuts=minority_leader_cuts,
        majority_leader_cuts=majority_leader_cuts,
    )
    rates = _given(max_rate=max_rate, confidence=confidence, max_unknown=max_unknown, max_inconclusive=max_inconclusive)
    options = rates | _given(coverage=coverage or None, thresholds=threshold or None)
    told = account(found)
    plan = load(None, laid_over(told.definition.plan, {"gate": options}))
    planned = gate.Planned(told.definition.cells, told.planned, told.over, told.missing)
    known = baselines.read(baseline) if baseline is not None else None
    rows = told.rows
    decision = gate.decide(rows, plan.gate, known.signatures() if known is not None else frozenset(), planned)
    terminal = Terminal(json)
    if json:
        terminal.document({"campaign": str(found.path), **msgspec.to_builtins(decision)})
    else:
        *lines, last = text.render(found.name, decision)
        terminal.lines(lines)
        terminal.verdict(decision.verdict, last)

    def keep_baseline() -> None:
        if write_baseline is not None:
            accepted = baselines.write(write_baseline, rows, known)
            count = len(accepted.failures)
            terminal.say(f"{write_baseline}: kinds of failure that are accepted from now on: {count}")

    def write_reports() -> None:
        for path in _write(kinds, to or found.path, found.name, rows, decision):
            terminal.say(f"wrote {path}")

    terminal.best_effort(f"--write-baseline {write_baseline}", keep_baseline)
    terminal.best_effort("--report", write_reports)
    _tell_github(found.name, decision, terminal)
    raise typer.Exit(decision.verdict.exit_code)


def _require_places(baseline: Path | None, to: Path | None) -> None:
    """Raises `UsageError` for what cannot be written, before anything is decided."""
    if baseline is not None and (baseline.is_dir() or not baseline.parent.is_dir()):
        raise UsageError(f"--write-baseline {baseline}: no such place; name a file that can be written")
    if to is not None:
        try:
            to.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--to {to}: {error.strerror}; name a directory that can be written") from error


def _given(**options: object) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _reports(text: str | None) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",")] if text else []
    unknown = [kind for kind in kinds if kind not in REPORTS]
    if unknown:
        raise UsageError(f"--report {', '.join(unknown)}: there is no such report; choose from {', '.join(REPORTS)}")
    return kinds


def _write(kinds: Sequence[str], to: Path, name: str, rows: Sequence[Row], decision: Decision) -> list[Path]:
    """Write the reports that were asked for; where they are."""
    from harness.report import gate as text
    from harness.report import junit

    written = []
    for kind in kinds:
        path = to / {"junit": "junit.xml", "json": "gate.json", "markdown": "gate.md"}[kind]
        if kind == "junit":
            content = junit.render(name, rows, decision)
        elif kind == "json":
            document = {"campaign": name, **msgspec.to_builtins(decision)}
            content = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        else:
            content = text.decision_report(name, decision)
        try:
            to.mkdir(parents=True, exist_ok=True)
            replace_file(path, content.encode(errors="replace"))
        except OSError as error:
            raise UsageError(f"--to {to}: {error.strerror}; name a directory that can be written") from error
        written.append(path)
    return written


def _tell_github(name: str, decision: Decision, terminal: Terminal) -> None:
    """Annotations and a step summary, where GitHub's runner reads them. It reads annotations from stderr as well."""
    from harness.report import gate as text
    from harness.report import github

    path = github.summary_file(os.environ)
    if path is None:
        return
    terminal.runner_commands(github.error_commands(decision))
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(github.step_summary(text.decision_report(name, decision)))
    except OSError as error:  # the decision stands all the same
        terminal.error(f"GITHUB_STEP_SUMMARY {path} cannot be written: {error.strerror}")
