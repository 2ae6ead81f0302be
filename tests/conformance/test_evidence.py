"""What is seen of nodes from outside, by which faults are believed: the same on every environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ground import EVERYWHERE, NODES
from harness.agent.traffic import Traffic
from harness.environments.base import Capability, Pair
from harness.environments.faults import ClockSetting, DiskSetting
from harness.errors import EnvironmentFailure
from stage import Stage

Play = Callable[[Callable[[Stage], Awaitable[None]]], None]
PAIRS = frozenset((source, destination) for source in NODES for destination in NODES if source != destination)


MOST = [ground for ground in EVERYWHERE if getattr(ground, "values", (ground,)) != ("ssh-containers",)]
"""An agent in a container does what it does there with `docker`, and one reached by SSH what it does in a namespace."""

pytestmark = pytest.mark.parametrize("ground", MOST, indirect=True)


def test_what_is_seen_of_a_node_follows_its_process(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        await stage.leader()
        first = await environment.observe("n2")
        assert first.pid is not None
        assert (first.paused, first.stopped_share, first.memory_megabytes) == (False, 0, 0)
        assert first.caught == {}
        assert await environment.pause("n2")
        assert (await environment.observe("n2")).paused
        assert (await environment.observe("n2")).pid == first.pid
        assert not (await environment.observe("n1")).paused
        await environment.resume("n2")
        assert not (await environment.observe("n2")).paused
        assert await environment.kill("n2")
        assert (await environment.observe("n2")).pid is None
        assert not await environment.kill("n2"), "there was nobody to kill"
        assert not await environment.pause("n2"), "there was nobody to pause"
        assert not (await environment.observe("n2")).paused
        await environment.start("n2")
        second = await environment.observe("n2")
        assert second.pid is not None
        assert second.pid != first.pid

    play(scenario)


async def hears(stage: Stage, deaf: frozenset[Pair]) -> None:
    """Wait until all pairs hear each other but those; they never do."""

    async def as_wanted() -> bool:
        heard = await stage.environment.heard(PAIRS)
        assert not heard & deaf
        return heard == PAIRS - deaf

    await stage.eventually(f"all hear each other but {sorted(deaf)}", as_wanted)


def test_a_cut_is_seen_where_packets_are_dropped_and_nowhere_else_and_only_while_it_is_in_force(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        stage.need(Capability.PARTITION)
        await hears(stage, frozenset())
        assert await environment.heard([]) == frozenset()
        assert await environment.heard([("n1", "n2")]) <= {("n1", "n2")}
        await environment.cut({"n2": frozenset({"n1"})})  # one way: n1 hears n2
        await hears(stage, frozenset({("n1", "n2")}))
        first = await stage.sight("n2", "dropped packets", lambda sight: sight.caught.get("partition", 0) > 0)
        await stage.sight("n2", "more of them", lambda sight: sight.caught["partition"] > first.caught["partition"])
        assert [set((await environment.observe(node)).caught) for node in ("n1", "n3")] == [set(), set()]
        await environment.cut({"n1": frozenset({"n2", "n3"}), "n3": frozenset({"n1"})})  # instead of the first
        await hears(stage, frozenset({("n2", "n1"), ("n3", "n1"), ("n1", "n3")}))
        assert [set((await environment.observe(node)).caught) for node in NODES] == [
            {"partition"},
            set(),
            {"partition"},
        ]
        await environment.heal()
        await hears(stage, frozenset())
        assert [(await environment.observe(node)).caught for node in NODES] == [{}, {}, {}]

    play(scenario)


def test_a_leader_that_is_cut_off_from_its_clients_leads_on(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        stage.need(Capability.CLIENTS)
        leader = await stage.leader()
        term = (await stage.status(leader))["term"]
        await environment.cut_clients([leader])

        async def mute() -> bool:
            return await stage.tried_status(leader) == {}

        await stage.eventually(f"{leader} does not hear us", mute)
        await stage.sight(leader, "our packets are dropped", lambda sight: sight.caught.get("clients", 0) > 0)
        await hears(stage, frozenset())
        for node in set(NODES) - {leader}:
            status = await stage.status(node)
            assert (status["leader"], status["term"]) == (leader, term)
        await environment.cut_clients([])
        assert await stage.leader() == leader
        assert (await environment.observe(leader)).caught == {}

    play(scenario)


SHAPES = {
    "delayed": (Traffic(delay_ms=30, jitter_ms=10), Capability.PACKET_QUEUE),
    "duplicated": (Traffic(duplicate=0.5), Capability.PACKET_DUPLICATE),
    "reordered": (Traffic(delay_ms=30, jitter_ms=20, reorder=0.5), Capability.PACKET_QUEUE),
}


@pytest.mark.parametrize("fate", SHAPES)
def test_shaped_traffic_is_counted_at_its_node_by_what_became_of_it_and_is_let_go_again(play: Play, fate: str) -> None:
    traffic, need = SHAPES[fate]

    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        stage.need(need)
        await stage.leader()
        before = (await environment.observe("n1")).packets.get(fate, 0)
        await environment.shape({"n1": traffic})

        async def met_it() -> bool:  # a packet overtakes others only where there are some
            await stage.write("n1", 4)
            return (await environment.observe("n1")).packets.get(fate, 0) > before

        await stage.eventually(f"packets are {fate}", met_it)
        assert "packets" in (await environment.observe("n1")).caught
        assert "packets" not in (await environment.observe("n2")).caught
        await stage.write("n1", 5)
        await environment.shape({})
        assert (await environment.observe("n1")).caught == {}
        await hears(stage, frozenset())
        assert await stage.read("n1") == 5

    play(scenario)


def test_packets_that_are_lost_slow_or_late_are_not_heard_in_time_and_then_are_again(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        stage.need(Capability.PACKET_LOSS, Capability.PACKET_QUEUE)
        await stage.leader()
        to_n1 = frozenset({("n2", "n1"), ("n3", "n1")})
        for traffic in (Traffic(loss=1.0), Traffic(delay_ms=400), Traffic(rate_kbit=1)):
            await environment.shape({"n1": traffic})

            async def late() -> bool:
                return not await environment.heard(to_n1) & to_n1

            await stage.eventually(f"{traffic} lets nothing through in time", late)
            await stage.sight("n1", "it is caught", lambda sight: sight.caught.get("packets", 0) > 0)
            assert await environment.heard({("n1", "n2"), ("n3", "n2")}), "others hear as ever"
            await environment.shape({})
            await hears(stage, frozenset())
        await stage.leader()

    play(scenario)


def test_a_slow_node_stands_still_for_its_share_of_the_time(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        stage.need(Capability.SLOW)
        await stage.leader()
        await environment.slow("n1", 0.7)
        seen = await stage.sight("n1", "it stands still", lambda sight: 0.5 < sight.stopped_share < 0.95)
        assert not seen.paused, "it goes on in between"
        assert (await environment.observe("n2")).stopped_share == 0
        assert (await stage.status("n1"))["node"] == "n1"
        await environment.slow("n1", 0)
        seen = await environment.observe("n1")
        assert (seen.stopped_share, seen.paused) == (0, False)
        await stage.leader()

    play(scenario)


def test_a_node_with_a_small_quota_is_throttled_for_as_long_as_it_has_it(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        if Capability.CPU_QUOTA not in environment.capabilities:
            with pytest.raises(EnvironmentFailure, match="cannot limit the processor"):
                await environment.throttle("n1", 5)
            return
        await stage.leader()
        before = await environment.observe("n1")
        assert before.quota_ms == 0
        await environment.throttle("n1", 4)
        seen = await stage.sight("n1", "throttled", lambda sight: sight.throttled_ms > before.throttled_ms + 200)
        assert (seen.quota_ms, seen.paused, seen.pid) == (4, False, before.pid)
        assert (await environment.observe("n2")).quota_ms == 0
        assert (await stage.status("n1"))["node"] == "n1"
        await environment.throttle("n1", 0)
        seen = await environment.observe("n1")
        assert seen.quota_ms == 0
        await stage.leader()
        await stage.write("n1", 6)
        assert (await environment.observe("n1")).throttled_ms == seen.throttled_ms, "not since"

    play(scenario)


def test_memory_is_taken_beside_a_node_and_given_back(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.need(Capability.MEMORY)
        await stage.environment.hog("n1", 64)
        await stage.sight("n1", "the memory is taken", lambda sight: 60 <= sight.memory_megabytes < 120)
        assert (await stage.environment.observe("n2")).memory_megabytes == 0
        await stage.environment.hog("n1", 0)
        assert (await stage.environment.observe("n1")).memory_megabytes == 0
        await stage.leader()

    play(scenario)


DISKS = {
    "delayed": DiskSetting(sync_delay_ms=100),
    "failed": DiskSetting(sync_error=True),
    "refused": DiskSetting(full=True),
    "held": DiskSetting(volatile=True),
}


@pytest.mark.parametrize("deed", DISKS)
def test_a_disk_does_to_writes_what_it_is_set_to_and_its_node_comes_back_when_it_is_sound(
    play: Play, deed: str
) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        stage.need(Capability.DISK)
        node = await stage.leader()
        other = next(peer for peer in NODES if peer != node)
        before = (await environment.observe(node)).disk.get(deed, 0)
        await environment.set_disk(node, DISKS[deed])
        written = 0

        async def risen() -> bool:
            nonlocal written
            written += 1
            await stage.write(other, written)
            return (await environment.observe(node)).disk.get(deed, 0) > before

        await stage.eventually(f"a write was {deed}", risen)
        if deed == "refused":
            assert (await environment.observe(node)).disk_free_bytes in (0, None), "none is left, if it has a disk"
        if deed in ("failed", "refused"):
            await stage.sight(
                node, "it has ended, as nobody knows what is on its disk", lambda sight: sight.pid is None
            )
        await environment.kill(node)
        await environment.set_disk(node, DiskSetting())
        await environment.start(node)
        await stage.leader()
        assert await stage.read(node) == written
        assert (await environment.observe(node)).disk_free_bytes != 0

    play(scenario)


def test_a_strobing_clock_is_wrong_and_right_by_turns(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.need(Capability.CLOCK_RATE)

        async def error_s() -> float:
            status = await stage.status("n1")
            return float(status["clock_ns"] - stage.environment.now_ns()) / 1e9

        right_s = await error_s()
        await stage.environment.set_clock("n1", ClockSetting(offset_ms=20_000, strobe_ms=150))
        seen: set[int] = set()

        async def both() -> bool:
            seen.add(round(await error_s() - right_s))
            return {0, 20} <= seen

        await stage.eventually("the clock is right, and off by 20 s", both)
        await stage.environment.set_clock("n1", ClockSetting())

        async def right() -> bool:
            return abs(await error_s() - right_s) < 1

        await stage.eventually("the clock is right", right)

    play(scenario)


def test_an_agent_that_is_killed_is_replaced_and_nothing_that_it_did_is_lost(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        await stage.leader()
        before = await environment.observe("n2")
        await environment.cut({"n2": frozenset({"n1"})})
        await environment.slow("n3", 0.5)
        for node in NODES:
            await stage.ground.kill_agent(node)
        seen = await environment.observe("n2")
        assert seen.pid == before.pid
        assert "partition" in seen.caught
        await hears(stage, frozenset({("n1", "n2")}))
        await stage.sight("n3", "it is slow as ever", lambda sight: sight.stopped_share > 0.2)
        await environment.slow("n3", 0)
        assert await environment.kill("n2")
        await environment.start("n2")
        await environment.heal()
        await hears(stage, frozenset())
        await stage.leader()

    play(scenario)


def test_a_teardown_in_the_middle_of_everything_leaves_nothing(play: Play) -> None:
    """`play` sees what is left."""

    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        await environment.cut({"n2": frozenset({"n1"})})
        await environment.cut_clients(["n3"])
        if Capability.PACKET_QUEUE in environment.capabilities:
            await environment.shape({"n1": Traffic(delay_ms=50)})
        if Capability.MEMORY in environment.capabilities:
            await environment.hog("n1", 16)
        await environment.slow("n1", 0.9)
        await environment.pause("n2")
        await environment.set_disk("n3", DiskSetting(sync_delay_ms=1000))

    play(scenario)
