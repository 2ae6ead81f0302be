"""From what was recorded to a verdict: what may be called valid, and what wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from checkers.history import NEMESIS, Event
from checkers.result import Verdict
from harness.judge import Evidence, count_operations, judge
from harness.nemesis import FAULTS
from harness.nemesis.specs import NemesisSpec
from harness.report.text import render, sentence
from harness.test import Test, node_names


def a_test(*nemesis):
    return Test(
        environment="sim",
        nodes=node_names(3),
        workload="register",
        nemesis=tuple(NemesisSpec(name, {}, 5.0) for name in nemesis),
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
KILLED = {"nodes": ["n1"], "told": "n1", "resolved": {"nodes": ["n1"]}, "evidence": {"killed": {"n1": 7}}}
ASKED = {"target": "one"}
KILL = [(NEMESIS, "info", "start-kill", None, ASKED), (NEMESIS, "info", "start-kill", None, KILLED)]
UNSEEN = [
    (NEMESIS, "info", "start-kill", None, ASKED),
    (NEMESIS, "info", "start-kill", None, {**KILLED, "evidence": None}),
]
SERVED = Evidence(unserved=[])


def verdict(test, evidence, *steps):
    return judge(test, evidence, events(*steps), 1).verdict


def test_a_linearizable_history_of_a_cluster_that_recovered_is_valid():
    results = judge(a_test("kill"), SERVED, events(*WRITE, *KILL, *READ), 2)
    assert results.verdict == Verdict.VALID
    assert results.operations == {"total": 2, "ok": 2, "fail": 0, "info": 0}
    assert [(row.fault, row.asked, row.resolved) for row in results.faults] == [("kill", "kill:one", "n1")]
    assert results.checks["nemesis"].reason == "every fault took place and was seen: 1 x kill"
    assert (results.leader_changes, results.seed) == (2, 3)


@pytest.mark.parametrize("fault", [[], KILL, UNSEEN], ids=["never acted", "seen", "not seen"])
def test_a_stale_read_is_invalid_whatever_else_is(fault):
    assert verdict(a_test("kill"), SERVED, *WRITE, *fault, *STALE) == Verdict.INVALID
    assert verdict(a_test("kill"), Evidence(failure="the engine died"), *WRITE, *fault, *STALE) == Verdict.INVALID


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
    assert results.reason == "inconclusive: the nemesis never acted: no pause took place"


def test_a_fault_that_could_not_be_made_makes_the_run_inconclusive_and_says_why():
    failed = events(*WRITE, *KILL)
    failed[-1] = Event(index=3, time=3_000_000_000, type="info", process=NEMESIS, f="start-kill", error="no such node")
    results = judge(a_test("kill"), SERVED, failed, 1)
    assert results.verdict == Verdict.UNKNOWN
    assert results.reason == "inconclusive: kill at 3.0 s could not be made: no such node"


def test_a_window_without_evidence_makes_the_run_inconclusive_whatever_else_was_seen():
    stop = [(NEMESIS, "info", "stop-kill", None, None), (NEMESIS, "info", "stop-kill", None, {"undone": True})]
    recorded = events(*WRITE, *KILL, *stop, *UNSEEN)
    recorded[-2:] = [structs.replace(event, time=12_000_000_000) for event in recorded[-2:]]
    results = judge(a_test("kill"), SERVED, recorded, 1)
    assert results.verdict == Verdict.UNKNOWN
    assert results.reason == "inconclusive: kill at 12.0 s had no effect: of kill:one (n1) nothing was seen"
    assert results.verdict.exit_code == 2
    assert [row.evidence for row in results.faults] == [KILLED["evidence"], None]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"evidence": {"killed": {"n1": 7}, "unseen": ["n2"]}},
            "had not its whole effect at n2: of kill:one (n1) not all was seen there",
        ),
        (
            {"evidence": {"killed": {"n1": 7}}, "lost": "somebody has started n1 again"},
            "did not last until its end: somebody",
        ),
    ],
)
def test_a_window_that_was_seen_in_part_makes_the_run_inconclusive(said, words):
    value = {"undone": True, **said}
    stop = [(NEMESIS, "info", "stop-kill", None, None), (NEMESIS, "info", "stop-kill", None, value)]
    results = judge(a_test("kill"), SERVED, events(*WRITE, *UNSEEN, *stop), 1)
    assert results.verdict == Verdict.UNKNOWN
    assert words in results.reason


def test_every_window_without_evidence_is_told_in_full():
    results = judge(a_test("kill"), SERVED, events(*WRITE, *UNSEEN, *UNSEEN), 1)
    assert results.checks["nemesis"].detail.count("inconclusive: kill at ") == 2
    assert results.checks["nemesis"].detail in render(results, Path("store/run"))


def test_what_cannot_be_done_here_is_reported_as_skipped_and_proves_and_spoils_nothing():
    skipped = {"memory": "sim lacks memory here", "packets:rate": "sim lacks packet-queue here"}
    results = judge(a_test("kill", "memory"), Evidence(unserved=[], skipped=skipped), events(*WRITE, *KILL), 1)
    assert results.verdict == Verdict.VALID
    assert results.skipped == skipped
    assert "memory: sim lacks memory here" in render(results, Path("store/run"))


@pytest.mark.parametrize(
    ("evidence", "words"),
    [(Evidence(failure="the engine died"), "the engine died"), (Evidence(), "before its final phase")],
)
def test_a_run_that_broke_off_is_unknown(evidence, words):
    results = judge(a_test(), evidence, events(*WRITE, *READ), None)
    assert results.verdict == Verdict.UNKNOWN
    assert words in results.reason


def test_what_broke_the_run_off_is_named_before_what_it_kept_from_being_known():
    results = judge(a_test(), Evidence(failure="the engine died"), events(), None)
    assert results.verdict == Verdict.UNKNOWN
    assert "the engine died" in results.reason


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
    results = judge(a_test(*FAULTS), SERVED, events(*WRITE, *reading), None)
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


def library_that_does_not_fit():
    error = OSError("Could not find/load shared object file 'libllvmlite.so'")
    error.add_note("libllvmlite.so: failed to map segment from shared object")
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        OSError("libllvmlite.so: cannot allocate"),
        library_that_does_not_fit(),
    ],
    ids=repr,
)
def test_a_checker_without_memory_is_told_from_one_that_is_broken(monkeypatch, error):
    def crash(workload, history, budget):
        raise error

    monkeypatch.setattr("harness.workloads.register.Register.check", crash)
    results = judge(a_test(), SERVED, events(*WRITE), 1)
    assert results.verdict == Verdict.UNKNOWN
    assert results.reason.startswith("out of memory: ")


def test_a_cluster_that_was_never_healed_is_not_blamed_for_not_recovering():
    stop = [(NEMESIS, "info", "stop-kill", None, None), (NEMESIS, "info", "stop-kill", None, None)]
    recorded = events(*WRITE, *KILL, *stop)
    recorded[-1] = structs.replace(recorded[-1], error="the engine is gone")
    results = judge(a_test("kill"), Evidence(unrecovered="no answer from n1", unserved=[1]), recorded, 1)
    assert results.verdict == Verdict.UNKNOWN
    assert "kill was not healed: the engine is gone" in results.reason
