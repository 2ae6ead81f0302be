"""The words of Markdown that the reports are made of.

Lives here: tables, also of failures. Must not live here: any whole report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.campaign.gate import Failure
from harness.escape import markdown as escape


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


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
