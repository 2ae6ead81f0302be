"""Assertions and strategies: what a message says, what the strategies make, and to what a failure shrinks."""

from __future__ import annotations

import re

import pytest
from hypothesis import Phase, given, settings
from hypothesis import find as find_example

from checkers import History, HistoryError, Operation, Verdict, check, models
from checkers.result import Result
from harness.errors import UsageError
from harness.nemesis import FAULTS
from harness.nemesis.script import problems
from harness.testing import assert_linearizable, define, simulate
from harness.testing.strategies import histories, linearizable_histories, schedules

STALE = [
    Operation(process=0, f="write", value=1, call_time=0, return_time=10),
    Operation(process=1, f="write", value=2, call_time=20, return_time=30),
    Operation(process=2, f="read", result=1, call_time=40, return_time=50),
]

# -- assert_linearizable


def test_what_is_linearizable_passes_whatever_it_is_given_as():
    assert_linearizable(STALE[:2], "register")
    assert_linearizable(tuple(STALE[:2]), models.register())
    assert_linearizable(History.of_operations(STALE[:2]))


def test_the_message_has_the_window_and_the_reason():
    with pytest.raises(AssertionError) as failure:
        assert_linearizable(STALE, "register")
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("not linearizable as a register: 2: read -> 1 cannot be placed")
    assert lines[1] == "shortest failing window: 2 of 3 operations"
    assert lines[3] == "  > 40 .. 50  2: read -> 1"
    assert "the only possible state when it returned was 2" in lines[4]


def test_what_is_not_decided_is_not_asserted(monkeypatch):
    undecided = Result(verdict=Verdict.UNKNOWN, reason="the time budget is spent", engine="search", operations=3)
    monkeypatch.setattr("harness.testing.linearizable.check", lambda *history, budget: undecided)
    with pytest.raises(AssertionError, match="not known to be linearizable as a register: the time budget is spent"):
        assert_linearizable(STALE, "register", seconds=1)


@pytest.mark.parametrize("nothing", [[], [Operation(process=0, f="write", value=1, call_time=0, status="info")]])
def test_a_history_in_which_nothing_completed_makes_no_test_pass(nothing):
    with pytest.raises(AssertionError, match="not known to be linearizable as a register: no operation completed"):
        assert_linearizable(nothing, "register")


@given(linearizable_histories())
def test_what_is_drawn_as_linearizable_can_be_asserted(operations):
    assert_linearizable(operations, "cas-register")


def test_what_cannot_be_judged_is_no_failed_assertion():
    with pytest.raises(HistoryError):
        assert_linearizable([Operation(f="read", call_time=2, return_time=1)])
    with pytest.raises(models.ModelError):
        assert_linearizable(STALE, "gremlin")


# -- definitions and runs


def test_a_definition_is_in_the_words_of_the_command_line():
    test = define(seed=3, nodes=3, nemesis="partition:leader,kill", interval=2, time_limit=4, mutant="Q1")
    assert test.command() == (
        "splitbrain run --env sim --nodes 3 --workload register --nemesis partition:leader:interval=2,kill:interval=2 "
        "--time-limit 4 --rate 200 --concurrency 6 --seed 3 --mutant Q1"
    )


def test_a_definition_says_what_is_wrong_with_it():
    with pytest.raises(UsageError, match="there is no such fault"):
        define(seed=1, nemesis="gremlins")
    with pytest.raises(UsageError, match=r"schedule: .*begin_ns"):
        define(seed=1, schedule=[{"fault": "kill"}])


def test_a_simulation_repeats_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, again = (simulate(seed=5, nodes=3, nemesis="kill", interval=1, time_limit=2, rate=50) for _ in range(2))
    assert one.results.digest == again.results.digest
    assert one.directory is one.artefact is None
    one.assert_valid()
    assert_linearizable(one.history, "versioned-register")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_simulation_says_how_to_have_it_again():
    run = simulate(seed=1, nodes=3, nemesis="partition:leader", interval=2, time_limit=6, rate=400, mutant="Q1")
    with pytest.raises(AssertionError, match=r"invalid: key .*\n(.*\n)*to run again   splitbrain run --env sim .*Q1"):
        run.assert_valid()


# -- histories


@settings(max_examples=200)
@given(linearizable_histories())
def test_histories_that_are_made_linearizable_are(operations):
    assert check(operations, "cas-register").verdict is Verdict.VALID
    assert all(operation.status == "info" for operation in operations if operation.return_time is None)


@settings(max_examples=50)
@given(linearizable_histories(cas=False))
def test_without_cas_a_plain_register_will_do(operations):
    assert {operation.f for operation in operations} <= {"read", "write"}
    assert check(operations, "register").verdict is Verdict.VALID


@settings(max_examples=100)
@given(histories())
def test_a_process_does_one_thing_at_a_time(operations):
    ends: dict[int, float] = {}
    for operation in operations:
        assert operation.call_time > ends.get(operation.process, -1)
        ends[operation.process] = float("inf") if operation.return_time is None else operation.return_time


@pytest.mark.parametrize("verdict", [Verdict.VALID, Verdict.INVALID])
def test_arbitrary_histories_are_of_both_kinds_and_shrink_to_a_few_operations(verdict):
    """One would do; but which of the smaller ones hypothesis tries is not for us to say: so always from one seed."""
    found = find_example(
        histories(),
        lambda operations: check(operations, "cas-register").verdict is verdict,
        settings=settings(derandomize=True, database=None),
    )
    assert len(found) <= 3


def test_what_a_failure_shows_is_what_a_user_would_have_written():
    def shown(strategy):
        @settings(database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
        @given(strategy)
        def it_is_empty(drawn):
            assert not drawn

        with pytest.raises(AssertionError) as failure:
            it_is_empty()
        # Where CI is set, hypothesis says as well how to have it again.
        note = next(note for note in failure.value.__notes__ if "drawn=" in note)
        return note.split("drawn=")[1].rpartition(",")[0]

    for strategy in (histories(), linearizable_histories()):
        assert re.fullmatch(r"\[Operation\(f='\w+',( \w+=[\w']+,?)*\)\]", shown(strategy)), shown(strategy)
        assert "_rank" not in shown(strategy)
    assert re.match(r"\(\s*FaultWindow\(fault='partition', begin_ns=0, ", shown(schedules(["partition"], seconds=4)))


# -- schedules


@settings(max_examples=200)
@given(schedules(list(FAULTS.keys() - {"memory"}), seconds=5, most=8))
def test_every_schedule_can_be_issued(schedule):
    assert problems(schedule) == []
    assert len(schedule) <= 8
    assert all(window.begin_ns < 5e9 for window in schedule)


def test_a_fault_that_the_simulator_lacks_is_refused():
    with pytest.raises(ValueError, match="memory: the simulator has partition"):
        schedules(["memory"], seconds=5)


def test_a_schedule_shrinks_to_the_fewest_faults():
    """Whatever else was drawn: of a property that one kill and one later pause violate, just these are left."""

    def violated(schedule):
        kills = [window.begin_ns for window in schedule if window.fault == "kill"]
        return any(window.begin_ns > min(kills, default=1e18) for window in schedule if window.fault == "pause")

    found = find_example(schedules(seconds=5), violated, settings=settings(max_examples=2000))
    assert sorted(window.fault for window in found) == ["kill", "pause"]
    assert {window.end_ns - window.begin_ns for window in found} == {1_500_000_000}


def test_a_property_over_the_simulator_shrinks_to_the_fault_that_it_takes():
    failures = []

    @settings(max_examples=20, deadline=None, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
    @given(schedules(["partition", "kill", "pause"], seconds=3, most=5))
    def there_is_one_leader_all_the_time(schedule):
        run = simulate(seed=1, nodes=3, time_limit=3, rate=50, schedule=schedule)
        if run.results.leader_changes > 1:
            failures.append(schedule)
        assert run.results.leader_changes == 1

    with pytest.raises(AssertionError):
        there_is_one_leader_all_the_time()
    assert len(failures[-1]) == 1 < max(map(len, failures))
