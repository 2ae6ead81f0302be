"""What a run directory says, in whatever shape its version has written it."""

from __future__ import annotations

import json

import pytest

from checkers.history import NEMESIS, Event
from harness.campaign.facts import read_facts, side_of
from harness.campaign.settle import row_of_directory
from harness.recorder import Recorder

CHECKS = {"linearizable": {"verdict": "valid", "reason": "it is", "detail": ""}}
CUT_OFF = {"drops": {"n1": ["n2", "n3"], "n2": ["n1"], "n3": ["n1"]}}
ASIDE = {"drops": {"n3": ["n1", "n2"], "n1": ["n3"], "n2": ["n3"]}}
S = 1_000_000_000


@pytest.fixture
def run(tmp_path):
    """A function: a run directory with these results, in which one read took place at eleven seconds."""

    def run(faults, **results):
        recorder = Recorder(tmp_path / "history.jsonl")
        steps = [
            (1, NEMESIS, "info", "start-partition", {"shape": "leader"}),
            (2, NEMESIS, "info", "start-partition", cut(CUT_OFF, {"packets": 12})),
            (8, NEMESIS, "info", "stop-partition", None),
            (9, NEMESIS, "info", "stop-partition", {"undone": True}),
            (9, NEMESIS, "info", "start-partition", {"shape": "one"}),
            (9, NEMESIS, "info", "start-partition", cut(ASIDE, {"packets": 3})),
            (9, NEMESIS, "info", "stop-partition", None),
            (9, NEMESIS, "info", "stop-partition", {"undone": True}),
            (9, NEMESIS, "info", "start-partition", {"shape": "one"}),
            (9, NEMESIS, "info", "start-partition", cut(ASIDE, None)),
            (10, 0, "invoke", "read", None),
            (11, 0, "ok", "read", None),
        ]
        for index, (second, process, type_, f, value) in enumerate(steps):
            recorder.record(Event(index=index, time=second * S, type=type_, process=process, f=f, value=value))
        recorder.close()
        (tmp_path / "test.json").write_text(json.dumps({"nodes": ["n1", "n2", "n3"], "seed": 1}))
        saved = {"verdict": "valid", "reason": "it is", "checks": CHECKS, "faults": faults, **results}
        (tmp_path / "results.json").write_text(json.dumps(saved))
        return tmp_path

    return run


def cut(resolved, evidence):
    """What a partition's completion says in the history."""
    return {"resolved": resolved, "leaders": ["n1"], "evidence": evidence}


def window(begin, end, evidence, fault="partition"):
    return {"fault": fault, "asked": fault, "resolved": "n1", "begin": begin, "end": end, "evidence": evidence}


def test_faults_as_windows_with_their_evidence(run):
    rows = [
        window(2.0, 9.0, {"packets": 12}),
        window(9.2, 9.4, {"packets": 3}),
        window(9.5, 9.75, None),
        window(9.8, None, None, fault="kill"),
    ]
    facts = read_facts(run(rows))
    assert facts.results.attested() == {"partition": 2, "kill": 0}
    assert (facts.minority_leader_cuts, facts.majority_leader_cuts) == (1, 1), "what is not attested is not counted"
    healed = read_facts(run(rows[:3]))
    assert healed.statistics.recovery_s == 1.25, "the windows are those of the results"


@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ({}, "valid"),
        ({"verdict": "invalid"}, "invalid"),
        ({"verdict": "unknown"}, "unknown"),
        ({"verdict": "unknown", "checks": {**CHECKS, "nemesis": {"verdict": "unknown"}}}, "inconclusive"),
        (
            {
                "verdict": "unknown",
                "checks": {"linearizable": {"verdict": "unknown"}, "nemesis": {"verdict": "unknown"}},
            },
            "unknown",
        ),
    ],
)
def test_a_run_is_inconclusive_if_only_its_faults_stand_in_the_way(run, results, outcome):
    assert read_facts(run([], **results)).results.outcome == outcome


def test_a_run_whose_check_had_no_memory_is_a_row_that_says_so(run, tmp_path):
    reason = "out of memory: MemoryError()"
    checks = {"linearizable": {"verdict": "unknown", "reason": reason}, "recovery": {"verdict": "valid"}}
    path = run([], verdict="unknown", reason=reason, checks=checks)
    row = row_of_directory(tmp_path.parent, path)
    assert (row.verdict, row.ended, row.reason) == ("crash", "out of memory", reason)


def test_the_signature_is_that_of_the_first_check_that_failed(run):
    checks = {**CHECKS, "recovery": {"verdict": "invalid", "reason": "liveness: 3 keys were not served"}}
    assert str(read_facts(run([], verdict="invalid", checks=checks)).results.signature).startswith("recovery: liveness")


@pytest.mark.parametrize("faults", [["partition"], {"partition": "often"}, 7, None, [{"kind": "partition"}]])
def test_faults_in_a_shape_of_later_versions_are_no_crash(run, faults):
    facts = read_facts(run(faults))
    assert facts.results.attested() == {}
    assert facts.results.outcome == "valid"


def test_a_history_that_is_cut_off_or_gone_leaves_the_verdict(run):
    path = run({})
    with (path / "history.jsonl").open("ab") as file:
        file.write(b'{"index":9,"ti')
    assert read_facts(path).statistics.operations == 1
    (path / "history.jsonl").unlink()
    assert read_facts(path).statistics is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"verdict": "splendid", "reason": ""}', '{"reason": "x"}'])
def test_without_results_that_make_sense_it_has_not_ended(run, text):
    path = run({})
    (path / "results.json").write_text(text)
    assert read_facts(path) is None


@pytest.mark.parametrize(
    ("drops", "side"),
    [
        ({"n1": ["n2", "n3"], "n2": ["n1"], "n3": ["n1"]}, "minority"),
        ({"n2": ["n1", "n3"], "n1": ["n2"], "n3": ["n2"]}, "majority"),
        ({"n2": ["n1"], "n3": ["n1"]}, "minority"),
        ({"n2": ["n3"]}, "majority"),
    ],
    ids=["cut off", "another one is", "its own packets are dropped", "not concerned"],
)
def test_the_side_of_a_leader_is_counted_by_whom_it_talks_with_both_ways(drops, side):
    assert side_of("n1", drops, 3) == side


def test_half_of_the_nodes_are_no_majority():
    assert side_of("n1", {"n1": ["n3", "n4"]}, 4) == "minority"
