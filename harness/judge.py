"""The judgement: from what was recorded to a verdict, with its reason and its numbers.

Lives here: which checks there are and how they merge. Must not live here: running anything. A check that could not be
made is `unknown`, so that it cannot come out as valid.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from checkers.budget import Budget
from checkers.history import Event, History
from checkers.result import Result, Verdict, merge
from harness.generator import NEMESIS
from harness.nemesis.base import count_faults, unhealed
from harness.test import Test
from harness.workloads import WORKLOADS


@dataclass
class Evidence:
    """What a session learned besides the history.

    `failure` is what broke the run off; `unrecovered` what kept the healed cluster from being healthy; `unserved` the
    keys that it would not serve, None if the run never got so far.
    """

    failure: str | None = None
    unrecovered: str | None = None
    unserved: Sequence[int] | None = None


class Check(msgspec.Struct, frozen=True):
    """The outcome of one check. `detail` is many lines for people: the failing window, say."""

    verdict: Verdict
    reason: str
    detail: str = ""


class Results(msgspec.Struct, frozen=True):
    """Everything there is to say of a run; `results.json` holds just this."""

    verdict: Verdict
    reason: str
    checks: Mapping[str, Check]
    operations: Mapping[str, int]
    faults: Mapping[str, int]
    leader_changes: int | None
    seed: int
    version: str
    command: str


def judge(test: Test, evidence: Evidence, events: Sequence[Event], leader_changes: int | None) -> Results:
    """The results of a run from everything that is known of it."""
    faults = count_faults([spec.name for spec in test.nemesis], events)
    checks = {
        "linearizable": _linearizable(test, events),
        "recovery": _recovery(test, evidence, events),
        "nemesis": _nemesis(faults),
    }
    verdict = merge(check.verdict for check in checks.values())
    # The first check that has the merged verdict names the reason: the history comes before all else.
    reason = next(check.reason for check in checks.values() if check.verdict == verdict)
    return Results(
        verdict=verdict,
        reason=reason,
        checks=checks,
        operations=count_operations(events),
        faults=faults,
        leader_changes=leader_changes,
        seed=test.seed,
        version=test.version,
        command=test.command(),
    )


def count_operations(events: Sequence[Event]) -> dict[str, int]:
    """How many client operations there were, and how many of them ended `ok`, `fail` and `info`."""
    types = Counter(event.type for event in events if event.process != NEMESIS)
    ended = types["ok"] + types["fail"]
    return {"total": types["invoke"], "ok": types["ok"], "fail": types["fail"], "info": types["invoke"] - ended}


def _linearizable(test: Test, events: Sequence[Event]) -> Check:
    try:
        history = History.of_events(events, "history.jsonl")
        result: Result = WORKLOADS[test.workload].check(history, Budget(seconds=test.check_limit_s))
    except Exception as error:  # noqa: BLE001 - whatever it is, a check that crashed proves nothing
        return Check(Verdict.UNKNOWN, f"the checker crashed: {error!r}", traceback.format_exc())
    return Check(result.verdict, result.reason, result.violation.render() if result.violation else "")


def _recovery(test: Test, evidence: Evidence, events: Sequence[Event]) -> Check:
    """Did the healed cluster come back and serve: liveness, as opposed to safety."""
    if evidence.failure is not None:
        return Check(Verdict.UNKNOWN, f"the run broke off: {evidence.failure}")
    for fault, error in unhealed([spec.name for spec in test.nemesis], events).items():
        return Check(Verdict.UNKNOWN, f"whether the cluster recovers is not known: {fault} was not healed: {error}")
    if evidence.unserved is None:
        return Check(Verdict.UNKNOWN, "the run ended before its final phase")
    limit = f"{test.recovery_limit_s:g} s after the last fault was healed"
    if evidence.unrecovered is not None:
        return Check(Verdict.INVALID, f"liveness: the cluster was not healthy {limit}: {evidence.unrecovered}")
    if evidence.unserved:
        keys = ", ".join(map(str, evidence.unserved[:5]))
        return Check(Verdict.INVALID, f"liveness: {len(evidence.unserved)} keys were not served {limit}: {keys}")
    return Check(Verdict.VALID, "the healed cluster served every register")


def _nemesis(faults: Mapping[str, int]) -> Check:
    idle = [name for name, count in faults.items() if count == 0]
    if idle:
        return Check(Verdict.UNKNOWN, f"the nemesis never acted: no {' and no '.join(idle)} took place")
    if not faults:
        return Check(Verdict.VALID, "no faults were asked for")
    return Check(Verdict.VALID, "every kind of fault took place: " + ", ".join(f"{n} x {f}" for f, n in faults.items()))
