"""Whole runs in the simulator: they repeat to the byte, find what is broken, and acquit what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from checkers import formats
from checkers.history import NEMESIS
from checkers.result import Verdict
from harness.adapters.raft_register import RaftRegister
from harness.agent.traffic import Traffic
from harness.environments.base import ConnectFailed
from harness.environments.sim.environment import SimEnvironment
from harness.errors import EnvironmentFailure
from harness.nemesis.specs import parse_nemesis
from harness.runner import run
from harness.store import create
from harness.test import Test, node_names

ALL = "partition,clock,kill,pause"


def definition(seed=1, mutant=None, time_limit_s=10.0, nemesis=ALL, interval_s=2.0, nodes=3, **others):
    return Test(
        environment="sim",
        nodes=node_names(nodes),
        workload="register",
        nemesis=parse_nemesis(nemesis, interval_s),
        time_limit_s=time_limit_s,
        rate=100.0,
        concurrency=2 * nodes,
        seed=seed,
        mutant=mutant,
        **others,
    )


@pytest.fixture
def run_test(tmp_path):
    """A function: (results, run directory) of a test in the simulator."""

    def run_test(test, environment_class=SimEnvironment):
        adapter = RaftRegister(mutant=test.mutant)
        directory = create(tmp_path / "store", test.name)
        environment = environment_class(test.nodes, lambda notice: None, adapter, test.seed, directory.path)
        return run(test, environment, adapter, directory), directory

    return run_test


def command_line(store, seed, hash_seed):
    words = [
        "run",
        "--env",
        "sim",
        "--nodes",
        "3",
        "--seed",
        str(seed),
        "--time-limit",
        "4",
        "--interval",
        "1",
        "--store",
        str(store),
    ]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (0, 1, 2), done.stderr
    files = [store / "latest" / "history.jsonl", *sorted((store / "latest").glob("*/trace.jsonl"))]
    assert len(files) == 4
    return [file.read_bytes() for file in files]


def test_a_seed_makes_the_same_run_in_any_process_and_another_seed_another(tmp_path):
    first = command_line(tmp_path / "a", 5, hash_seed=1)
    assert first == command_line(tmp_path / "b", 5, hash_seed=2)
    other = command_line(tmp_path / "c", 6, hash_seed=1)
    assert all(one != another for one, another in zip(first, other, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_cluster_under_every_fault_is_valid(run_test, seed):
    results, directory = run_test(definition(seed))
    assert results.verdict == Verdict.VALID, results.reason
    assert results.operations["ok"] > 100
    assert {row.fault for row in results.faults} == set(ALL.split(","))
    assert all(row.evidence and row.end for row in results.faults)
    assert results.leader_changes >= 1
    assert json.loads(directory.results.read_text())["verdict"] == "valid"


def test_a_leader_that_reads_from_its_own_state_is_found(run_test):
    verdicts = []
    for seed in range(12):
        results, _ = run_test(definition(seed, mutant="Q1", nemesis="partition", nodes=5))
        verdicts.append(results.verdict)
        if results.verdict == Verdict.INVALID:
            assert "shortest failing window" in results.checks["linearizable"].detail
            assert "--mutant Q1" in results.command
            break
    assert Verdict.INVALID in verdicts


def test_a_run_directory_holds_all_that_is_needed_to_judge_it_again(run_test):
    results, directory = run_test(definition(3, time_limit_s=3.0))
    test = json.loads(directory.definition.read_text())
    assert (test["seed"], test["environment"], test["version"]) == (3, "sim", results.version)
    history = formats.read(directory.history)
    assert len(history) == results.operations["total"]
    for node in test["nodes"]:
        assert (directory.path / node / "trace.jsonl").stat().st_size > 0


def test_at_the_end_every_fault_is_healed_and_every_register_is_read(run_test):
    _, directory = run_test(definition(4, time_limit_s=5.0))
    events = [json.loads(line) for line in directory.history.read_text().splitlines()]
    heals = [event["index"] for event in events if event["process"] == NEMESIS][-8:]
    last = [event["f"] for event in events if event["index"] in heals]
    assert last == [f for name in ALL.split(",") for f in [f"stop-{name}"] * 2]
    keys = {event["key"] for event in events if event["process"] != NEMESIS}
    read = {
        event["key"] for event in events if event["index"] > heals[-1] and (event["type"], event["f"]) == ("ok", "read")
    }
    assert read == keys


def test_without_a_nemesis_nothing_fails_but_a_cas(run_test):
    results, directory = run_test(definition(1, time_limit_s=5.0, nemesis="none"))
    assert results.verdict == Verdict.VALID
    assert results.operations["info"] == 0
    events = [json.loads(line) for line in directory.history.read_text().splitlines()]
    assert {event.get("error") for event in events if event["type"] == "fail"} <= {"mismatch"}


def test_values_written_to_a_register_are_unique(run_test):
    _, directory = run_test(definition(2, time_limit_s=5.0))
    invoked = [json.loads(line) for line in directory.history.read_text().splitlines()]
    written = [
        (event["key"], event["value"] if event["f"] == "write" else event["value"][1])
        for event in invoked
        if event["type"] == "invoke" and event["f"] in ("write", "cas")
    ]
    assert written
    assert len(written) == len(set(written))


class Breaking(SimEnvironment):
    """An environment that breaks: as its contract says, or by a bug."""

    mistake: Exception
    torn_down = 0

    async def setup(self):
        await super().setup()
        if isinstance(self.mistake, EnvironmentFailure):
            raise self.mistake

    async def connect(self, node, timeout_s):
        if self.now_ns() > 3_000_000_000:
            raise self.mistake
        return await super().connect(node, timeout_s)

    async def teardown(self):
        type(self).torn_down += 1
        return await super().teardown()


def test_an_environment_that_breaks_is_evidence_and_is_torn_down(run_test):
    environment = type("Broken", (Breaking,), {"mistake": EnvironmentFailure("the engine died")})
    results, directory = run_test(definition(1), environment)
    assert results.verdict == Verdict.UNKNOWN
    assert "the engine died" in results.checks["recovery"].reason
    assert environment.torn_down == 1
    assert directory.results.exists()


def test_a_bug_is_raised_after_the_environment_was_torn_down_and_leaves_the_history(run_test, tmp_path):
    environment = type("Buggy", (Breaking,), {"mistake": LookupError("a bug")})
    with pytest.raises(LookupError, match="a bug"):
        run_test(definition(1), environment)
    assert environment.torn_down == 1
    assert len(formats.read(tmp_path / "store" / "current" / "history.jsonl")) > 50


class Unreachable(SimEnvironment):
    """A cluster whose last partition cannot be lifted, since a machine is lost."""

    ended_ns = 0

    async def cut(self, grudge):
        if self.now_ns() > 9_000_000_000 and not any(grudge.values()):
            raise EnvironmentFailure("n2: no connection")
        await super().cut(grudge)

    async def teardown(self):
        type(self).ended_ns = self.now_ns()
        return await super().teardown()


def test_a_cluster_that_cannot_be_healed_is_not_waited_for_as_long_as_one_that_can(run_test):
    results, _ = run_test(definition(1, nemesis="partition:bisect"), Unreachable)
    assert results.verdict == Verdict.UNKNOWN
    assert "partition was not healed: n2: no connection" in results.checks["recovery"].reason
    assert Unreachable.ended_ns < 30e9


class Lost(SimEnvironment):
    """A machine is lost in the middle of a run, without any fault: it does not answer, and cannot be looked at."""

    async def connect(self, node, timeout_s):
        if node == "n2" and self.now_ns() > 5e9:
            await self.sleep(timeout_s)
            raise ConnectFailed("no answer")
        return await super().connect(node, timeout_s)

    async def observe(self, node):
        if node == "n2" and self.now_ns() > 5e9:
            raise EnvironmentFailure("n2: its machine keeps silent")
        return await super().observe(node)


def test_a_machine_that_is_lost_is_not_blamed_on_the_cluster(run_test):
    results, _ = run_test(definition(1, nemesis="none", recovery_limit_s=3.0), Lost)
    assert results.verdict == Verdict.UNKNOWN
    assert results.reason == "the run broke off: n2: its machine keeps silent"


class Formless(SimEnvironment):
    """A cluster that never forms: each node hears nobody."""

    async def setup(self):
        await super().setup()
        await self.cut({node: frozenset(self.nodes) - {node} for node in self.nodes})


def test_a_cluster_that_never_forms_is_unknown_and_says_why(run_test):
    results, _ = run_test(definition(1, recovery_limit_s=3.0), Formless)
    assert results.verdict == Verdict.UNKNOWN
    assert "did not form within 3 s" in results.checks["recovery"].reason


class Deaf(Formless):
    """One of its nodes has ended."""

    async def setup(self):
        await super().setup()
        await self.kill("n2")

    async def last_words(self, node):
        return None if await self.running(node) else "the port is taken"


def test_a_cluster_that_never_forms_says_which_nodes_have_ended_and_their_last_words(run_test):
    results, _ = run_test(definition(1, recovery_limit_s=3.0), Deaf)
    assert results.verdict == Verdict.UNKNOWN
    reason = results.checks["recovery"].reason
    assert "did not form within 3 s: no answer from n2; n2 has ended: the port is taken" in reason


class Unhealing(SimEnvironment):
    """A network that loses whatever is sent to its first node, as soon as a cut was healed."""

    async def heal(self):
        await super().heal()
        self.network.shape(self.nodes[0], self.nodes[1:], Traffic(loss=1))


class Dying(SimEnvironment):
    """An engine that restarts in the middle: nodes are gone, and nobody can look at them."""

    async def connect(self, node, timeout_s):
        if self.now_ns() > 3_000_000_000:
            raise ConnectFailed(f"{node}: no route")
        return await super().connect(node, timeout_s)

    async def last_words(self, node):
        raise EnvironmentFailure(f"{node}: its agent cannot be reached")


def test_a_cluster_is_not_blamed_for_machines_that_are_lost(run_test):
    results, _ = run_test(definition(2, nemesis="none", time_limit_s=5.0, recovery_limit_s=3.0), Dying)
    assert results.verdict == Verdict.UNKNOWN
    assert results.checks["recovery"].reason == "the run broke off: n1: its agent cannot be reached"


def test_a_cluster_that_does_not_recover_is_invalid(run_test):
    test = definition(2, nemesis="partition", time_limit_s=5.0, recovery_limit_s=3.0)
    results, _ = run_test(test, Unhealing)
    assert results.verdict == Verdict.INVALID
    assert results.reason.startswith("liveness: ")
