"""What a campaign comes to, as text for a terminal.

Lives here: wording and order. Must not live here: counting, judging, or colours (the command adds them).
"""

from __future__ import annotations

from collections.abc import Sequence

from checkers.result import Verdict
from harness.campaign.gate import first_of
from harness.campaign.summary import Brief, Summary
from harness.escape import terminal

_MOST_MISSING = 10


def render(summary: Summary) -> list[str]:
    """A row for each kind of failure, then the numbers; the verdict's sentence is apart (`sentence`)."""
    failures = [line for briefs in by_signature(summary.runs) for line in _failure(briefs)]
    others = [f"{brief.ended}: {brief.run}" for brief in summary.runs if brief.verdict == "crash"][:10]
    missing = [f"missing        {line}" for line in summary.missing[:_MOST_MISSING]]
    if len(summary.missing) > _MOST_MISSING:
        missing.append(f"missing        and {len(summary.missing) - _MOST_MISSING} more")
    counts = ", ".join(f"{count} {name}" for name, count in summary.counts.items())
    lines = [*failures, *others, *missing, f"runs           {counts}", f"campaign       {summary.campaign}"]
    return list(map(terminal, lines))


def sentence(summary: Summary) -> str:
    """The verdict and what it rests on, in one line."""
    made = len(summary.runs)
    early = f"; {summary.planned - made} of {summary.planned} planned were not made" if made < summary.planned else ""
    if not made and not summary.missing:
        return f"{summary.verdict}: no run was made{early}"
    if summary.missing and summary.verdict is Verdict.UNKNOWN:
        return terminal(f"{summary.verdict}: missing or contradictory: {first_of(summary.missing)}{early}")
    kind = {
        Verdict.VALID: f"every one of {made} runs is valid",
        Verdict.INVALID: f"{summary.counts['invalid']} of {made} runs are invalid",
        Verdict.UNKNOWN: f"{made - summary.counts['valid']} of {made} runs prove nothing",
    }[summary.verdict]
    return f"{summary.verdict}: {kind}{early}"


def by_signature(briefs: Sequence[Brief]) -> list[list[Brief]]:
    """The invalid runs, those of one signature together, the commonest first."""
    groups: dict[str | None, list[Brief]] = {}
    for brief in briefs:
        if brief.verdict == "invalid":
            groups.setdefault(brief.signature, []).append(brief)
    return sorted(groups.values(), key=lambda group: (-len(group), str(group[0].signature)))


def _failure(briefs: Sequence[Brief]) -> list[str]:
    first = briefs[0]
    title = first.signature or "invalid, without a signature"
    return [f"{len(briefs)} x {title}", f"    first in {first.cell}, seed {first.seed}: {first.run}"]
