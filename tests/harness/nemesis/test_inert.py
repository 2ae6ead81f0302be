"""Faults that do nothing, each in the way in which it happened to somebody: nothing is believed of them.

The environments below do all that they are told, but one thing, which they only seem to do.
"""

from __future__ import annotations

import os
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

from checkers.result import Verdict
from harness.adapters.raft_register import RaftRegister
from harness.agent.process import Process
from harness.environments.local import LocalEnvironment
from harness.environments.sim.environment import SimEnvironment
from harness.nemesis.specs import parse_nemesis
from harness.runner import run
from harness.store import create
from harness.test import Test, node_names

NODES = node_names(3)


class StrayRuleSim(SimEnvironment):
    """Rules name an address that nobody has."""

    async def cut(self, grudge):
        await super().cut({node: frozenset(["n9"]) for node in grudge})


class TooLateSim(SimEnvironment):
    """Whoever is to be killed has just died by himself."""

    async def kill(self, node):
        self.hosts[node].kill()
        return await super().kill(node)


class UnreadClockSim(SimEnvironment):
    """Nobody reads what a clock is set to."""

    async def set_clock(self, node, setting):
        pass


class OneClockSim(SimEnvironment):
    """Only the first node reads what its clock is set to."""

    async def set_clock(self, node, setting):
        if node == NODES[0]:
            await super().set_clock(node, setting)


class StrayRule(LocalEnvironment):
    """Rules name an address that nobody has."""

    async def _filter(self, kind, wanted):
        astray = {
            node: type(what)(what.verb, {**what.arguments, "sources": ["192.0.2.9"]}, what.timed)
            for node, what in wanted.items()
        }
        await super()._filter(kind, astray)


class TooLate(LocalEnvironment):
    """Whoever is to be killed has just died by himself."""

    async def kill(self, node):
        process = Process(Path(self._places[node].directory) / "node.pid")
        os.killpg(process.seen().pid, signal.SIGKILL)
        while process.seen() is not None:
            await self.sleep(0.001)
        return await super().kill(node)


class UnreadClock(LocalEnvironment):
    """Nobody reads the file that a clock is set by."""

    async def set_clock(self, node, setting):
        await self._write(node, "nobody-reads-this.json", str(asdict(setting)))


FAULT_OF = {
    StrayRuleSim: "partition",
    TooLateSim: "kill",
    UnreadClockSim: "clock",
    StrayRule: "partition",
    TooLate: "kill",
    UnreadClock: "clock",
}


def judged(kind, directory, seed, time_limit_s, fault=None):
    """The results of a short run in such an environment, with the one fault that it does not do."""
    test = Test(
        environment=kind.name,
        nodes=NODES,
        workload="register",
        nemesis=parse_nemesis(f"{fault or FAULT_OF[kind]}:interval=1", 1.0),
        time_limit_s=time_limit_s,
        rate=100.0,
        concurrency=6,
        seed=seed,
    )
    adapter, directory = RaftRegister(), create(directory, test.name)
    seeded = (seed,) if kind.name == "sim" else ()
    return run(test, kind(NODES, lambda notice: None, adapter, *seeded, directory.path), adapter, directory)


def inconclusive(results, fault):
    """Whether it is, and for no other reason; and no window of the fault has any evidence."""
    assert results.verdict == Verdict.UNKNOWN, results.reason
    assert results.reason.startswith(f"inconclusive: {fault} at ")
    assert " had no effect: of " in results.reason
    assert results.checks["linearizable"].verdict == results.checks["recovery"].verdict == Verdict.VALID
    assert results.faults
    return all(row.evidence is None for row in results.faults)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [StrayRuleSim, TooLateSim, UnreadClockSim], ids=lambda kind: kind.__name__)
def test_a_simulated_fault_that_does_nothing_makes_the_run_inconclusive(kind, seed, tmp_path):
    assert inconclusive(judged(kind, tmp_path, seed, 4.0), FAULT_OF[kind])


@pytest.mark.parametrize("seed", range(5))
def test_a_fault_that_is_done_to_one_node_of_several_makes_the_run_inconclusive(seed, tmp_path):
    results = judged(OneClockSim, tmp_path, seed, 4.0, "clock:offset:all")
    assert results.verdict == Verdict.UNKNOWN
    assert " had not its whole effect at n2, n3: of clock:" in results.reason


@pytest.mark.local
@pytest.mark.parametrize("kind", [StrayRule, TooLate, UnreadClock], ids=lambda kind: kind.__name__)
def test_a_fault_that_does_nothing_to_real_nodes_makes_the_run_inconclusive(kind, tmp_path):
    assert inconclusive(judged(kind, tmp_path, 1, 4.0), FAULT_OF[kind])
