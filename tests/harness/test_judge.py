"""From what was recorded to a verdict: what may be called valid, and what wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from checkers.history import Event
from checkers.result import Verdict
from harness.generator import NEMESIS
from harness.judge import Evidence, count_operations, judge
from harness.nemesis import PACKAGES
from harness.report.text import render, sentence
from harness.test import NemesisSpec, Test, node_names


def a_test(*nemesis):
    return Test(
        environment="sim",
        nodes=node_names(3),
        workload="register",
        nemesis=tuple(NemesisSpec(name, 5.0) for name in nemesis),
        time_limit_s=10.0,
        rate=10.0,
        concurrency=2,
        seed=3,
    )


def events(*steps):
    """Events from (process, type, f, key, value and perhaps version)."""
    made = []
    for process, type_, f, key, value, *version in steps:
        fields = {"version": version[0]} if version else {}
        made.append(
            Event(index=len(made), time=len(made), type=type_, process=process, f=f, key=key, value=value, **fields)
        )
    return made


WRITE = [(0, "invoke", "write", 1, 5), (0, "ok", "write", 1, 5, 1)]
READ = [(1, "invoke", "read", 1, None), (1, "ok", "read", 1, 5, 1)]
STALE = [(1, "invoke", "read", 1, None), (1, "ok", "read", 1, None, 0)]
KILL = [(NEMESIS, "info", "start-kill", None, "one"), (NEMESIS, "info", "start-kill", None, {"nodes": ["n1"]})]
SERVED = Evidence(unserved=[])


def verdict(test, evidence, *steps):
    return judge(test, evidence, events(*steps), 1).verdict


def test_a_linearizable_history_of_a_cluster_that_recovered_is_valid():
    results = judge(a_test("kill"), SERVED, events(*WRITE, *KILL, *READ), 2)
    assert results.verdict == Verdict.VALID
    assert results.operations == {"total": 2, "ok": 2, "fail": 0, "info": 0}
    assert results.faults == {"kill": 1}
    assert (results.leader_changes, results.seed) == (2, 3)


@pytest.mark.parametrize("faults", [(), ("kill",)])
def test_a_stale_read_is_invalid_whatever_else_is(faults):
    assert verdict(a_test(*faults), SERVED, *WRITE, *KILL, *STALE) == Verdict.INVALID
    assert verdict(a_test(*faults), Evidence(failure="the engine died"), *WRITE, *STALE) == Verdict.INVALID


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [(0, "invoke", "write", 1, 5)],
        [(0, "invoke", "write", 1, 5), (0, "info", "write", 1, 5)],
        [(0, "invoke", "write", 1, 5), (0, "fail", "write", 1, 5)],
    ],
    ids=["nothing", "never returned", "info", "fail"],
)
def test_where_no_operation_completed_nothing_is_known(steps):
    assert verdict(a_test(), SERVED, *steps) == Verdict.UNKNOWN


def test_a_nemesis_that_never_acted_proves_nothing():
    results = judge(a_test("kill", "pause"), SERVED, events(*WRITE, *KILL), 1)
    assert results.verdict == Verdict.UNKNOWN
    assert results.reason == "the nemesis never acted: no pause took place"


def test_a_fault_that_failed_did_not_take_place():
    failed = events(*WRITE, *KILL)
    failed[-1] = Event(index=3, time=3, type="info", process=NEMESIS, f="start-kill", error="no such node")
    assert judge(a_test("kill"), SERVED, failed, 1).verdict == Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("evidence", "words"),
    [(Evidence(failure="the engine died"), "the engine died"), (Evidence(), "before its final phase")],
)
def test_a_run_that_broke_off_is_unknown(evidence, words):
    results = judge(a_test(), evidence, events(*WRITE, *READ), None)
    assert results.verdict == Verdict.UNKNOWN
    assert words in results.reason


@pytest.mark.parametrize(
    "evidence", [Evidence(unserved=[7]), Evidence(unrecovered="2 nodes lead: n1, n2", unserved=[])]
)
def test_a_cluster_that_does_not_come_back_violates_liveness(evidence):
    results = judge(a_test(), evidence, events(*WRITE, *READ), 1)
    assert results.verdict == Verdict.INVALID
    assert results.reason.startswith("liveness: ")
    assert "the cluster did not recover" in sentence(results)


def test_a_violation_of_safety_is_named_before_one_of_liveness():
    results = judge(a_test(), Evidence(unserved=[7]), events(*WRITE, *STALE), 1)
    assert not results.reason.startswith("liveness")
    assert "no single correct copy" in sentence(results)


def test_operations_are_counted_by_how_they_ended_and_the_nemesis_is_not():
    steps = events(
        *WRITE,
        *KILL,
        (0, "invoke", "cas", 1, [5, 6]),
        (0, "fail", "cas", 1, [5, 6]),
        (0, "invoke", "write", 1, 7),
        (0, "info", "write", 1, 7),
        (2, "invoke", "write", 1, 8),
    )
    assert count_operations(steps) == {"total": 4, "ok": 1, "fail": 1, "info": 2}


@pytest.mark.parametrize("reading", [READ, STALE])
def test_the_report_ends_with_the_verdict_in_one_sentence(reading):
    results = judge(a_test(*PACKAGES), SERVED, events(*WRITE, *reading), None)
    text = render(results, Path("store/run"))
    assert text.splitlines()[-1] == sentence(results)
    assert text.splitlines()[-1].startswith(f"{results.verdict}: ")
    assert results.command in text
    assert "store/run" in text
    assert ("shortest failing window" in text) == (reading is STALE)


def test_a_checker_that_crashes_proves_nothing_and_the_results_say_so(monkeypatch):
    def crash(workload, history, budget):
        raise RecursionError("too deep")

    monkeypatch.setattr("harness.workloads.register.Register.check", crash)
    results = judge(a_test(), SERVED, events(*WRITE), 1)
    assert results.verdict == Verdict.UNKNOWN
    assert "the checker crashed: RecursionError" in results.reason


def test_a_cluster_that_was_never_healed_is_not_blamed_for_not_recovering():
    stop = [(NEMESIS, "info", "stop-kill", None, None), (NEMESIS, "info", "stop-kill", None, None)]
    recorded = events(*WRITE, *KILL, *stop)
    recorded[-1] = structs.replace(recorded[-1], error="the engine is gone")
    results = judge(a_test("kill"), Evidence(unrecovered="no answer from n1", unserved=[1]), recorded, 1)
    assert results.verdict == Verdict.UNKNOWN
    assert "kill was not healed: the engine is gone" in results.reason
