"""A gate's decision, as text for a terminal and as Markdown.

Lives here: wording and order. Must not live here: deciding, or colours (the command adds them).
"""

from __future__ import annotations

from harness.campaign.gate import Decision
from harness.escape import markdown as escape
from harness.escape import terminal
from harness.report.markdown import failure_table, table


def render(name: str, decision: Decision) -> list[str]:
    """Failures, what was asked, and the answer in one sentence, last, which says whose it is."""
    failures = [
        line
        for failure in decision.failures
        for line in (
            f"{failure.count} x {failure.title}{' (known)' if failure.known else ''}",
            f"    first {failure.example.run}, again: {failure.example.command}",
        )
    ]
    width = max(len(finding.check) for finding in decision.findings)
    findings = [f"{finding.check:<{width}}  {finding.verdict}: {finding.reason}" for finding in decision.findings]
    word = "passed" if decision.passed else f"not passed ({decision.verdict})"
    known = sum(failure.count for failure in decision.failures if failure.known)
    beside = f", beside {known} known failures" if known else ""
    return list(map(terminal, [*failures, *findings, f"gate {word}: {name}: {decision.statement}{beside}"]))


def decision_report(name: str, decision: Decision) -> str:
    """The gate's decision: the answer first, then what fails, then everything that was asked."""
    word = "passed" if decision.passed else "not passed"
    counts = ", ".join(f"{count} {kind}" for kind, count in decision.counts.items())
    lines = [
        f"# {escape(name)}: gate {word} ({decision.verdict})",
        "",
        f"{escape(decision.statement)}.",
        "",
        f"Runs: {counts}.",
        "",
    ]
    if decision.failures:
        lines += ["## Failures", "", *failure_table(decision.failures), ""]
    checks = [[finding.check, finding.verdict.value, finding.reason] for finding in decision.findings]
    lines += ["## Asked", "", *table(["check", "verdict", "reason"], checks), ""]
    return "\n".join(lines)
