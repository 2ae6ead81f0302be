"""The nemesis: windows open and close, packages interleave, everything is healed, and only what took place counts."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from msgspec import UNSET

from checkers.history import Event
from harness.environments.base import Capability, ClockSetting, EnvironmentFailure
from harness.environments.sim.loop import Loop, SimFuture
from harness.generator import NEMESIS, Template, TimeLimit, nemesis
from harness.interpreter import Completion
from harness.nemesis import PACKAGES
from harness.nemesis.base import Nemesis, Scene, count_faults
from harness.nemesis.clock import bump_ms, drift
from harness.nemesis.grudges import SHAPES


class Stage:
    """An environment and a cluster that only remember what was done to them; n2 leads, once it is elected."""

    capabilities = frozenset(Capability)

    capabilities = frozenset(Capability)

    def __init__(self, broken=(), size=5, takes_s=0.0, elected_s=0.0):
        self.nodes = tuple(f"n{number}" for number in range(1, size + 1))
        self.broken = broken
        self.takes_s = takes_s
        self.elected_s = elected_s
        self.done: list[tuple] = []
        self.loop = Loop()

    async def primaries(self):
        return ("n2",) if self.now_ns() >= self.elected_s * 1e9 else ()

    def now_ns(self):
        return self.loop.now_ns

    def sleep(self, seconds):
        return self.loop.sleep(seconds)

    def future(self):
        return SimFuture()

    def spawn(self, task):
        self.loop.spawn(task)

    async def _do(self, what, *arguments):
        await self.loop.sleep(self.takes_s)
        if arguments and arguments[0] in self.broken:
            raise EnvironmentFailure(f"{arguments[0]} is broken")
        self.done.append((what, *arguments))

    async def kill(self, node):
        await self._do("kill", node)

    async def start(self, node):
        await self._do("start", node)

    async def pause(self, node):
        await self._do("pause", node)

    async def resume(self, node):
        await self._do("resume", node)

    async def cut(self, grudge):
        await self._do("cut", *grudge)

    async def heal(self):
        await self._do("heal")

    async def set_clock(self, node, setting):
        await self._do("clock", node, setting)


def all_of(*names, interval_s=5.0):
    return Nemesis(tuple((PACKAGES[name], interval_s) for name in names or PACKAGES))


def scene_of(stage):
    return Scene(stage, stage, Random(1))


def carry_out(stage, *events):
    """The completions of these operations, carried out by all packages together."""
    handle = all_of().handler(scene_of(stage))

    async def main():
        return [await handle(event) for event in events]

    return stage.loop.run(main)


def asked(f, value=None):
    return Event(index=0, time=0, type="info", process=NEMESIS, f=f, value=value)


STARTS = [
    asked("start-partition", "primaries"),
    asked("start-clock", {"target": "primaries", "kind": "offset"}),
    asked("start-clock", {"target": "primaries", "kind": "rate"}),
    asked("start-kill", "primaries"),
    asked("start-pause", "primaries"),
]


# -- schedules


@pytest.mark.parametrize("name", PACKAGES)
def test_the_windows_of_a_package_open_and_close_in_turn(simulate, name):
    fs = simulate(TimeLimit(400, nemesis(all_of(name).generator()))).fs()
    assert len(fs) > 30
    assert fs == [f"start-{name}" if index % 2 == 0 else f"stop-{name}" for index in range(len(fs))]


def test_a_window_counts_from_when_the_fault_is_in_force_however_long_that_takes(simulate):
    events = simulate(TimeLimit(300, nemesis(all_of("partition", interval_s=3.0).generator())), latency_ms=1500).events
    in_force = [event.time for event in events if event.f == "start-partition"][1::2]
    ended = [event.time for event in events if event.f == "stop-partition"][::2]
    open_ns = 3.0e9 * PACKAGES["partition"].open
    assert len(ended) > 20
    assert all(stop - start >= open_ns / 2 - 1 for start, stop in zip(in_force, ended, strict=False))


@pytest.mark.parametrize("name", PACKAGES)
def test_an_interval_is_the_mean_between_beginnings_and_no_window_is_very_short(simulate, name):
    seconds = 4.0 * (PACKAGES[name].open + PACKAGES[name].closed)
    times = simulate(TimeLimit(1000, nemesis(all_of(name, interval_s=4.0).generator())), latency_ms=0).times_ms()
    assert len(times) == pytest.approx(2 * 1000 / seconds, rel=0.1)
    lengths = [stop - start for start, stop in zip(times[::2], times[1::2], strict=False)]
    assert min(lengths) >= 4.0 * PACKAGES[name].open * 500 - 1
    assert max(lengths) <= 4.0 * PACKAGES[name].open * 1500 + 1


def test_each_package_keeps_its_own_interval(simulate):
    kill, pause = PACKAGES["kill"], PACKAGES["pause"]
    both = Nemesis(((kill, 2.0 / (kill.open + kill.closed)), (pause, 10.0 / (pause.open + pause.closed))))
    fs = simulate(TimeLimit(400, nemesis(both.generator()))).fs()
    assert fs.count("start-kill") == pytest.approx(200, rel=0.15)
    assert fs.count("start-pause") == pytest.approx(40, rel=0.2)


def test_packages_interleave_and_do_not_all_begin_at_once(simulate):
    brief = simulate(TimeLimit(60, nemesis(all_of().generator()))).brief()
    first = {f: time for time, _, f in reversed(brief)}
    beginnings = sorted(first[f"start-{name}"] for name in PACKAGES)
    assert beginnings[0] >= 900
    assert all(later - earlier >= 900 for earlier, later in pairwise(beginnings))
    open_at_once, most = set(), 0
    for _, _, f in brief:
        kind, _, name = f.partition("-")
        (open_at_once.add if kind == "start" else open_at_once.discard)(name)
        most = max(most, len(open_at_once))
    assert most >= 3, "faults of different kinds overlap"


def test_the_final_generator_ends_every_kind_once(simulate):
    assert simulate(nemesis(all_of().final_generator())).fs() == [f"stop-{name}" for name in PACKAGES]


def test_no_packages_do_nothing_and_come_to_an_end(simulate):
    nothing = Nemesis(())
    assert simulate(nemesis(nothing.generator())).events == simulate(nemesis(nothing.final_generator())).events == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_asks_for_a_capability_of_its_name_and_for_any_of_its_faults(simulate, name):
    package = PACKAGES[name]
    assert package.capability == Capability(name)
    values = {str(package.begin(Random(seed)).value) for seed in range(300)}
    assert len(values) >= 5


# -- faults


@pytest.mark.parametrize(
    ("event", "what"),
    list(zip(STARTS, ["cut", "clock", "clock", "kill", "pause"], strict=True)),
    ids=lambda value: value if isinstance(value, str) else value.f,
)
def test_a_fault_hits_the_leader_when_it_is_to(event, what):
    stage = Stage()
    (completion,) = carry_out(stage, event)
    assert completion.type == "info"
    assert completion.error is UNSET
    assert completion.value["primaries"] == ("n2",)
    if what == "cut":
        assert completion.value["drops"]["n2"] == ["n1", "n3", "n4", "n5"]
    else:
        assert [done[:2] for done in stage.done] == [(what, "n2")]


def test_who_wants_the_leader_waits_a_little_for_an_election_to_end():
    soon, never = Stage(elected_s=1.0), Stage(elected_s=1e6)
    carry_out(soon, asked("start-kill", "primaries"))
    assert soon.done == [("kill", "n2")]
    (completion,) = carry_out(never, asked("start-kill", "primaries"))
    assert len(never.done) == 1, "somebody is hit all the same"
    assert completion.value["primaries"] == ()
    assert never.now_ns() < 5e9


def test_who_wants_anybody_does_not_wait_for_a_leader():
    stage = Stage(elected_s=1e6)
    carry_out(stage, asked("start-kill", "one"))
    assert stage.now_ns() == 0


@pytest.mark.parametrize(
    ("f", "done"),
    [
        ("stop-partition", [("heal",)]),
        ("stop-clock", [("clock", f"n{n}", ClockSetting()) for n in range(1, 6)]),
        ("stop-kill", [("start", f"n{n}") for n in range(1, 6)]),
        ("stop-pause", [("resume", f"n{n}") for n in range(1, 6)]),
    ],
)
def test_the_end_of_a_fault_undoes_it_everywhere(f, done):
    stage = Stage()
    carry_out(stage, asked(f))
    assert stage.done == done


@pytest.mark.parametrize("shape", SHAPES)
def test_the_history_says_who_dropped_whose_packets(shape):
    (completion,) = carry_out(Stage(), asked("start-partition", shape))
    assert completion.value["shape"] == shape
    assert completion.value["drops"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_partition_that_cuts_nothing_is_not_a_fault(shape):
    stage = Stage(size=1)
    (completion,) = carry_out(stage, asked("start-partition", shape if shape != "primaries" else "one"))
    assert "cuts nothing" in completion.error
    assert stage.done == []


def test_a_fault_that_could_not_be_applied_is_recorded_as_an_error():
    (completion,) = carry_out(Stage(broken=("n2",)), asked("start-kill", "primaries"))
    assert completion == Completion("info", error="n2 is broken")


def test_on_all_acts_at_once():
    stage = Stage(takes_s=2.0)
    stage.loop.run(lambda: scene_of(stage).on_all(stage.nodes, stage.kill))
    assert stage.loop.now_ns == 2_000_000_000
    assert sorted(stage.done) == [("kill", node) for node in stage.nodes]


def test_on_all_raises_the_first_failure_after_all_have_ended():
    stage = Stage(broken=("n4", "n1"))
    with pytest.raises(EnvironmentFailure, match="n1 is broken"):
        stage.loop.run(lambda: scene_of(stage).on_all(stage.nodes, stage.kill))
    assert sorted(stage.done) == [("kill", "n2"), ("kill", "n3"), ("kill", "n5")]


def test_on_all_of_nobody_is_done_at_once():
    stage = Stage()
    stage.loop.run(lambda: scene_of(stage).on_all((), stage.kill))
    assert stage.done == []


def test_on_all_lets_bugs_through():
    stage = Stage()

    async def buggy(node):
        raise LookupError(node)

    with pytest.raises(LookupError):
        stage.loop.run(lambda: scene_of(stage).on_all(stage.nodes, buggy))


def test_a_clock_that_can_only_be_shifted_is_shifted():
    stage = Stage()
    stage.capabilities = frozenset(Capability) - {Capability.CLOCK_RATE}
    carry_out(stage, asked("start-clock", {"target": "all", "kind": "rate"}))
    assert len(stage.done) == 5
    assert all(setting.rate == 1 and setting.offset_ms != 0 for _, _, setting in stage.done)


def test_clocks_jump_either_way_and_drift_either_way():
    random = Random(1)
    jumps = [bump_ms(random) for _ in range(500)]
    assert {jump > 0 for jump in jumps} == {True, False}
    assert all(11 <= abs(jump) <= 288_000 for jump in jumps)
    rates = [drift(random) for _ in range(500)]
    assert all(0.2 <= rate <= 5 for rate in rates)
    assert 200 < sum(rate < 1 for rate in rates) < 300


# -- counting


def recorded(*steps):
    """Events of the nemesis, and of a client in between, from (f, error or UNSET)."""
    events = []
    for f, error in steps:
        events += [asked(f), Event(index=0, time=0, type="info", process=NEMESIS, f=f, error=error)]
        events += [Event(index=0, time=0, type="invoke", process=0, f="start-kill")]
    return events


def test_only_starts_that_completed_without_an_error_are_faults():
    events = recorded(
        ("start-kill", UNSET), ("stop-kill", UNSET), ("start-kill", "no"), ("start-pause", "no"), ("stop-pause", UNSET)
    )
    assert count_faults(["kill", "pause", "clock"], events) == {"kill": 1, "pause": 0, "clock": 0}


def test_a_fault_that_never_completed_is_not_counted():
    events = [*recorded(("start-kill", UNSET), ("stop-kill", UNSET)), asked("start-kill")]
    assert count_faults(["kill"], events) == {"kill": 1}


def test_what_is_drawn_comes_from_the_stream_it_is_given():
    for package in PACKAGES.values():
        assert package.begin(Random(5)) == package.begin(Random(5))
        assert isinstance(package.begin(Random(5)), Template)
