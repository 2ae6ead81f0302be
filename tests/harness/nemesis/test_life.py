"""A fault's life: every step in its order, and a step that fails leaves what can be put right later."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from harness.adapters.raft_register import RaftRegister
from harness.cluster import Cluster
from harness.environments.base import Capability
from harness.environments.sim.environment import SimEnvironment
from harness.errors import EnvironmentFailure
from harness.nemesis import FAULTS
from harness.nemesis.fault import Fault, NothingToHit
from harness.nemesis.life import Life

NODES = ("n1", "n2", "n3")
STEPS = ("resolve", "enter", "apply", "seen", "undo", "standing", "strike")


class Imagined(Fault):
    """A fault that only writes down its steps. A step whose name is in `fails` fails, or does not come true."""

    name = "imagined"
    about = proof = "nothing"
    capability = Capability.KILL
    holds_nodes = True

    def __init__(self, steps, fails):
        self.steps, self.fails = steps, fails

    def _step(self, name):
        self.steps.append(name)
        if name in self.fails and name in ("apply", "undo"):
            raise EnvironmentFailure(f"{name} failed")

    def resolve(self, asked, view, random):
        self._step("resolve")
        self.view = view
        if "resolve" in self.fails:
            raise NothingToHit("there is nobody")
        return {"nodes": ["n2"], "asked": asked}

    def told(self, resolved):
        return "n2 imagines things"

    async def apply(self, environment, resolved):
        self._step("apply")

    async def undo(self, environment, resolved):
        self._step("undo")

    def seen(self, resolved, course):
        self._step("seen")
        return None if "seen" in self.fails else {"seen": len(self.steps)}

    def standing(self, resolved, course):
        self._step("standing")
        return "a spectre" if "standing" in self.fails else None


class Ledger:
    """Remembers what is open, among the steps of the fault."""

    def __init__(self, steps):
        self.steps, self.open, self.entered = steps, {}, 0

    def enter(self, fault, resolved, told):
        self.steps.append("enter")
        self.entered += 1
        self.open[self.entered] = (fault, resolved, told)
        return self.entered

    def strike(self, number):
        self.steps.append("strike")
        del self.open[number]


class World:
    """A simulated cluster, a ledger, and the faults of one run."""

    def __init__(self, directory, fails=()):
        adapter = RaftRegister()
        self.environment = SimEnvironment(NODES, lambda notice: None, adapter, seed=1, directory=directory)
        self.cluster = Cluster(self.environment, adapter)
        self.steps: list[str] = []
        self.fails = set(fails)
        self.fault = Imagined(self.steps, self.fails)
        self.ledger = Ledger(self.steps)
        self.life = Life(self.environment, self.cluster, self.ledger, Random(1))

    def live(self, test):
        """What `test()` returns, on the healthy cluster."""

        async def main():
            await self.environment.setup()
            assert await self.cluster.wait_healthy(30) is None
            return await test()

        return self.environment.run(main)

    def brief(self):
        """The steps; what was looked at again and again, once."""
        return [step for index, step in enumerate(self.steps) if index == 0 or self.steps[index - 1] != step]


@pytest.fixture
def world(tmp_path):
    """A function: a world in which those steps fail."""
    return lambda *fails: World(tmp_path, fails)


def test_a_life_has_its_steps_in_order(world):
    it = world()

    async def test():
        begun = await it.life.begin(it.fault, {"target": "one"})
        assert it.steps == ["resolve", "enter", "apply", "seen"]
        assert it.ledger.open == {1: ("imagined", {"nodes": ["n2"], "asked": {"target": "one"}}, "n2 imagines things")}
        return begun, await it.life.end(it.fault)

    begun, ended = it.live(test)
    assert it.steps == ["resolve", "enter", "apply", "seen", "seen", "undo", "standing", "strike"]
    assert it.ledger.open == {}
    assert (begun["nodes"], begun["told"], begun["evidence"]) == (("n2",), "n2 imagines things", {"seen": 4})
    assert begun["believed_ms"] >= 0
    assert len(begun["leaders"]) == 1
    assert begun["term"] >= 1
    assert (ended["undone"], ended["evidence"]) == (True, {"seen": 5})


def test_what_finds_nothing_to_hit_touches_nothing_and_opens_no_window(world):
    it = world("resolve")

    async def test():
        return await it.life.begin(it.fault, {}), await it.life.end(it.fault)

    assert it.live(test) == ({"skipped": "there is nobody"}, {"skipped": "nothing to undo"})
    assert set(it.steps) == {"resolve"}, "again and again, for a while"
    assert it.ledger.entered == 0


def test_what_could_not_be_applied_may_be_in_force_so_it_is_undone(world):
    it = world("apply")

    async def test():
        with pytest.raises(EnvironmentFailure, match="apply failed"):
            await it.life.begin(it.fault, {})
        assert list(it.ledger.open) == [1]
        return await it.life.end(it.fault)

    assert it.live(test)["undone"]
    assert it.brief() == ["resolve", "enter", "apply", "seen", "undo", "standing", "strike"]
    assert it.ledger.open == {}


def test_what_is_not_seen_at_once_is_waited_for_and_what_is_never_seen_is_told_without_evidence(world):
    it = world("seen")

    async def test():
        before_ns = it.environment.now_ns()
        begun = await it.life.begin(it.fault, {})
        waited_s = (it.environment.now_ns() - before_ns) / 1e9
        return begun, waited_s, await it.life.end(it.fault)

    begun, waited_s, ended = it.live(test)
    assert (begun["evidence"], begun["believed_ms"], ended["evidence"]) == (None, None, None)
    assert 1 <= waited_s < 1.5
    assert it.steps.count("seen") > 10


def test_what_shows_late_counts_and_what_showed_first_is_kept(world):
    it = world("seen")

    async def late():
        begun = await it.life.begin(it.fault, {})
        it.fails.clear()
        return begun["evidence"], (await it.life.end(it.fault))["evidence"]

    first, last = it.live(late)
    assert first is None
    assert last

    it = world()

    async def early():
        begun = await it.life.begin(it.fault, {})
        it.fails.add("seen")
        return begun["evidence"], (await it.life.end(it.fault))["evidence"]

    first, last = it.live(early)
    assert first == last


def test_what_has_not_been_seen_stays_in_force_if_it_is_to_end_only_then(world):
    it = world("seen")

    async def test():
        await it.life.begin(it.fault, {})
        early = await it.life.end(it.fault, only_if_seen=True)
        assert "undo" not in it.steps
        assert list(it.ledger.open) == [1]
        it.fails.clear()
        return early, await it.life.end(it.fault, only_if_seen=True)

    early, ended = it.live(test)
    assert early == {"goes_on": "not seen yet", "evidence": None}
    assert ended["undone"]
    assert ended["evidence"]
    assert it.ledger.open == {}


def test_what_was_seen_when_it_began_ends_though_nothing_is_seen_of_it_any_more(world):
    it = world()

    async def test():
        await it.life.begin(it.fault, {})
        it.fails.add("seen")
        return await it.life.end(it.fault, only_if_seen=True)

    assert it.live(test)["undone"]


def test_packets_are_aimed_where_the_partition_in_force_lets_some_through(world):
    it = world()

    async def test():
        alone = {"nodes": ["n1"], "drops": {"n1": ["n2", "n3"]}}
        await it.life.begin(FAULTS["partition"], {"shape": "one"}, alone)
        begun = await it.life.begin(FAULTS["packets"], {"kind": "delay", "target": "all"})
        await it.life.end(FAULTS["partition"])
        await it.life.end(FAULTS["packets"])
        again = await it.life.begin(FAULTS["packets"], {"kind": "delay", "target": "all"})
        return begun["nodes"], again["nodes"]

    assert it.live(test) == (("n2", "n3"), NODES)


@pytest.mark.parametrize(("step", "said"), [("undo", "undo failed"), ("standing", "not undone: a spectre")])
def test_what_is_not_undone_stays_in_the_ledger_and_is_undone_when_it_is_ended_again(world, step, said):
    it = world(step)

    async def test():
        await it.life.begin(it.fault, {})
        for _ in range(2):
            with pytest.raises(EnvironmentFailure, match=said):
                await it.life.end(it.fault)
            assert list(it.ledger.open) == [1]
        it.fails.clear()
        assert (await it.life.end(it.fault))["undone"]

    it.live(test)
    assert it.ledger.open == {}


def test_what_is_not_undone_is_undone_before_it_is_done_again(world):
    """Else the first window's nodes would be forgotten, and stay as they are."""
    it = world("undo")

    async def test():
        await it.life.begin(it.fault, {})
        with pytest.raises(EnvironmentFailure):
            await it.life.end(it.fault)
        with pytest.raises(EnvironmentFailure, match="undo failed"):
            await it.life.begin(it.fault, {})
        assert list(it.ledger.open) == [1]
        it.fails.clear()
        await it.life.begin(it.fault, {})
        assert list(it.ledger.open) == [2]
        await it.life.end(it.fault)

    it.live(test)
    assert it.ledger.open == {}


def test_who_is_in_one_faults_hands_is_told_to_the_next(world):
    it = world()
    other = Imagined([], set())
    other.name = "other"

    async def test():
        await it.life.begin(it.fault, {})
        await it.life.begin(other, {})
        await it.life.end(it.fault)
        held = other.view.held
        await it.life.begin(it.fault, {})
        return held, it.fault.view.held

    assert it.live(test) == (frozenset(["n2"]), frozenset(["n2"]))


def test_the_leader_before_the_present_one_is_remembered(world):
    it = world()

    async def test():
        (old,) = (await it.cluster.observe()).leaders
        await it.life.begin(it.fault, {})
        assert it.fault.view.former is None
        await it.life.end(it.fault)
        await it.environment.kill(old)
        while not any(status.leads for status in (await it.cluster.statuses()).values()):
            await it.environment.sleep(0.1)
        await it.life.begin(it.fault, {})
        return it.fault.view.former == old

    assert it.live(test)


@pytest.mark.parametrize("asked", [{"target": "leader"}, {"shape": "leader"}, {"target": "one"}])
def test_only_who_wants_the_leader_waits_for_an_election_and_not_for_ever(world, asked):
    it = world()

    async def test():
        for node in NODES[:2]:
            await it.environment.kill(node)
        await it.environment.sleep(5)
        before_ns = it.environment.now_ns()
        await it.life.begin(it.fault, asked)
        return (it.environment.now_ns() - before_ns) / 1e9

    waited_s = it.live(test)
    assert 2 <= waited_s < 5 if "leader" in asked.values() else waited_s < 2


@pytest.mark.parametrize(("name", "kind"), [(f.name, k) for f in FAULTS.values() for k in f.choices.get("kind", ("",))])
def test_every_fault_of_the_simulator_lives_its_whole_life(world, name, kind):
    """Applied to a cluster that is at work, seen within the window, and gone afterwards: one kind after the other."""
    it = world()
    fault = FAULTS[name]
    if (need := fault.needs.get(kind, fault.capability)) not in it.environment.capabilities:
        pytest.skip(f"the simulator lacks {need}")
    asked: Mapping[str, object] = {
        "kind": kind,
        "target": "leader",
        "shape": "leader",
        "offset": 2000.0,
        "step": 10_000.0,
    }

    async def work():
        client = RaftRegister().client(it.environment, "n1", 1.0)
        while it.ledger.entered == 0 or it.ledger.open:
            try:
                await client.open()
                await client.write(1, 1)
            except Exception:  # noqa: BLE001 - the cluster is being broken
                await it.environment.sleep(0.01)
        client.close()

    async def test():
        it.environment.spawn(work())
        begun = await it.life.begin(fault, asked)
        await it.environment.sleep(1)
        ended = await it.life.end(fault)
        await it.environment.sleep(1)
        return begun, ended, await it.cluster.wait_healthy(30)

    begun, ended, complaint = it.live(test)
    assert ended["evidence"], begun
    assert complaint is None
    assert it.ledger.open == {}
