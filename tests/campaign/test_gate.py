"""The gate: what it lets pass, what not, and what it says that the runs support."""

from __future__ import annotations

import msgspec
import pytest

from checkers.result import Verdict
from harness.campaign.gate import Planned, decide
from harness.campaign.plan import Coverage, Gate
from harness.campaign.thresholds import parse_threshold
from harness.signature import Signature
from night import CELL, STALE, figures

LOST = Signature("linearizable", "no order explains it", "read after write")


def finding(decision, check):
    return next(one for one in decision.findings if one.check == check)


def test_sound_runs_pass_with_the_statement_that_they_support(rows):
    decision = decide(rows.many(300), Gate())
    assert decision.passed
    assert decision.statement == "the failure rate is below 0.99 % with 95 % confidence (0 of 300)"


def test_an_invalid_run_fails_it_always(rows):
    decision = decide([*rows.many(10_000), rows("invalid")], Gate(max_rate=0.5))
    assert decision.verdict is Verdict.INVALID
    assert "1 x linearizable: a version goes back (read)" in finding(decision, "failures").reason


def test_one_bug_is_one_row_however_often_it_shows(rows):
    decision = decide([*rows.many(20), *rows.many(30, "invalid"), *rows.many(2, "invalid", signature=LOST)], Gate())
    assert [(one.signature, one.count) for one in decision.failures] == [(STALE, 30), (LOST, 2)]


def test_what_is_in_the_baseline_passes_and_is_said(rows):
    mixed = [*rows.many(300), *rows.many(300, "invalid")]
    decision = decide(mixed, Gate(), {STALE})
    assert decision.passed
    assert finding(decision, "failures").reason == "no new failure; 300 known failures (1 in the baseline)"
    assert decision.statement.endswith("(0 of 300)"), "a known failure says nothing of what is not known"


def test_another_failure_fails_it_beside_known_ones(rows):
    decision = decide([*rows.many(5, "invalid"), rows("invalid", signature=LOST)], Gate(), {STALE})
    assert decision.verdict is Verdict.INVALID
    assert decision.new_failures == 1
    assert [one.known for one in decision.failures] == [False, True]


def test_a_failure_without_a_signature_is_never_known(rows):
    assert decide([rows("invalid", signature=None)], Gate(), {STALE}).verdict is Verdict.INVALID


def test_only_conclusive_runs_count_towards_the_rate(rows):
    silent = [*rows.many(5, "unknown"), *rows.many(5, "crash"), *rows.many(5, "inconclusive")]
    decision = decide([*rows.many(300), *silent], Gate())
    assert decision.statement.endswith("(0 of 300)")
    assert decision.conclusive == 300


def test_runs_that_were_interrupted_do_not_count_at_all(rows):
    decision = decide([*rows.many(3), *rows.many(50, "interrupted"), *rows.many(50, "incomplete")], Gate())
    assert decision.passed
    assert sum(decision.counts.values()) == 3


def test_no_runs_do_not_pass():
    decision = decide([], Gate())
    assert decision.verdict is Verdict.UNKNOWN
    assert "no conclusive run" in decision.statement


def test_how_many_more_runs_a_rate_would_need(rows):
    decision = decide(rows.many(100), Gate(max_rate=0.01))
    assert decision.verdict is Verdict.UNKNOWN
    assert "199 more runs" in finding(decision, "failure rate").reason
    assert decide(rows.many(299), Gate(max_rate=0.01)).passed


@pytest.mark.parametrize(("verdict", "check"), [("unknown", "unknown"), ("crash", "unknown"), ("inconclusive",) * 2])
def test_runs_that_say_nothing_are_bounded(rows, verdict, check):
    limits = Gate(max_unknown=0.1, max_inconclusive=0.1)
    assert decide([*rows.many(90), *rows.many(10, verdict)], limits).passed
    decision = decide([*rows.many(89), *rows.many(11, verdict)], limits)
    assert decision.verdict is Verdict.UNKNOWN
    assert "11 of 100 runs" in finding(decision, check).reason


# -- coverage


def test_each_fault_that_a_cell_asks_for_must_be_attested_in_it(rows):
    bare = rows.many(10, faults={"partition": 3})
    decision = decide(bare, Gate())
    assert decision.verdict is Verdict.UNKNOWN
    assert f"kill 0 times in {CELL}" in finding(decision, "coverage of faults").reason
    assert decide([*bare, rows()], Gate()).passed
    assert not decide([*bare, rows()], Gate(coverage=Coverage(faults=2))).passed
    assert decide(bare, Gate(coverage=Coverage(faults=0))).passed


def test_a_cell_that_has_no_run_is_not_covered(rows):
    other = msgspec.structs.replace(CELL, nodes=99)
    decision = decide(rows.many(10), Gate(), planned=Planned([CELL, other], 20))
    assert decision.verdict is Verdict.UNKNOWN
    assert f"partition 0 times in {other}" in finding(decision, "coverage of faults").reason
    assert finding(decision, "runs").reason == "10 of 20 that were planned were made"


def test_a_budget_that_ends_a_campaign_early_is_said_and_one_that_has_not_ended_does_not_pass(rows):
    early = decide(rows.many(10), Gate(), planned=Planned([CELL], 20))
    assert early.passed
    assert early.planned == 20
    unended = decide(rows.many(10), Gate(), planned=Planned([CELL], 20, over=False))
    assert unended.verdict is Verdict.UNKNOWN
    assert "has not ended" in finding(unended, "runs").reason


@pytest.mark.parametrize(
    ("field", "value"),
    [("operations", 201), ("leader_changes", 7), ("minority_leader_cuts", 1), ("majority_leader_cuts", 5)],
)
def test_what_must_have_been_exercised(rows, field, value):
    two = [rows(majority_leader_cuts=2), rows(majority_leader_cuts=2)]
    decision = decide(two, Gate(coverage=Coverage(**{field: value})))
    assert decision.verdict is Verdict.UNKNOWN
    more = rows(minority_leader_cuts=1, majority_leader_cuts=1)
    assert decide([*two, more], Gate(coverage=Coverage(**{field: value}))).passed


# -- thresholds


@pytest.mark.parametrize(
    ("text", "kept", "broken"),
    [
        ("p99<500ms", {"p99_ms": 499.0}, {"p99_ms": 500.0}),
        ("p99<=0.5s", {"p99_ms": 500.0}, {"p99_ms": 501.0}),
        ("availability>99%", {"availability": 0.991}, {"availability": 0.99}),
        ("recovery<10s", {"recovery_s": 9.9}, {"recovery_s": 10.1}),
        ("rate >= 50/s", {"rate": 50.0}, {"rate": 49.0}),
        ("max<2min", {"max_ms": 119e3}, {"max_ms": 121e3}),
    ],
)
def test_a_threshold_holds_of_every_run(rows, text, kept, broken):
    good = rows.many(3, statistics=figures(**kept))
    assert decide(good, Gate(thresholds=[text])).passed
    bad = rows(statistics=figures(**broken))
    decision = decide([*good, bad], Gate(thresholds=[text]))
    assert decision.verdict is Verdict.INVALID
    assert bad.run in decision.findings[-1].reason
    assert "1 of 4 runs" in decision.findings[-1].reason


def test_a_figure_that_is_not_there_is_not_passed(rows):
    decision = decide([rows(), rows(statistics=figures(recovery_s=None))], Gate(thresholds=["recovery<10s"]))
    assert decision.verdict is Verdict.UNKNOWN
    assert decide([rows(statistics=None)], Gate(thresholds=["p99<1s"])).verdict is Verdict.UNKNOWN


def test_recovery_is_asked_only_of_runs_with_a_fault_to_recover_from(rows):
    calm = rows.many(
        3, cell=msgspec.structs.replace(CELL, nemesis="none"), faults={}, statistics=figures(recovery_s=None)
    )
    limit = Gate(thresholds=["recovery<10s"])
    assert decide([*calm, rows()], limit).passed
    assert decide([*calm, rows(), rows(statistics=figures(recovery_s=None))], limit).verdict is Verdict.UNKNOWN
    assert decide(calm, limit).verdict is Verdict.UNKNOWN, "of no run it is known"


@pytest.mark.parametrize("text", ["p99", "p99<", "p9<5ms", "p99<5%", "availability>5ms", "p99<ms", "p99=5ms"])
def test_what_is_no_threshold_says_what_would_be(text):
    with pytest.raises(ValueError, match=r"metrics:|is in"):
        parse_threshold(text)


def test_bad_beats_not_shown(rows):
    decision = decide([rows("invalid"), *rows.many(9, "unknown")], Gate(max_rate=0.001))
    assert decision.verdict is Verdict.INVALID
