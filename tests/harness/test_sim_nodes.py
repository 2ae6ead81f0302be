"""Simulated servers: death loses nothing that was written, standstill nothing at all, and connections are honest."""

from __future__ import annotations

import json

import msgspec
import pytest

from harness.adapters.raft_register import RaftRegister
from harness.cluster import Cluster
from harness.environments.base import CallFailed, ConnectFailed
from harness.environments.faults import ClockSetting
from harness.environments.sim.environment import SimEnvironment
from harness.errors import UsageError

NODES = ("n1", "n2", "n3")


@pytest.fixture
def simulated(tmp_path):
    """A function: what `test(environment, cluster)` returns, run on three healthy simulated nodes."""

    def run(test, seed=1):
        environment = SimEnvironment(NODES, lambda notice: None, RaftRegister(), seed, tmp_path)
        cluster = Cluster(environment, RaftRegister())

        async def main():
            await environment.setup()
            assert await cluster.wait_healthy(10) is None
            try:
                return await test(environment, cluster)
            finally:
                await environment.teardown()

        return environment.run(main)

    return run


async def leader_of(cluster):
    (leader,) = (await cluster.observe()).leaders
    return leader


async def status(connection, timeout_s=1.0):
    frame = msgspec.msgpack.encode({"type": "status", "id": 1})
    return msgspec.msgpack.decode(await connection.call(frame, timeout_s))


async def opened(environment, node="n1"):
    client = RaftRegister().client(environment, node, 2.0)
    await client.open()
    return client


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_of_all_loses_nothing_that_was_acknowledged(simulated, seed):
    async def test(environment, cluster):
        client = await opened(environment)
        written = {key: await client.write(key, key * 10) for key in range(20)}
        for node in NODES:
            await environment.kill(node)
            assert not await environment.running(node)
        for node in NODES:
            await environment.start(node)
        assert await cluster.wait_healthy(20) is None
        client = await opened(environment)
        return [await client.read(key) == (key * 10, version) for key, version in written.items()]

    assert all(simulated(test, seed))


def test_who_stands_still_does_not_answer_and_answers_when_it_goes_on(simulated):
    async def test(environment, cluster):
        connection = await environment.connect("n1", 1.0)
        await environment.pause("n1")
        assert await environment.running("n1")
        answers = []

        async def ask():
            answers.append(await status(connection, timeout_s=30.0))

        environment.spawn(ask())
        await environment.sleep(5)
        assert answers == []
        fresh = await environment.connect("n1", 1.0)  # the kernel still accepts
        with pytest.raises(CallFailed, match="timed out"):
            await status(fresh, timeout_s=0.5)
        await environment.resume("n1")
        await environment.sleep(0.1)
        return answers

    assert [answer["node"] for answer in simulated(test)] == ["n1"]


def test_a_connection_that_timed_out_is_closed(simulated):
    async def test(environment, cluster):
        connection = await environment.connect("n1", 1.0)
        await environment.pause("n1")
        with pytest.raises(CallFailed):
            await status(connection, timeout_s=0.5)
        await environment.resume("n1")
        with pytest.raises(CallFailed, match="closed"):
            await status(connection)

    simulated(test)


def test_nobody_listens_at_a_dead_node(simulated):
    async def test(environment, cluster):
        await environment.kill("n2")
        with pytest.raises(ConnectFailed, match="n2"):
            await environment.connect("n2", 1.0)

    simulated(test)


def test_a_connection_does_not_survive_the_node_it_was_made_to(simulated):
    async def test(environment, cluster):
        connection = await environment.connect("n2", 1.0)
        assert (await status(connection))["node"] == "n2"
        await environment.kill("n2")
        await environment.start("n2")
        with pytest.raises(CallFailed, match="connection lost"):
            await status(connection)

    simulated(test)


def test_whoever_waits_for_an_answer_learns_of_the_death_of_the_node(simulated):
    async def test(environment, cluster):
        leader = await leader_of(cluster)
        client = await opened(environment, leader)
        await environment.cut({node: frozenset(NODES) - {node} for node in NODES})
        begin_ns, failed = environment.now_ns(), []

        async def ask():
            connection = await environment.connect(leader, 1.0)
            frame = msgspec.msgpack.encode({"type": "request", "id": 1, "op": "read", "key": "1"})
            with pytest.raises(CallFailed, match="connection lost"):
                await connection.call(frame, 60.0)
            failed.append(environment.now_ns())

        environment.spawn(ask())
        await environment.sleep(0.05)
        await environment.kill(leader)
        await environment.sleep(1)
        client.close()
        return (failed[0] - begin_ns) / 1e9

    assert simulated(test) < 0.1


def test_a_cut_separates_and_a_heal_unites(simulated):
    async def test(environment, cluster):
        leader = await leader_of(cluster)
        others = frozenset(NODES) - {leader}
        await environment.cut({leader: others, **{node: frozenset([leader]) for node in others}})
        await environment.sleep(5)
        during = (await cluster.observe()).leaders
        await environment.heal()
        assert await cluster.wait_healthy(10) is None
        return leader, during

    leader, during = simulated(test)
    assert [node for node in during if node != leader], "the others have elected one of their own"


def test_a_clock_shows_what_it_was_set_to_also_after_a_restart(simulated):
    async def test(environment, cluster):
        await environment.set_clock("n3", ClockSetting(offset_ms=60_000))
        shown = []
        for _ in range(2):
            here, there = [(await cluster.statuses())[node].clock_ns for node in ("n1", "n3")]
            shown.append((there - here) / 1e9)
            await environment.kill("n3")
            await environment.start("n3")
        await environment.set_clock("n3", ClockSetting())
        here, there = [(await cluster.statuses())[node].clock_ns for node in ("n1", "n3")]
        return [*shown, (there - here) / 1e9]

    assert simulated(test) == [pytest.approx(60, abs=0.1), pytest.approx(60, abs=0.1), pytest.approx(0, abs=0.1)]


def test_what_is_not_so_is_left_alone(simulated):
    async def test(environment, cluster):
        await environment.start("n1")
        await environment.resume("n1")
        await environment.kill("n2")
        await environment.kill("n2")
        await environment.pause("n2")
        await environment.stop("n2")
        assert [await environment.running(node) for node in NODES] == [True, False, True]
        await environment.start("n2")
        assert await cluster.wait_healthy(10) is None
        await environment.teardown()

    simulated(test)


def test_traces_are_fetched_to_where_they_are_wanted(simulated, tmp_path):
    async def test(environment, cluster):
        await environment.fetch(tmp_path / "elsewhere")

    simulated(test)
    for node in NODES:
        lines = (tmp_path / "elsewhere" / node / "trace.jsonl").read_text().splitlines()
        assert {json.loads(line)["node"] for line in lines} == {node}


def test_an_unknown_mutant_cannot_be_had(tmp_path):
    environment = SimEnvironment(NODES, lambda notice: None, RaftRegister(mutant="nonsense"), 1, tmp_path)
    with pytest.raises(UsageError, match="nonsense"):
        environment.run(environment.setup)
