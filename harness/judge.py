"""The judgement: from what was recorded to a verdict, with its reason and its numbers.

Lives here: which checks there are and how they merge. Must not live here: running anything. A check that could not be
made is `unknown`, so that it cannot come out as valid.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from checkers.budget import Budget
from checkers.history import NEMESIS, Event, History
from checkers.result import Result, Verdict, merge
from harness.nemesis.fault import unseen
from harness.nemesis.windows import FaultRow, fault_rows, troubles_at_the_end
from harness.shortage import OUT_OF_MEMORY, is_shortage
from harness.store import HISTORY
from harness.test import Test
from harness.workloads import WORKLOADS


@dataclass
class Evidence:
    """What a session learned besides the history.

    `failure` is what broke the run off; `unrecovered` what kept the healed cluster from being healthy; `unserved` the
    keys that it would not serve, None if the run never got so far; `skipped` the faults that could not be done here,
    with the reason; `digest` that of a run that a seed makes again.
    """

    failure: str | None = None
    unrecovered: str | None = None
    unserved: Sequence[int] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None


class Check(msgspec.Struct, frozen=True):
    """The outcome of one check. `detail` is many lines for people: the failing window, say."""

    verdict: Verdict
    reason: str
    detail: str = ""


class Results(msgspec.Struct, frozen=True):
    """Everything there is to say of a run; `results.json` holds just this. One row a window in `faults`.

    `digest` is equal for two simulated runs in which everything happened alike; None on real nodes.
    """

    verdict: Verdict
    reason: str
    checks: Mapping[str, Check]
    operations: Mapping[str, int]
    faults: Sequence[FaultRow]
    skipped: Mapping[str, str]
    leader_changes: int | None
    seed: int
    version: str
    command: str
    digest: str | None = None


def judge(
    test: Test, evidence: Evidence, events: Sequence[Event], leader_changes: int | None, run: str = "RUN"
) -> Results:
    """The results of a run from everything that is known of it. `run` is where it is kept."""
    names = [spec.name for spec in test.nemesis]
    faults = fault_rows(names, events)
    checks = {
        "linearizable": _linearizable(test, events),
        "recovery": _recovery(test, evidence, events),
        "nemesis": _nemesis([name for name in names if name not in evidence.skipped], faults),
    }
    verdict = merge(check.verdict for check in checks.values())
    # The first check that has the merged verdict names the reason: the history comes before all else, but behind what
    # broke the run off.
    first = [checks["recovery"]] if evidence.failure is not None else []
    reason = next(check.reason for check in (*first, *checks.values()) if check.verdict == verdict)
    return Results(
        verdict=verdict,
        reason=reason,
        checks=checks,
        operations=count_operations(events),
        faults=faults,
        skipped=evidence.skipped,
        leader_changes=leader_changes,
        seed=test.seed,
        version=test.version,
        command=test.command(run),
        digest=evidence.digest,
    )


def count_operations(events: Sequence[Event]) -> dict[str, int]:
    """How many client operations there were, and how many of them ended `ok`, `fail` and `info`."""
    types = Counter(event.type for event in events if event.process != NEMESIS)
    ended = types["ok"] + types["fail"]
    return {"total": types["invoke"], "ok": types["ok"], "fail": types["fail"], "info": types["invoke"] - ended}


def _linearizable(test: Test, events: Sequence[Event]) -> Check:
    try:
        history = History.of_events(events, HISTORY)
        result: Result = WORKLOADS[test.workload].check(history, Budget(seconds=test.check_limit_s))
    except Exception as error:  # noqa: BLE001 - whatever it is, a check that crashed proves nothing
        trace = traceback.format_exc()
        how = OUT_OF_MEMORY if is_shortage(trace) else "the checker crashed"
        return Check(Verdict.UNKNOWN, f"{how}: {error!r}", trace)
    return Check(result.verdict, result.reason, result.violation.render() if result.violation else "")


def _recovery(test: Test, evidence: Evidence, events: Sequence[Event]) -> Check:
    """Did the healed cluster come back and serve: liveness, as opposed to safety."""
    if evidence.failure is not None:
        return Check(Verdict.UNKNOWN, f"the run broke off: {evidence.failure}")
    if troubles := troubles_at_the_end([spec.name for spec in test.nemesis], events):
        fault, error = next(iter(troubles.items()))
        return Check(Verdict.UNKNOWN, f"whether the cluster recovers is not known: {fault} was not healed: {error}")
    if evidence.unserved is None:
        return Check(Verdict.UNKNOWN, "the run ended before its final phase")
    limit = f"{test.recovery_limit_s:g} s after the last " + ("fault was healed" if test.nemesis else "operation")
    if evidence.unrecovered is not None:
        return Check(Verdict.INVALID, f"liveness: the cluster was not healthy {limit}: {evidence.unrecovered}")
    if evidence.unserved:
        keys = ", ".join(map(str, evidence.unserved[:5]))
        return Check(Verdict.INVALID, f"liveness: {len(evidence.unserved)} keys were not served {limit}: {keys}")
    return Check(Verdict.VALID, "the healed cluster served every register")


def _count_faults(names: Sequence[str], faults: Sequence[FaultRow]) -> dict[str, int]:
    """How many windows of each fault there were."""
    counts = Counter(row.fault for row in faults)
    return {name: counts[name] for name in names}


def _nemesis(names: Sequence[str], faults: Sequence[FaultRow]) -> Check:
    """Did the faults take place, and was each of them seen: else the run is inconclusive, which is unknown."""
    counts = _count_faults(names, faults)
    idle = [name for name, count in counts.items() if count == 0]
    if idle:
        return Check(Verdict.UNKNOWN, f"inconclusive: the nemesis never acted: no {' and no '.join(idle)} took place")
    unproved = [f"inconclusive: {_without_effect(row)}" for row in faults if not row.proved]
    if unproved:
        return Check(Verdict.UNKNOWN, unproved[0], "\n".join(unproved))
    if not counts:
        return Check(Verdict.VALID, "no faults were asked for")
    took_place = ", ".join(f"{count} x {name}" for name, count in counts.items())
    return Check(Verdict.VALID, f"every fault took place and was seen: {took_place}")


def _without_effect(row: FaultRow) -> str:
    what = f"{row.fault} at {row.begin:.1f} s"
    if row.trouble is not None:
        return f"{what} could not be made: {row.trouble}"
    if row.lost is not None:
        return f"{what} did not last until its end: {row.lost}"
    of = f"of {row.asked} ({row.resolved})"
    if row.evidence:
        where = ", ".join(unseen(row.evidence))
        return f"{what} had not its whole effect at {where}: {of} not all was seen there"
    return f"{what} had no effect: {of} nothing was seen"
