"""The morning report: what the night has brought, as Markdown.

Lives here: its sections and their order. Must not live here: comparing (`harness.campaign.compare`).
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.campaign.compare import Comparison, Slower, Versions, compare, flaky, versions_of
from harness.campaign.gate import Failure
from harness.campaign.row import Row, counts_of
from harness.escape import markdown as escape
from harness.report.markdown import failure_table, table


def report(
    name: str, rows: Sequence[Row], before: Sequence[Row], history: Sequence[Row], missing: Sequence[str] = ()
) -> str:
    """The report on a campaign's rows: what is missing, new failures, known and gone ones, what is slower or flaky.

    `before` are the rows of the campaign before it, `history` all rows of the store, these included. A failure is known
    if any row that began before the campaign shows it.
    """
    began = min((row.began for row in rows), default=0.0)
    earlier = [row for row in history if row.began < began]
    against_all, against_last = compare(earlier, rows), compare(before, rows)
    counts = ", ".join(f"{count} {kind}" for kind, count in counts_of(rows).items())
    differing, repeated = flaky(history)
    lines = [f"# {escape(name)}", "", f"{len(rows)} runs: {counts}.", "", *_missing(missing)]
    lines += _failures("New failures", against_all.new, history) or ["No new failure.", ""]
    lines += _failures("Known failures", against_all.known, history)
    lines += _gone(against_last)
    lines += _slower(against_last.slower)
    share = f" ({100 * differing / repeated:.1f} %)" if repeated else ""
    lines += ["## Flaky", "", f"{differing} of {repeated} runs that were made again ended otherwise{share}.", ""]
    return "\n".join(lines)


def comparison_report(before: str, after: str, comparison: Comparison) -> str:
    """Two campaigns side by side."""
    lines = [f"# {escape(before)} and {escape(after)}", ""]
    kinds = [[kind, str(count), str(comparison.counts_after[kind])] for kind, count in comparison.counts_before.items()]
    lines += [*table(["runs", "before", "after"], kinds), ""]
    lines += _failures("New failures", comparison.new, ()) or ["No new failure.", ""]
    lines += _failures("Failures in both", comparison.known, ())
    return "\n".join([*lines, *_gone(comparison), *_slower(comparison.slower)])


def _missing(missing: Sequence[str]) -> list[str]:
    if not missing:
        return []
    return ["## Missing or contradictory", "", *(f"- {escape(one)}" for one in missing), ""]


def _failures(title: str, failures: Sequence[Failure], history: Sequence[Row]) -> list[str]:
    if not failures:
        return []
    found = [versions_of(failure.signature, history) for failure in failures]
    extra = [("first bad version", [_since(versions) for versions in found])] if history else []
    return [f"## {title}", "", *failure_table(failures, extra), ""]


def _since(versions: Versions | None) -> str:
    if versions is None:
        return "not known"
    return versions.first_bad + (f" (good: {versions.last_good})" if versions.last_good else "")


def _gone(comparison: Comparison) -> list[str]:
    lines = []
    for title, failures in (("Gone", comparison.gone), ("Not run this time", comparison.not_run)):
        if failures:
            lines += [f"## {title}", "", *failure_table(failures), ""]
    return lines


def _slower(slower: Sequence[Slower]) -> list[str]:
    if not slower:
        return []
    rows = [[one.cell, one.figure, f"{one.before:.3g}", f"{one.after:.3g}"] for one in slower]
    return ["## Slower", "", *table(["cell", "median of", "before", "after"], rows), ""]
