"""The words of Markdown that the reports are made of, and the gate's decision in them.

Lives here: tables, escapes, the gate's report. Must not live here: deciding anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.campaign.gate import Decision, Failure

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


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


def failure_table(failures: Sequence[Failure], extra: Sequence[tuple[str, Sequence[str]]] = ()) -> list[str]:
    """A row for each kind of failure; `extra` are further columns, each with its values."""
    heads = ["failure", "runs", "known", "seed", "run", "again", *(head for head, _ in extra)]
    rows = [
        [
            *(failure.title, str(failure.count), "yes" if failure.known else "no"),
            *(str(failure.example.seed), failure.example.run, failure.example.command),
            *(values[place] for _, values in extra),
        ]
        for place, failure in enumerate(failures)
    ]
    return table(heads, rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, one line a row."""
    lines = [[escape(cell) for cell in row] for row in (heads, *rows)]
    return [_row(lines[0]), _row(["---"] * len(heads)), *(_row(line) for line in lines[1:])]


def escape(text: str) -> str:
    """The text such that Markdown shows it as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
