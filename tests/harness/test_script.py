"""Explicit schedules: what a history tells of its faults, and that it can be issued again as it was."""

from __future__ import annotations

import msgspec
import pytest

from checkers.formats import jsonl
from checkers.history import NEMESIS
from checkers.result import Verdict
from harness.adapters.raft_register import RaftRegister
from harness.environments.sim.environment import SimEnvironment
from harness.errors import UsageError
from harness.generator import AnyOf, Calls, Template, TimeLimit, clients, nemesis
from harness.nemesis import FAULTS
from harness.nemesis.script import FaultWindow, generator, problems, recorded
from harness.nemesis.specs import parse_nemesis
from harness.runner import run
from harness.store import create
from harness.test import Test, node_names, validated, with_schedule

S = 1_000_000_000


def window(fault="kill", begin_s=1.0, end_s=2.0, nodes=None, **asked):
    end_ns = None if end_s is None else int(end_s * S)
    resolved = None if nodes is None else {"nodes": list(nodes)}
    return FaultWindow(fault, int(begin_s * S), end_ns, asked or {"target": "one"}, resolved)


@pytest.fixture
def simulated(tmp_path):
    """A function: the verdict and the events of a test in the simulator."""

    def simulated(test):
        directory = create(tmp_path / "store", test.name)
        environment = SimEnvironment(test.nodes, lambda notice: None, RaftRegister(), test.seed, directory.path)
        results = run(validated(test), environment, RaftRegister(), directory)
        with jsonl.open_binary(directory.history) as lines:
            return results, [event for _, event in jsonl.events(lines, "history", "error")]

    return simulated


def definition(nemesis="partition,kill,pause", **others):
    test = Test(
        environment="sim",
        nodes=node_names(3),
        workload="register",
        nemesis=parse_nemesis(nemesis, 1.0),
        time_limit_s=5.0,
        rate=50.0,
        concurrency=6,
        seed=1,
    )
    return msgspec.structs.replace(test, **others)


def test_begins_and_ends_come_when_they_are_due_and_the_clients_go_on(simulate):
    schedule = (window("kill", 1, 3), window("pause", 2, 2.5), window("partition", 4, None, shape="bisect"))
    work = clients(Calls(lambda random: Template("read", 1)))
    made = simulate(TimeLimit(6, AnyOf((work, nemesis(generator(schedule))))), latency_ms=100)
    faults = [(time, f) for time, thread, f in made.brief() if thread == NEMESIS]
    assert faults == [
        (1000, "start-kill"),
        (2000, "start-pause"),
        (2500, "stop-pause"),
        (3000, "stop-kill"),
        (4000, "start-partition"),
    ]
    assert made.times_ms()[-1] > 5800


def test_a_nemesis_that_is_busy_is_late_and_forgets_nothing(simulate):
    schedule = (window("kill", 1, 1.1), window("pause", 1.05, 1.2))
    made = simulate(nemesis(generator(schedule)), latency_ms=500)
    assert made.fs() == ["start-kill", "start-pause", "stop-kill", "stop-pause"]
    assert made.times_ms() == [1000, 1500, 2000, 2500]


def test_where_one_window_ends_as_the_next_begins_the_end_comes_first(simulate):
    schedule = (window("kill", 2, 3), window("kill", 1, 2))
    assert simulate(nemesis(generator(schedule))).fs() == ["start-kill", "stop-kill"] * 2


def test_what_was_recorded_is_issued_again_on_the_same_nodes_at_about_the_same_times(simulated):
    _, events = simulated(definition())
    # A fault may be asked for within the limit and be applied after it, when the clients are through.
    schedule = tuple(one for one in recorded(events) if one.begin_ns < 5 * S)
    assert {one.fault for one in schedule} == {"partition", "kill", "pause"}
    assert all(one.resolved is not None for one in schedule)
    results, again = simulated(with_schedule(definition(seed=2), schedule))
    assert results.checks["linearizable"].verdict == Verdict.VALID
    done = [(one.fault, one.resolved) for one in recorded(again)]
    assert done == [(one.fault, one.resolved) for one in schedule]
    for was, now in zip(schedule, recorded(again), strict=True):
        assert abs(was.begin_ns - now.begin_ns) < S / 2


def test_a_script_is_aimed_anew_where_nothing_is_resolved(simulated):
    leader = window("kill", 2, 3, target="leader")
    results, events = simulated(with_schedule(definition(), (leader,)))
    (row,) = results.faults
    (found,) = recorded(events)
    assert found.asked == {"target": "leader"}
    assert found.resolved["nodes"] == list(row.nodes)
    assert list(row.effect["leaders"][0]) == list(row.nodes)


def test_what_chance_decides_can_be_fixed_whatever_came_before(simulated):
    last = window("pause", 3, 4, target="one", draw=5)
    before = [(), (window("kill", 1, 2),), (window("kill", 0.5, 1), window("partition", 1, 2, shape="one"))]
    hit = [recorded(simulated(with_schedule(definition(), (*others, last)))[1])[-1] for others in before]
    assert [one.fault for one in hit] == ["pause"] * 3
    assert len({tuple(one.resolved["nodes"]) for one in hit}) == 1


def test_a_node_that_is_down_cannot_be_hit_again(simulated):
    schedule = (window("kill", 1, 3, nodes=["n2"]), window("pause", 2, 2.5, nodes=["n2"]))
    results, events = simulated(with_schedule(definition(), schedule))
    assert [row.fault for row in results.faults] == ["kill"]
    assert [event.value.get("skipped") for event in events if event.f == "start-pause"] == [None, "n2 is not up"]
    assert results.verdict == Verdict.UNKNOWN, "a fault that was asked for did not take place"


def test_no_faults_are_a_schedule_too(simulated):
    results, events = simulated(with_schedule(definition(), ()))
    assert results.verdict == Verdict.VALID
    assert recorded(events) == ()


def test_a_scheduled_run_repeats(simulated):
    test = with_schedule(definition(), (window("kill", 1, 3, target="leader"), window("pause", 2, 2.5)))
    assert simulated(test)[0].digest == simulated(test)[0].digest


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ((window("gremlins"),), ["gremlins", "no such fault", *FAULTS]),
        ((window(begin_s=-1),), ["kill at -1 s", "before the run"]),
        ((window(begin_s=2, end_s=2),), ["does not end after it begins"]),
        ((window("kill", 1, 3), window("kill", 2, 4)), ["kill at 2 s", "has not ended"]),
        ((window("kill", 1, None), window("kill", 2, 4)), ["kill at 2 s", "has not ended"]),
    ],
)
def test_a_bad_schedule_is_refused(schedule, words):
    with pytest.raises(UsageError) as refused:
        validated(with_schedule(definition(), schedule))
    assert all(word in str(refused.value) for word in words)


def test_windows_of_different_kinds_may_overlap():
    assert problems((window("kill", 1, 3), window("pause", 2, 4))) == []


def test_a_schedule_is_kept_with_the_definition():
    test = with_schedule(definition(), (window("kill", 1, 3, nodes=["n2"]),))
    assert msgspec.json.decode(msgspec.json.encode(test), type=Test) == test
