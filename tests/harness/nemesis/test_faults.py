"""Every fault as it is aimed and seen: there is evidence where something shows, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.agent.traffic import Traffic
from harness.environments.base import Sight
from harness.environments.faults import ClockSetting, DiskSetting
from harness.nemesis import FAULTS
from harness.nemesis.clock import bump_ms, drift, skew_ms
from harness.nemesis.fault import Course, NothingToHit, Observation, View, believed, nodes_of, unseen
from harness.nemesis.grudges import SHAPES
from harness.nemesis.targets import WEIGHTS
from synthetic import (
    FIVE,
    MS,
    calm,
    course,
    drawn,
    faults,
    names,
    observations,
    resolved,
    seeds,
    status,
    views,
    with_sights,
)

every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
KINDS = [(fault, kind) for fault in FAULTS.values() for kind in fault.choices.get("kind", ("",))]
every_kind = pytest.mark.parametrize(
    ("fault", "kind"), KINDS, ids=lambda value: value if isinstance(value, str) else ""
)


def of_kind(fault, kind, seed=1, **given):
    return resolved(fault, seed, **({"kind": kind} if kind else {}), **given)


def named(name):
    """The fault and its kind, of a name such as `slow:quota`."""
    name, _, kind = name.partition(":")
    return FAULTS[name], kind


def clocks(off_ns, passed_ns=0):
    """Every node's clock went on by `passed_ns`, and by `off_ns` more."""
    return {node: status("n1", node, clock_ns=passed_ns + off_ns, time_ns=passed_ns) for node in FIVE}


def shown(fault, what) -> Course:
    """What is seen when the fault does all that it ought to."""
    before, nodes = calm(), nodes_of(what)
    sight = {
        "partition": Sight(pid=1, caught={"partition": 2}),
        "clients": Sight(pid=1, caught={"clients": 1}),
        "packets": Sight(
            pid=1, caught={"packets": 3}, packets=dict.fromkeys(("delayed", "duplicated", "reordered"), 1)
        ),
        "clock": Sight(pid=1),
        "kill": Sight(pid=None),
        "pause": Sight(pid=1, paused=True),
        "slow": Sight(pid=1, stopped_share=0.8, throttled_ms=40),
        "memory": Sight(pid=1, memory_megabytes=128),
        "disk": Sight(pid=1, disk=dict.fromkeys(("delayed", "failed", "refused", "held"), 1)),
    }[fault.name]
    now = with_sights(before, dict.fromkeys(nodes, sight))
    facts = None
    if fault.name == "clock":
        now = Observation(0, now.sights, clocks(off_ns=1000 * MS, passed_ns=1000 * MS))
    if fault.name == "partition":
        before = replace(before, heard=fault.pairs(what))
    if fault.name == "kill":
        facts = dict.fromkeys(nodes, True)
    return course(before, now, facts)


# -- aiming


@given(faults, views, seeds)
def test_what_a_fault_becomes_is_json_of_which_undo_and_judgement_take_all_they_need(fault, view, seed):
    try:
        what = fault.resolve(drawn(fault, seed), view, Random(seed))
    except NothingToHit:
        return
    again = msgspec.json.decode(msgspec.json.encode(what))
    assert nodes_of(what)
    assert set(nodes_of(what)) <= set(view.nodes)
    assert nodes_of(again) == nodes_of(what)
    assert fault.told(again) == fault.told(what)
    assert fault.pairs(again) == fault.pairs(what)
    assert "\n" not in fault.told(what)
    assert any(node in fault.told(what) for node in nodes_of(what))


@given(faults, views, seeds)
def test_who_is_dead_paused_or_in_other_hands_is_hit_by_no_fault_of_processes(fault, view, seed):
    assume(fault.name != "partition")  # a cable may be cut whoever is at its ends
    # Only what is read can be seen to be wrong, a disk to fail where something is written, and packets that come.
    aimed_at = {"clock": view.answering, "disk": view.following, "packets": view.hearing}.get(fault.name, view)
    try:
        what = fault.resolve(drawn(fault, seed), view, Random(seed))
    except NothingToHit:
        assert not aimed_at.up
    else:
        assert set(nodes_of(what)) <= set(aimed_at.up) <= set(view.up)


@given(st.sampled_from(["fail", "full"]), st.sampled_from(sorted(WEIGHTS)), st.integers(1, 7), seeds)
def test_of_disks_that_end_their_nodes_so_few_are_hit_that_somebody_writes_to_each(kind, target, count, seed):
    """While a majority runs, if the last of them is one of those nodes, there are elections, and it writes its vote."""
    nodes = names(count)
    hit = nodes_of(resolved(FAULTS["disk"], seed, View(nodes, calm(nodes)), kind=kind, target=target))
    assert count - len(hit) + 1 >= count // 2 + 1
    assert list(hit) == sorted(hit)


def test_packets_are_not_done_anything_to_that_a_partition_stops_on_their_way():
    cut = frozenset(("n1", peer) for peer in FIVE) | frozenset((peer, "n2") for peer in FIVE)
    hit = {
        node
        for seed in range(50)
        for target in WEIGHTS
        for node in nodes_of(resolved(FAULTS["packets"], seed, View(FIVE, calm(), cut=cut), target=target))
    }
    assert hit == {"n1", "n3", "n4", "n5"}, "n1 hears the others, n2 hears nobody"


@given(st.sampled_from(sorted(SHAPES)), seeds)
def test_a_partition_that_cuts_nothing_hits_nothing(shape, seed):
    alone = View(("n1",), calm(("n1",)))
    with pytest.raises(NothingToHit, match="cuts nothing between 1 nodes"):
        resolved(FAULTS["partition"], seed, alone, shape=shape)


@every_fault
def test_whoever_is_asked_for_the_leader_hits_it(fault):
    question = "shape" if fault.name == "partition" else "target"
    what = resolved(fault, 3, View(FIVE, calm(leader="n4")), **{question: "leader"})
    assert "n4" in nodes_of(what)
    if fault.name != "partition":
        assert nodes_of(what) == ("n4",)


def test_numbers_that_were_given_are_what_it_becomes():
    assert of_kind(FAULTS["clock"], "offset", target="one", offset=-7.0, seed=1)["clocks"]
    (setting,) = of_kind(FAULTS["clock"], "offset", target="one", offset=-7.0)["clocks"].values()
    assert msgspec.convert(setting, ClockSetting) == ClockSetting(offset_ms=-7.0)
    (setting,) = of_kind(FAULTS["clock"], "rate", target="one", rate=1.5)["clocks"].values()
    assert msgspec.convert(setting, ClockSetting) == ClockSetting(rate=1.5)
    (setting,) = of_kind(FAULTS["clock"], "strobe", target="one", strobe=90.0)["clocks"].values()
    assert setting["strobe_ms"] == 90
    assert of_kind(FAULTS["disk"], "slow", delay=30.0)["setting"]["sync_delay_ms"] == 30
    assert of_kind(FAULTS["memory"], "", size=64.0)["megabytes"] == 64
    assert of_kind(FAULTS["slow"], "duty", share=0.5)["share"] == 0.5
    assert of_kind(FAULTS["slow"], "quota", quota=3.0)["quota_ms"] == 3
    traffic = of_kind(FAULTS["packets"], "delay", delay=20.0, loss=0.5)["traffic"]
    assert msgspec.convert(traffic, Traffic) == Traffic(delay_ms=20, jitter_ms=10, loss=0.5)


@given(st.sampled_from(sorted(FAULTS["packets"].choices["kind"])), st.floats(0, 100), st.floats(0, 100) | st.none())
def test_a_delay_is_never_less_than_its_jitter_which_no_queue_would_take(kind, delay_ms, jitter_ms):
    given = {"delay": delay_ms} | ({} if jitter_ms is None else {"jitter": jitter_ms})
    traffic = of_kind(FAULTS["packets"], kind, **given)["traffic"]
    assert traffic["jitter_ms"] <= traffic["delay_ms"] == delay_ms


def test_clocks_jump_either_way_and_drift_either_way():
    random = Random(1)
    jumps = [bump_ms(random) for _ in range(500)]
    assert {jump > 0 for jump in jumps} == {True, False}
    assert all(57 <= abs(jump) <= 288_000 for jump in jumps)
    assert all(50 <= abs(skew_ms(random)) <= 2000 for _ in range(500))
    rates = [drift(random) for _ in range(500)]
    assert all(0.2 <= rate <= 5 and abs(rate - 1) > 0.08 for rate in rates)
    assert 200 < sum(rate < 1 for rate in rates) < 300


# -- evidence


@every_kind
@pytest.mark.parametrize("target", ["one", "minority", "all"])
def test_what_shows_is_evidence_which_names_every_node_that_it_shows_at(fault, kind, target):
    what = of_kind(fault, kind, **({} if fault.name == "partition" else {"target": target}))
    evidence = fault.seen(what, shown(fault, what))
    assert evidence
    (first, *_) = evidence.values()
    assert isinstance(first, Mapping)
    assert set(first) == set(nodes_of(what))
    assert msgspec.json.decode(msgspec.json.encode(evidence))


@given(faults, observations, seeds)
def test_nothing_that_was_so_before_is_evidence(fault, now, seed):
    """Whatever was to be seen before the fault, and is to be seen unchanged, nobody believes."""
    view = View(FIVE, now)
    try:
        what = fault.resolve(drawn(fault, seed), view, Random(seed))
    except NothingToHit:
        return
    # Of those that are set rather than counted, what shows is only looked at where it cannot have been before.
    quiet = {node: replace(sight, stopped_share=0, memory_megabytes=0) for node, sight in now.sights.items()}
    now = with_sights(now, quiet)
    assert fault.seen(what, course(now, now, dict.fromkeys(nodes_of(what), False))) is None
    assert fault.seen(what, course(now, now)) is None


@given(st.sampled_from([FAULTS[name] for name in ("clients", "packets", "disk")]), observations, observations, seeds)
def test_a_counter_that_fell_or_stood_still_is_no_evidence(fault, before, now, seed):
    what = resolved(fault, seed)

    def lower(kind):
        def least(node):
            was, then = getattr(before.sights[node], kind), getattr(now.sights[node], kind)
            return {name: min(count, was.get(name, 0)) for name, count in then.items()}

        return {node: least(node) for node in FIVE}

    caught, packets, disk = lower("caught"), lower("packets"), lower("disk")
    fallen = {
        node: replace(now.sights[node], caught=caught[node], packets=packets[node], disk=disk[node]) for node in FIVE
    }
    assert fault.seen(what, course(before, with_sights(now, fallen))) is None


@every_kind
def test_what_shows_elsewhere_is_no_evidence(fault, kind):
    """Everything happens to everybody but to the nodes that were to be hit."""
    what = of_kind(fault, kind, **({"shape": "one"} if fault.name == "partition" else {"target": "minority"}))
    if fault.name == "partition":  # the loner and the others are all hit; leave out one of them
        what = {"nodes": ["n1"], "drops": {"n1": ["n2"]}}
    others = [node for node in FIVE if node not in nodes_of(what)]
    seen = shown(fault, {**what, "nodes": others} if fault.name != "partition" else {"nodes": others, "drops": {}})
    calm_ones = {node: calm().sights[node] for node in nodes_of(what)}
    now = with_sights(seen.now, calm_ones)
    if fault.name == "clock":
        wrong = {
            **now.statuses,
            **{node: status("n1", node, clock_ns=1000 * MS, time_ns=1000 * MS) for node in calm_ones},
        }
        now = Observation(0, now.sights, wrong)
    assert fault.seen(what, course(seen.before, now, dict.fromkeys(nodes_of(what), False))) is None


def test_a_partition_is_not_believed_while_anything_gets_through_or_where_nothing_was_dropped():
    partition = FAULTS["partition"]
    what = resolved(partition, shape="leader")
    seen = shown(partition, what)
    assert partition.seen(what, seen)["probes"] == {"heard_before": 8, "heard": 0}
    through = replace(seen.now, heard=frozenset([("n1", "n2")]))
    assert partition.seen(what, replace(seen, now=through)) is None
    for node in nodes_of(what):
        idle = with_sights(seen.now, {node: Sight(pid=1, caught={"partition": 0})})
        assert partition.seen(what, replace(seen, now=idle)) is None, f"a filter that caught nothing at {node}"


def test_a_kill_of_who_was_dead_already_or_came_back_is_not_believed():
    kill = FAULTS["kill"]
    what = resolved(kill, target="minority")
    seen = shown(kill, what)
    (node, other) = nodes_of(what)
    assert kill.seen(what, replace(seen, facts={node: True, other: False})) is None, "it had died by itself"
    assert kill.seen(what, replace(seen, facts=None)) is None, "nobody knows what was killed"
    alive = with_sights(seen.now, {node: Sight(pid=999)})
    assert kill.seen(what, replace(seen, now=alive)) is None


def test_a_quota_is_not_believed_while_one_of_its_nodes_was_not_throttled_since():
    slow = FAULTS["slow"]
    what = of_kind(slow, "quota", target="minority")
    (node, other) = nodes_of(what)
    before = with_sights(calm(), {other: Sight(pid=1, throttled_ms=70)})
    one = with_sights(before, {node: Sight(pid=1, throttled_ms=30)})
    assert slow.seen(what, course(before, one)) is None
    both = with_sights(one, {other: Sight(pid=1, throttled_ms=80)})
    assert slow.seen(what, course(before, both)) == {"throttled_ms": {node: 30, other: 10}}


def test_a_disk_of_its_own_is_believed_to_be_full_when_it_is_and_a_write_was_refused_or_a_while_has_passed():
    disk = FAULTS["disk"]
    what = of_kind(disk, "full", target="one")
    (node,) = nodes_of(what)

    def evidence(free_bytes, refused, passed_ms=0):
        sight = Sight(pid=1, disk_free_bytes=free_bytes, disk={"refused": refused})
        now = replace(with_sights(calm(), {node: sight}), time_ns=calm().time_ns + passed_ms * MS)
        return disk.seen(what, course(calm(), now))

    assert evidence(0, 1) == {"free_bytes": {node: 0}, "refused": {node: 1}}
    assert evidence(0, 0) is None
    assert evidence(0, 0, passed_ms=900) == {"free_bytes": {node: 0}, "refused": {}}
    assert evidence(4096, 1, passed_ms=900) is None
    full = with_sights(calm(), {node: Sight(pid=1, disk_free_bytes=0)})
    assert disk.standing(what, course(calm(), full)) == f"the disk of {node} is still full"


def test_packets_that_a_queue_held_are_not_called_lost():
    """What a rule hands to a queue is counted by the rule, too; what the queue drops it counts itself."""
    packets = FAULTS["packets"]
    what = of_kind(packets, "loss", target="one", loss=0.2, delay=50.0)
    (node,) = nodes_of(what)
    held = with_sights(calm(), {node: Sight(pid=1, caught={"packets": 90}, packets={"delayed": 90, "dropped": 0})})
    assert packets.seen(what, course(calm(), held))["unseen"] == [node]
    lost = with_sights(calm(), {node: Sight(pid=1, caught={"packets": 90}, packets={"delayed": 80, "dropped": 10})})
    assert packets.seen(what, course(calm(), lost)) == {
        "packets_delayed": {node: 80},
        "packets_dropped": {node: 10},
    }


@pytest.mark.parametrize("name", ["clients", "packets", "disk", "clock"])
def test_what_shows_at_one_node_proves_nothing_of_the_others(name):
    fault = FAULTS[name]
    kind = next(iter(fault.choices.get("kind", ("",))))
    what = of_kind(fault, kind, target="all")
    whole = shown(fault, what)
    only = with_sights(calm(), {"n1": whole.now.sights["n1"]})
    statuses = {node: (whole.now if node == "n1" else calm()).statuses[node] for node in FIVE}
    evidence = fault.seen(what, course(whole.before, replace(only, statuses=statuses)))
    assert unseen(evidence) == ("n2", "n3", "n4", "n5")
    assert not believed(evidence)
    assert believed(fault.seen(what, whole))


@every_kind
def test_what_is_in_force_is_not_lost_and_what_nobody_sees_any_more_is(fault, kind):
    given = {} if fault.name == "partition" else {"target": "all"}
    what = of_kind(fault, kind, **given, **({kind: 1000.0} if kind in ("offset", "step") else {}))
    whole = shown(fault, what)
    if fault.name == "slow":
        standing = Sight(pid=1, stopped_share=0.8, quota_ms=5)
        whole = replace(whole, now=with_sights(calm(), dict.fromkeys(FIVE, standing)))
    assert fault.lost(what, whole) is None
    gone = fault.lost(what, course(whole.before, calm()))
    if fault.name == "disk" or (kind in ("rate", "strobe") and fault.name == "clock"):
        assert gone is None, "its counters stand still, and a clock that flips is right every other time"
    else:
        assert all(node in gone for node in nodes_of(what))


@given(st.integers(-20 * MS, 20 * MS), st.integers(0, 10**12), st.integers(0, 5 * MS), st.integers(0, 5 * MS))
def test_a_clock_is_not_believed_to_be_wrong_by_what_its_reading_may_be_off(off_ns, passed_ns, first_ns, second_ns):
    clock = FAULTS["clock"]
    what = of_kind(clock, "offset", target="one")
    (node,) = nodes_of(what)
    then = replace(status("n1", node), error_ns=first_ns)
    later = replace(status("n1", node, clock_ns=passed_ns + off_ns, time_ns=passed_ns), error_ns=second_ns)
    before, now = (Observation(0, calm().sights, {node: one}) for one in (then, later))
    if abs(off_ns) <= first_ns + second_ns:
        assert clock.seen(what, course(before, now)) is None
    elif abs(off_ns) > 3 * max(1, first_ns + second_ns):
        assert clock.seen(what, course(before, now))["off_ms"] == {node: off_ns / MS}


def test_the_measured_rate_of_a_clock_is_in_its_evidence():
    clock = FAULTS["clock"]
    what = of_kind(clock, "rate", target="one", rate=1.5)
    (node,) = nodes_of(what)
    seen = [Observation(0, calm().sights, {node: status("n1", node, 1, 0, int(1.5 * t), t)}) for t in (0, 10**9)]
    evidence = clock.seen(what, Course(seen[0], seen[1], since=seen[0]))
    assert evidence == {"off_ms": {node: 500.0}, "rate": {node: 1.5}}


@pytest.mark.parametrize("node", ["a node that does not answer", "a node that did not answer before"])
def test_a_clock_that_cannot_be_read_is_not_seen_to_be_wrong(node):
    clock = FAULTS["clock"]
    what = of_kind(clock, "offset", target="one")
    silent = Observation(0, calm().sights, {})
    wrong = Observation(0, calm().sights, clocks(off_ns=10**10))
    seen = course(calm(), silent) if node == "a node that does not answer" else course(silent, wrong)
    assert clock.seen(what, seen) is None


# -- what is left


@every_kind
def test_nothing_is_left_of_a_fault_on_a_calm_cluster(fault, kind):
    assert fault.standing(of_kind(fault, kind), course(calm(), calm())) is None


LEFT = {
    "partition": (Sight(pid=1, caught={"partition": 0}), "still caught"),
    "clients": (Sight(pid=1, caught={"clients": 0}), "still caught"),
    "packets": (Sight(pid=1, caught={"packets": 0}), "still caught"),
    "kill": (Sight(pid=None), "did not start again"),
    "pause": (Sight(pid=1, paused=True), "still stand still"),
    "slow:duty": (Sight(pid=1, stopped_share=0.2), "still stand still"),
    "slow:quota": (Sight(pid=1, quota_ms=5), "still have a quota"),
    "memory": (Sight(pid=1, memory_megabytes=1), "still taken"),
    "disk": (Sight(pid=None), "did not start again"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_is_said_with_the_node_that_it_is_left_at(name):
    (fault, kind), (sight, words) = named(name), LEFT[name]
    what = of_kind(fault, kind)
    node = nodes_of(what)[0]
    said = fault.standing(what, course(calm(), with_sights(calm(), {node: sight})))
    assert words in said
    assert node in said


def test_a_clock_that_is_still_wrong_is_named_and_one_that_does_not_answer_is_not():
    clock = FAULTS["clock"]
    what = of_kind(clock, "offset", target="one")
    wrong = Observation(0, calm().sights, clocks(off_ns=10**9))
    assert nodes_of(what)[0] in clock.standing(what, course(calm(), wrong))
    assert clock.standing(what, course(calm(), Observation(0, calm().sights, {}))) is None


# -- what is done


class Deeds:
    """An environment that only remembers what it was told to do."""

    def __init__(self):
        self.done = []

    async def on_all(self, nodes, action):
        return {node: await action(node) for node in nodes}

    def __getattr__(self, verb):
        async def do(*arguments):
            self.done.append((verb, *arguments))
            return True

        return do


def carried_out(coroutine):
    with pytest.raises(StopIteration):
        coroutine.send(None)


def deeds(fault, step, what):
    environment = Deeds()
    carried_out(getattr(fault, step)(environment, msgspec.json.decode(msgspec.json.encode(what))))
    return environment.done


SOUND = {
    "partition": lambda nodes: [("heal",)],
    "clients": lambda nodes: [("cut_clients", ())],
    "packets": lambda nodes: [("shape", {})],
    "clock": lambda nodes: [("set_clock", node, ClockSetting()) for node in nodes],
    "kill": lambda nodes: [("start", node) for node in nodes],
    "pause": lambda nodes: [("resume", node) for node in nodes],
    "slow:duty": lambda nodes: [("slow", node, 0) for node in nodes],
    "slow:quota": lambda nodes: [("throttle", node, 0) for node in nodes],
    "memory": lambda nodes: [("hog", node, 0) for node in nodes],
}


@pytest.mark.parametrize("name", SOUND)
def test_the_end_of_a_fault_makes_its_nodes_sound_again(name):
    fault, kind = named(name)
    what = of_kind(fault, kind, **({} if name == "partition" else {"target": "minority"}))
    assert deeds(fault, "undo", what) == SOUND[name](nodes_of(what))


@pytest.mark.parametrize("kind", FAULTS["disk"].choices["kind"])
def test_a_disk_is_made_sound_before_its_node_starts_and_what_it_holds_is_lost_first(kind):
    what = of_kind(FAULTS["disk"], kind, target="one")
    (node,) = nodes_of(what)
    power_off = [("kill", node)] if kind == "lose" else []
    assert deeds(FAULTS["disk"], "undo", what) == [*power_off, ("set_disk", node, DiskSetting()), ("start", node)]


@every_kind
def test_a_fault_does_to_its_nodes_what_it_says_and_nothing_that_is_sound(fault, kind):
    what = of_kind(fault, kind, **({} if fault.name == "partition" else {"target": "one"}))
    verb = {"partition": "cut", "clients": "cut_clients", "packets": "shape", "clock": "set_clock", "memory": "hog"}
    ((done, *arguments),) = deeds(fault, "apply", what)
    assert done == ("throttle" if kind == "quota" else {**verb, "disk": "set_disk"}.get(fault.name, fault.name))
    assert not {ClockSetting(), DiskSetting(), Traffic(), 0} & set(map(_hashable, arguments))
    named = arguments[0] if isinstance(arguments[0], Mapping | tuple) else [arguments[0]]
    assert set(named) == set(nodes_of(what))


def _hashable(value):
    return tuple(value.values()) if isinstance(value, Mapping) else value
