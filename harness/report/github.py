"""GitHub Actions: annotations on a pull request, and the summary of a step.

Lives here: their syntax and their limits. Must not live here: what is worth saying, beyond the worst first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from checkers.result import Verdict
from harness.campaign.gate import Decision
from harness.escape import github, github_property

ANNOTATIONS = 10
"""GitHub shows no more than ten errors of a step."""

SUMMARY_BYTES = 1 << 20
"""GitHub refuses a larger summary, whole."""

_CUT = "\n\nThe rest is in the report's file: a step summary may not be larger.\n"
_RANK = {Verdict.INVALID: 0, Verdict.UNKNOWN: 1}


def error_commands(decision: Decision) -> list[str]:
    """Commands for the runner, one an error, ten at most: new failures by how often they show, then the rest."""
    errors = [
        (f"{failure.count} x {failure.title}", f"{failure.example.reason}\n{failure.example.command}")
        for failure in decision.failures
        if not failure.known
    ]
    open_findings = [one for one in decision.findings if one.verdict is not Verdict.VALID and one.check != "failures"]
    errors += [(one.check, one.reason) for one in sorted(open_findings, key=lambda one: _RANK[one.verdict])]
    return [f"::error title={github_property(title)}::{github(message)}" for title, message in errors[:ANNOTATIONS]]


def step_summary(markdown: str) -> str:
    """The report, cut at the end of a line if it is too large for a step."""
    whole = markdown.encode()
    if len(whole) < SUMMARY_BYTES:
        return markdown
    part = whole[: SUMMARY_BYTES - len(_CUT) - 1].decode(errors="ignore")
    return part[: part.rfind("\n") + 1] + _CUT


def summary_file(environment: Mapping[str, str]) -> Path | None:
    """Where the runner reads the summary of this step; None outside of GitHub Actions."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    return Path(path) if path and environment.get("GITHUB_ACTIONS") == "true" else None
