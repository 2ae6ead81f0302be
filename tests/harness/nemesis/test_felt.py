"""Whole simulated runs of all faults: each fault comes, and is felt, so that hardly any run is inconclusive."""

from __future__ import annotations

import pytest

from checkers.result import Verdict
from harness.adapters.raft_register import RaftRegister
from harness.environments.sim.environment import SimEnvironment
from harness.nemesis.specs import parse_nemesis
from harness.runner import run
from harness.store import create
from harness.test import Test, node_names


@pytest.fixture
def judged(tmp_path):
    """A function: the results of a simulated run of a sound cluster under all faults."""

    def judged(nodes, seed, time_limit_s, rate=200.0, interval_s=5.0):
        test = Test(
            environment="sim",
            nodes=node_names(nodes),
            workload="register",
            nemesis=parse_nemesis("all", interval_s),
            time_limit_s=time_limit_s,
            rate=rate,
            concurrency=2 * nodes,
            seed=seed,
        )
        directory = create(tmp_path, test.name)
        environment = SimEnvironment(test.nodes, lambda notice: None, RaftRegister(), seed, directory.path)
        return run(test, environment, RaftRegister(), directory)

    return judged


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("nodes", [3, 5])
def test_in_a_short_run_every_kind_of_fault_comes_and_is_felt(judged, nodes, seed):
    results = judged(nodes, seed, 10.0)
    assert results.verdict == Verdict.VALID, results.reason


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("nodes", [3, 5, 7])
def test_faults_are_felt_by_few_clients_too(judged, nodes, seed):
    results = judged(nodes, seed, 30.0, rate=2.0)
    assert results.verdict == Verdict.VALID, results.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nodes", "seed"), [(3, 8), (3, 26), (3, 27), (5, 4), (5, 6), (5, 8), (5, 12), (7, 8), (7, 12)]
)
def test_faults_are_felt_in_runs_of_a_minute(judged, nodes, seed):
    """Chosen because each had a fault that was not felt when windows ended whether or not there was evidence."""
    results = judged(nodes, seed, 60.0)
    assert results.verdict == Verdict.VALID, results.reason


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "seed"), [(3, 0), (3, 1), (3, 5), (3, 7), (5, 0), (5, 1), (5, 3), (5, 5)])
def test_faults_are_felt_that_follow_each_other_closely(judged, nodes, seed):
    results = judged(nodes, seed, 60.0, interval_s=1.5)
    assert results.verdict == Verdict.VALID, results.reason
