"""A run's results as text for a terminal.

Lives here: wording and order. Must not live here: judging, or colours (the command adds them).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from checkers.result import Verdict
from harness import escape
from harness.judge import Results

_MEANING = {
    Verdict.VALID: "these answers could have come from one correct copy",
    Verdict.INVALID: "no single correct copy could have given these answers",
    Verdict.UNKNOWN: "nothing is proven",
}


def render(results: Results, run: Path) -> str:
    """Everything a person needs to know, the verdict in one sentence last. Each line is fit for a terminal."""
    lines = [line for check in results.checks.values() if check.detail for line in check.detail.split("\n")]
    lines += [*_numbers(results), f"run directory  {run}", f"to run again   {results.command}"]
    if results.verdict == Verdict.INVALID:
        lines.append(f"to replay      splitbrain replay {escape.shell(str(run))}")
    return "\n".join([*map(escape.terminal, lines), sentence(results)])


def sentence(results: Results) -> str:
    """The verdict and its reason, in one line."""
    broken = [name for name, check in results.checks.items() if check.verdict == Verdict.INVALID]
    meaning = _MEANING[results.verdict]
    if broken and "linearizable" not in broken:
        meaning = "the cluster did not recover"
    return escape.terminal(f"{results.verdict}: {meaning} ({results.reason})")


def _numbers(results: Results) -> list[str]:
    operations = results.operations
    counts = Counter(row.fault for row in results.faults)
    faults = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
    changes = "unknown" if results.leader_changes is None else str(results.leader_changes)
    return [
        "operations     {total}: {ok} ok, {fail} fail, {info} info".format(**operations),
        f"faults         {faults}",
        *(f"skipped        {name}: {reason}" for name, reason in results.skipped.items()),
        f"elections won  {changes}",
        *(f"{name:<14} {check.verdict}: {check.reason}" for name, check in results.checks.items()),
    ]
