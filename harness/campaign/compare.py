"""Two sets of rows side by side: what is new, what is gone, what has become slower.

Lives here: the comparison, and what a history of campaigns says of a failure. Pure. Must not live here: which rows are
compared, or how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from harness.campaign.gate import Failure, failures_of
from harness.campaign.row import COUNTED, Outcome, Row, counts_of
from harness.signature import Signature

SLOWER = 1.25
"""By what factor a median must have grown to be reported. Runs of one cell differ by less from night to night."""

_LEAST_RUNS = 3
_FIGURES = {"p50_ms": "p50", "p99_ms": "p99", "recovery_s": "recovery"}


class Slower(msgspec.Struct, frozen=True):
    """A figure of a cell that has grown: medians over its runs, in the unit of the figure."""

    cell: str
    figure: str
    before: float
    after: float


class Comparison(msgspec.Struct, frozen=True):
    """From `before` to `after`. `new` and `known` are as after, `gone` as before.

    `not_run` are failures of before in whose cells nothing was run since: nothing says that they are gone.
    """

    new: Sequence[Failure]
    known: Sequence[Failure]
    gone: Sequence[Failure]
    not_run: Sequence[Failure]
    slower: Sequence[Slower]
    counts_before: dict[str, int]
    counts_after: dict[str, int]


def compare(before: Sequence[Row], after: Sequence[Row]) -> Comparison:
    """What has changed."""
    seen_before = {row.signature for row in before if row.signature is not None}
    seen_after = {row.signature for row in after if row.signature is not None}
    later = failures_of(after, ())
    cells_after = {row.cell for row in after if row.verdict.conclusive}
    absent = [failure for failure in failures_of(before, ()) if failure.signature not in seen_after]
    tried = {
        one.signature: any(row.cell in cells_after for row in before if row.signature == one.signature)
        for one in absent
    }
    return Comparison(
        new=[failure for failure in later if failure.signature not in seen_before],
        known=[failure for failure in later if failure.signature in seen_before],
        gone=[failure for failure in absent if tried[failure.signature]],
        not_run=[failure for failure in absent if not tried[failure.signature]],
        slower=list(_slower(before, after)),
        counts_before=counts_of(before),
        counts_after=counts_of(after),
    )


def _slower(before: Sequence[Row], after: Sequence[Row]) -> Iterable[Slower]:
    """The figures of cells that both have run often enough and whose median has grown by more than `SLOWER`."""
    for cell in sorted({row.cell for row in before} & {row.cell for row in after}, key=str):
        for field, name in _FIGURES.items():
            old, new = ([_figure(row, field) for row in rows if row.cell == cell] for rows in (before, after))
            known_old, known_new = ([value for value in values if value is not None] for values in (old, new))
            if min(len(known_old), len(known_new)) < _LEAST_RUNS:
                continue
            was, now = median(known_old), median(known_new)
            if was > 0 and now / was > SLOWER:
                yield Slower(str(cell), name, was, now)


def _figure(row: Row, field: str) -> float | None:
    value: float | None = getattr(row.statistics, field, None)
    return value


def flaky(rows: Iterable[Row]) -> tuple[int, int]:
    """(how many, of how many): runs made more than once by one version whose verdicts differ, of all made twice."""
    verdicts: dict[tuple[object, str], list[str]] = {}
    for row in rows:
        if row.verdict.conclusive:
            verdicts.setdefault((row.place, row.version), []).append(row.verdict)
    repeated = [seen for seen in verdicts.values() if len(seen) > 1]
    return sum(len(set(seen)) > 1 for seen in repeated), len(repeated)


class Versions(msgspec.Struct, frozen=True):
    """Since when a failure is there: the first version that showed it, and the last before it whose runs were valid."""

    first_bad: str
    last_good: str | None


def versions_of(signature: Signature | None, history: Sequence[Row]) -> Versions | None:
    """What all rows of a store, in order of time, say of a failure. None if none shows it."""
    counted = sorted((row for row in history if row.verdict in COUNTED), key=lambda row: row.began)
    first = next((row for row in counted if row.verdict is Outcome.INVALID and row.signature == signature), None)
    if first is None:
        return None
    earlier = [
        row.version
        for row in counted
        if row.began < first.began
        and row.cell == first.cell
        and row.verdict is Outcome.VALID
        and row.version != first.version
    ]
    return Versions(first.version, earlier[-1] if earlier else None)
