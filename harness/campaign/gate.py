"""The gate: rows in, a decision out.

Lives here: what must hold for a campaign to pass, and the statement that its runs support. Pure. Must not live here:
reading rows, or putting a decision into a report.

What is measured and bad is `invalid`; what was not shown is `unknown`, and does not pass either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from checkers.result import Verdict, merge
from harness.bound import runs_needed, upper_bound
from harness.campaign.cells import Cell
from harness.campaign.plan import Coverage, Gate
from harness.campaign.row import COUNTED, Outcome, Row, counts_of
from harness.campaign.thresholds import Threshold, parse_threshold
from harness.environments.base import Capability
from harness.environments.choose import ENVIRONMENTS
from harness.errors import UsageError
from harness.escape import short
from harness.nemesis import FAULTS
from harness.nemesis.specs import NONE, parse_nemesis
from harness.signature import Signature


class Planned(msgspec.Struct, frozen=True):
    """What was to be run. `over`: the campaign has come to its end, if perhaps early, by its budget.

    `missing` says what of it was made and cannot be read, or contradicts itself.
    """

    cells: Sequence[Cell]
    runs: int
    over: bool = True
    missing: Sequence[str] = ()


class Finding(msgspec.Struct, frozen=True):
    """One thing that was asked, and the answer. `reason` is a sentence."""

    check: str
    verdict: Verdict
    reason: str


class Failure(msgspec.Struct, frozen=True):
    """One kind of failure: every invalid run with that signature. `known` if the baseline accepts it.

    `example` is the row that was first, with everything needed to see it again.
    """

    signature: Signature | None
    count: int
    known: bool
    example: Row

    @property
    def title(self) -> str:
        """For people."""
        return str(self.signature or "invalid, without a signature")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says. `bound` is the failure rate that is excluded with `confidence`; `statement` says it."""

    verdict: Verdict
    statement: str
    bound: float
    confidence: float
    planned: int | None
    conclusive: int
    new_failures: int
    counts: Mapping[str, int]
    failures: Sequence[Failure]
    findings: Sequence[Finding]

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.VALID


def decide(
    rows: Sequence[Row], gate: Gate, baseline: Collection[Signature] = frozenset(), planned: Planned | None = None
) -> Decision:
    """The decision on the rows of a campaign. Rows that do not count are left out.

    Without `planned` only the cells are known that have a row.
    """
    counted = [row for row in rows if row.verdict in COUNTED]
    failures = failures_of(counted, baseline)
    conclusive = [row for row in counted if row.verdict.conclusive]
    new = sum(failure.count for failure in failures if not failure.known)
    # A known failure says nothing of what is not known, either way.
    tried = len(conclusive) - sum(failure.count for failure in failures if failure.known)
    bound = upper_bound(new, tried, gate.confidence)
    findings = [
        *_made(len(counted), planned),
        _invalid(failures, len(conclusive)),
        *_rate(new, tried, bound, gate),
        *_silent(counted, gate),
        *_coverage(counted, gate.coverage, planned.cells if planned else ()),
        *(_threshold(parse_threshold(text), conclusive) for text in gate.thresholds),
    ]
    return Decision(
        verdict=merge(finding.verdict for finding in findings),
        statement=_statement(new, tried, bound, gate.confidence),
        bound=bound,
        confidence=gate.confidence,
        planned=planned.runs if planned else None,
        conclusive=len(conclusive),
        new_failures=new,
        counts=counts_of(counted),
        failures=failures,
        findings=findings,
    )


def failures_of(rows: Iterable[Row], baseline: Collection[Signature]) -> list[Failure]:
    """One for each signature: new ones first, then the commonest."""
    groups: dict[Signature | None, list[Row]] = {}
    for row in rows:
        if row.verdict is Outcome.INVALID:
            groups.setdefault(row.signature, []).append(row)
    failures = [
        Failure(signature, len(group), signature in baseline, min(group, key=lambda row: (row.began, row.run)))
        for signature, group in groups.items()
    ]
    return sorted(failures, key=lambda failure: (failure.known, -failure.count, str(failure.signature)))


def faults_asked(cell: Cell) -> Sequence[str]:
    """The faults that runs of the cell must have: those that are named, and of `all` those that its environment can do.

    That it can is what the environment says of itself: what one machine lacks is missing.
    """
    able = ENVIRONMENTS[cell.env].capabilities if cell.env in ENVIRONMENTS else frozenset(Capability)
    try:
        specs = parse_nemesis(cell.nemesis or NONE, interval_s=1.0)
    except UsageError:  # of a row that no plan has made
        return []
    return [spec.name for spec in specs if spec.named or able & set(FAULTS[spec.name].needed.values())]


def first_of(sentences: Sequence[str], most: int = 5) -> str:
    """The first few, in one line."""
    more = f"; and {len(sentences) - most} more" if len(sentences) > most else ""
    return "; ".join(short(sentence) for sentence in sentences[:most]) + more


def percent(rate: float) -> str:
    """A rate as people write it: 0.99 %."""
    return f"{100 * rate:.3g} %" if rate < 0.001 else f"{100 * rate:.2f} %"


def _statement(new: int, tried: int, bound: float, confidence: float) -> str:
    if tried == 0:
        return "nothing is known of the failure rate (no conclusive run beside known failures)"
    return f"the failure rate is below {percent(bound)} with {100 * confidence:g} % confidence ({new} of {tried})"


def _made(made: int, planned: Planned | None) -> list[Finding]:
    """A budget may end a campaign early; one that still runs, or was killed, has shown nothing yet."""
    if planned is None or (made == planned.runs and planned.over and not planned.missing):
        return []
    reason = f"{made} of {planned.runs} that were planned were made"
    if planned.missing:
        lost = f"{made} of {planned.runs} that were planned can be read"
        return [Finding("runs", Verdict.UNKNOWN, f"{lost}; missing or contradictory: {first_of(planned.missing)}")]
    if made > planned.runs:
        return [Finding("runs", Verdict.UNKNOWN, f"{made} runs were made, and only {planned.runs} were planned")]
    if not planned.over:
        return [
            Finding("runs", Verdict.UNKNOWN, f"{reason}: it has not ended; --resume goes on with one that was killed")
        ]
    return [Finding("runs", Verdict.VALID, reason)]


def _invalid(failures: Sequence[Failure], conclusive: int) -> Finding:
    new = [failure for failure in failures if not failure.known]
    known = [failure for failure in failures if failure.known]
    accepted = f"{sum(one.count for one in known)} known failures ({len(known)} in the baseline)" if known else ""
    if new:
        rows = "; ".join(f"{failure.count} x {failure.title}" for failure in new[:5])
        more = f" and {len(new) - 5} more kinds" if len(new) > 5 else ""
        return Finding("failures", Verdict.INVALID, f"{rows}{more}" + (f"; beside {accepted}" if accepted else ""))
    if conclusive == 0:
        return Finding("failures", Verdict.UNKNOWN, "no run was conclusive")
    return Finding("failures", Verdict.VALID, f"no new failure; {accepted}" if accepted else "no failure")


def _rate(new: int, tried: int, bound: float, gate: Gate) -> list[Finding]:
    if gate.max_rate is None:
        return []
    limit = percent(gate.max_rate)
    if bound <= gate.max_rate:
        return [Finding("failure rate", Verdict.VALID, f"{percent(bound)} at most, and {limit} is allowed")]
    more = runs_needed(new, gate.max_rate, gate.confidence) - tried
    reason = f"{percent(bound)} is not excluded, and {limit} is allowed: {more} more runs without a failure would do"
    return [Finding("failure rate", Verdict.UNKNOWN, reason)]


def _silent(rows: Sequence[Row], gate: Gate) -> list[Finding]:
    """The runs that said nothing, as shares of all."""
    counts = counts_of(rows)
    kinds = {
        "unknown": (counts["unknown"] + counts["crash"], gate.max_unknown),
        "inconclusive": (counts["inconclusive"], gate.max_inconclusive),
    }
    findings = []
    for kind, (count, limit) in kinds.items():
        share = count / len(rows) if rows else 0.0
        verdict = Verdict.VALID if share <= limit else Verdict.UNKNOWN
        findings.append(Finding(kind, verdict, f"{count} of {len(rows)} runs, and {percent(limit)} is allowed"))
    return findings


def _coverage(rows: Sequence[Row], wanted: Coverage, cells: Sequence[Cell]) -> list[Finding]:
    """What must have been exercised: each kind of fault in every cell, the rest over the whole campaign."""
    missing = []
    for cell, group in _by_cell(rows, cells).items():
        for kind in faults_asked(cell):
            count = sum(row.faults.get(kind, 0) for row in group)
            if count < wanted.faults:
                missing.append(f"{kind} {count} times in {cell}")
    findings = []
    if wanted.faults:
        reason = (
            f"not {wanted.faults} times: {'; '.join(missing[:5])}"
            if missing
            else f"each {wanted.faults} times at least"
        )
        findings.append(Finding("coverage of faults", Verdict.UNKNOWN if missing else Verdict.VALID, reason))
    totals = {
        "operations": (sum(row.operations.get("total", 0) for row in rows), wanted.operations),
        "leader changes": (sum(row.leader_changes or 0 for row in rows), wanted.leader_changes),
        "minority leader cuts": (sum(row.minority_leader_cuts for row in rows), wanted.minority_leader_cuts),
        "majority leader cuts": (sum(row.majority_leader_cuts for row in rows), wanted.majority_leader_cuts),
    }
    for name, (count, least) in totals.items():
        if least:
            verdict = Verdict.VALID if count >= least else Verdict.UNKNOWN
            findings.append(Finding(f"coverage of {name}", verdict, f"{count}, and {least} are required"))
    return findings


def _by_cell(rows: Iterable[Row], cells: Iterable[Cell]) -> dict[Cell, list[Row]]:
    """The rows of each cell, also of those that have none."""
    groups: dict[Cell, list[Row]] = {cell: [] for cell in cells}
    for row in rows:
        groups.setdefault(row.cell, []).append(row)
    return groups


def _threshold(threshold: Threshold, rows: Sequence[Row]) -> Finding:
    """Every conclusive run that it asks must keep it; the worst one is named."""
    rows = [row for row in rows if threshold.asks(row)]
    measured = [row for row in rows if threshold.kept(row) is not None]
    if not rows:
        return Finding(threshold.text, Verdict.UNKNOWN, "no conclusive run can have such a figure")
    if len(measured) < len(rows):
        without = next(row.run for row in rows if threshold.kept(row) is None)
        reason = f"{len(rows) - len(measured)} of {len(rows)} runs have no such figure: {without}"
        return Finding(threshold.text, Verdict.UNKNOWN, reason)
    worst = threshold.worst(measured)
    broken = sum(not threshold.kept(row) for row in measured)
    reason = f"the worst is {threshold.show(worst)}, in {worst.run}"
    if broken:
        return Finding(threshold.text, Verdict.INVALID, f"{broken} of {len(rows)} runs do not keep it; {reason}")
    return Finding(threshold.text, Verdict.VALID, reason)
