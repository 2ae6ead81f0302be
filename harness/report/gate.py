"""A gate's decision as text for a terminal.

Lives here: wording and order. Must not live here: deciding, or colours (the command adds them).
"""

from __future__ import annotations

from harness.campaign.gate import Decision


def render(decision: Decision) -> list[str]:
    """Failures, what was asked, and the answer in one sentence, last."""
    failures = [
        f"{failure.count} x {failure.title}{' (known)' if failure.known else ''}\n"
        f"    first {failure.example.run}, again: {failure.example.command}"
        for failure in decision.failures
    ]
    width = max(len(finding.check) for finding in decision.findings)
    findings = [f"{finding.check:<{width}}  {finding.verdict}: {finding.reason}" for finding in decision.findings]
    word = "passed" if decision.passed else f"not passed ({decision.verdict})"
    known = sum(failure.count for failure in decision.failures if failure.known)
    beside = f", beside {known} known failures" if known else ""
    return [*failures, *findings, f"gate {word}: {decision.statement}{beside}"]
