"""Faults of simulated servers: failing disks, lost power, slow processors, strobing clocks, unheard clients."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from harness.adapters.base import Definite, Indefinite
from harness.adapters.raft_register import RaftRegister
from harness.agent.traffic import Traffic
from harness.cluster import Cluster
from harness.environments.base import CallFailed, ConnectFailed
from harness.environments.faults import ClockSetting, DiskSetting
from harness.environments.sim.environment import SimEnvironment

NODES = ("n1", "n2", "n3")
HOUR_MS = 3_600_000.0


class Simulation:
    """Three simulated nodes, and the ways in which the tests below use them."""

    def __init__(self, directory, seed=1, mutant=None):
        adapter = RaftRegister(mutant=mutant)
        self.environment = SimEnvironment(NODES, lambda notice: None, adapter, seed, directory)
        self.cluster = Cluster(self.environment, adapter)
        self.hosts = self.environment.hosts

    def run(self, test):
        """What `test(self)` returns, once the nodes are healthy."""

        async def main():
            await self.environment.setup()
            try:
                await self.healthy()
                return await test(self)
            finally:
                await self.environment.teardown()

        return self.environment.run(main)

    async def healthy(self):
        assert await self.cluster.wait_healthy(30) is None

    async def leader(self):
        (leader,) = (await self.cluster.observe()).leaders
        return leader

    async def follower(self):
        leader = await self.leader()
        return next(node for node in NODES if node != leader)

    async def client(self, node="n1", timeout_s=5.0):
        client = RaftRegister().client(self.environment, node, timeout_s)
        await client.open()
        return client

    async def eventually(self, condition):
        for _ in range(3000):
            if condition():
                return
            await self.environment.sleep(0.01)
        raise AssertionError("not within 30 s")

    async def clock_error_s(self, node):
        status = (await self.cluster.statuses())[node]
        return (status.clock_ns - self.environment.now_ns()) / 1e9

    def disk(self, node):
        return {name: value for name, value in msgspec.structs.asdict(self.hosts[node].disk.seen).items() if value}


@pytest.fixture
def simulation(tmp_path):
    return Simulation(tmp_path)


@pytest.mark.parametrize(
    ("setting", "counter", "words"),
    [(DiskSetting(sync_error=True), "failed", "input/output"), (DiskSetting(full=True), "refused", "no space")],
)
def test_a_disk_that_fails_ends_the_server_which_goes_on_when_the_disk_is_sound_again(
    simulation, setting, counter, words
):
    async def test(simulation):
        environment, hosts = simulation.environment, simulation.hosts
        node = await simulation.follower()
        client = await simulation.client()
        await environment.set_disk(node, setting)
        await client.write(1, "during")
        await simulation.eventually(lambda: not hosts[node].running)
        assert words in hosts[node].disk_error
        assert simulation.disk(node) == {counter: 1}
        await client.write(2, "a majority goes on")
        await environment.start(node)
        await simulation.eventually(lambda: not hosts[node].running)
        assert simulation.disk(node)[counter] == 2, "a sick disk ends the next life too"
        await environment.set_disk(node, DiskSetting())
        await environment.start(node)
        await simulation.healthy()
        assert hosts[node].disk_error is None

    simulation.run(test)


def test_a_slow_disk_delays_what_waits_for_it_until_it_is_fast_again(simulation):
    async def test(simulation):
        environment = simulation.environment
        client = await simulation.client(await simulation.leader())
        await client.write(1, "fast")
        for node in NODES:
            await environment.set_disk(node, DiskSetting(sync_delay_ms=300))
        begin_ns = environment.now_ns()
        await client.write(1, "slow")
        assert 0.3 <= (environment.now_ns() - begin_ns) / 1e9 < 0.4
        for node in NODES:
            await environment.set_disk(node, DiskSetting(sync_delay_ms=HOUR_MS))
        done = []

        async def write():
            done.append(await client.write(1, "held up"))

        environment.spawn(write())
        await environment.sleep(0.5)
        assert done == []
        for node in NODES:
            await environment.set_disk(node, DiskSetting())
        await environment.sleep(0.05)
        assert len(done) == 1
        return [simulation.disk(node) for node in NODES]

    assert simulation.run(test).count({"delayed": 2}) >= 2


async def lose_power(simulation, node):
    """The end of a machine, of which an environment's contract knows nothing."""
    simulation.hosts[node].lose_power()


async def crash_all(simulation, crash):
    """Write while all crash at some moment, and start again; return the writes that were acknowledged and are gone."""
    environment, acknowledged, crashed = simulation.environment, {}, []

    async def write(first):
        client = RaftRegister().client(environment, NODES[first % 3], 2.0)
        try:
            await client.open()
            for key in range(first, 10_000, 10):
                if crashed:
                    return
                acknowledged[key] = await client.write(key, key)
        except (Definite, Indefinite):
            return

    for node in NODES:
        await environment.set_disk(node, DiskSetting(sync_delay_ms=20, volatile=crash == "kill"))
    for first in range(10):
        environment.spawn(write(first))
    await environment.sleep(0.3)
    for node in NODES:
        await (environment.kill(node) if crash == "kill" else lose_power(simulation, node))
    before = dict(acknowledged)
    crashed.extend(NODES)
    for node in NODES:
        await environment.set_disk(node, DiskSetting())
        await environment.start(node)
    await simulation.healthy()
    client = await simulation.client()
    lost = [key for key in before if await client.read(key) != (key, 1)]
    assert len(before) > 20
    return lost, sum(simulation.disk(node).get("lost_bytes", 0) for node in NODES)


@pytest.mark.parametrize("crash", ["kill", "power"])
def test_what_was_acknowledged_survives_a_crash_of_all_disks_unless_it_was_not_synced(tmp_path, crash):
    """A sound node loses bytes but no promise. D1, which acknowledges before it syncs, loses what it acknowledged."""
    lost = {}
    for mutant in (None, "D1"):
        outcomes = [
            Simulation(tmp_path / f"{mutant}{seed}", seed, mutant).run(lambda s: crash_all(s, crash))
            for seed in range(6)
        ]
        assert sum(bytes_lost > 0 for _, bytes_lost in outcomes) >= 4, "the fault bites"
        lost[mutant] = sum(len(keys) for keys, _ in outcomes)
    assert lost[None] == 0
    assert lost["D1"] > 0


def test_a_kill_on_a_sound_disk_loses_nothing_that_was_written(simulation):
    async def test(simulation):
        node = await simulation.follower()
        await simulation.environment.kill(node)
        await simulation.environment.start(node)
        await simulation.healthy()
        return simulation.disk(node)

    assert simulation.run(test) == {}


def test_an_orderly_stop_on_a_volatile_disk_loses_nothing(simulation):
    async def test(simulation):
        environment, node = simulation.environment, await simulation.follower()
        client = await simulation.client()
        await environment.set_disk(node, DiskSetting(volatile=True, sync_delay_ms=HOUR_MS))
        await client.write(1, 1)
        await simulation.eventually(lambda: simulation.disk(node).get("held_bytes", 0))
        await environment.stop(node)
        await environment.start(node)
        seen = simulation.disk(node)
        assert seen["held"] >= 1
        return seen.get("lost_bytes", 0)

    assert simulation.run(test) == 0


def test_a_slow_server_stands_still_for_its_share_of_the_time(simulation):
    async def test(simulation):
        environment = simulation.environment
        node = await simulation.follower()
        connection = await environment.connect(node, 1.0)
        frame = msgspec.msgpack.encode({"type": "status", "id": 1})

        async def share_delayed():
            delayed = 0
            for _ in range(2000):
                begin_ns = environment.now_ns()
                await connection.call(frame, 5.0)
                delayed += environment.now_ns() - begin_ns > 1_500_000
                await environment.sleep(0.0071)
            return delayed / 2000

        assert await share_delayed() == 0
        await environment.slow(node, 0.75)
        slow = await share_delayed()
        standstills = simulation.hosts[node].standstills
        await environment.slow(node, 0)
        assert await share_delayed() == 0
        assert simulation.hosts[node].standstills == standstills
        return slow, standstills

    slow, standstills = simulation.run(test)
    # A question within the 75 ms waits 37 ms on average, so that there are fewer of them than 3 in 4.
    assert 0.2 < slow < 0.5
    assert standstills > 100


def test_slowness_outlives_the_server_and_does_not_wake_who_was_paused(simulation):
    async def test(simulation):
        environment = simulation.environment
        node = await simulation.follower()
        await environment.slow(node, 0.5)
        await environment.kill(node)
        await environment.start(node)
        before = simulation.hosts[node].standstills
        await environment.sleep(2)
        assert simulation.hosts[node].standstills >= before + 15
        await environment.pause(node)
        await environment.sleep(2)
        assert node not in await simulation.cluster.statuses()
        await environment.resume(node)
        await environment.slow(node, 0)
        await simulation.healthy()
        with pytest.raises(ValueError, match=r"slow 1: must be from 0 to 1"):
            await environment.slow(node, 1)

    simulation.run(test)


def test_who_is_cut_off_from_clients_is_not_cut_off_from_peers(simulation):
    async def test(simulation):
        environment = simulation.environment
        leader = await simulation.leader()
        connection = await environment.connect(leader, 1.0)
        await environment.cut_clients(frozenset([leader]))
        begin_ns = environment.now_ns()
        with pytest.raises(ConnectFailed, match="timed out"):
            await environment.connect(leader, 0.5)
        assert environment.now_ns() - begin_ns == 500_000_000
        with pytest.raises(CallFailed, match="timed out"):
            await connection.call(msgspec.msgpack.encode({"type": "status", "id": 1}), 0.5)
        await environment.sleep(5)
        others = [status.leader for node, status in (await simulation.cluster.statuses()).items() if node != leader]
        assert others == [leader, leader]
        await environment.cut_clients(frozenset())
        await simulation.healthy()
        return environment.network.counts[leader].refused

    assert simulation.run(test) >= 2


def test_a_strobing_clock_is_wrong_and_right_by_turns_and_its_node_bears_it(simulation):
    async def test(simulation):
        environment = simulation.environment
        simulation.hosts["n3"].set_clock(ClockSetting(offset_ms=60_000, strobe_ms=200))
        errors = []
        for _ in range(10):
            errors.append(round(await simulation.clock_error_s("n3"), 1))
            await environment.sleep(0.2 - environment.now_ns() % 1000 / 1e9)
        simulation.hosts["n3"].set_clock(ClockSetting())
        await simulation.healthy()
        return errors

    assert sorted(set(simulation.run(test))) == [0, 60]


async def everything(simulation):
    """All faults at once, on everybody; return the counters of what they did."""
    environment = simulation.environment

    async def write(first):
        client = RaftRegister().client(environment, NODES[first], 1.0)
        for key in range(first, 300, 3):
            try:
                await client.open()
                await client.write(key, key)
            except (Definite, Indefinite):
                await environment.sleep(0.05)

    traffic = Traffic(5, 5, 0.05, 0.05, 0.1, 2000)
    await environment.shape(dict.fromkeys(NODES, traffic))
    for first, node in enumerate(NODES):
        await environment.set_disk(node, DiskSetting(sync_delay_ms=3, volatile=True))
        await environment.slow(node, 1 / 3)
        simulation.hosts[node].set_clock(ClockSetting(rate=1.2, strobe_ms=70))
        environment.spawn(write(first))
    for round_number in range(6):
        node = NODES[round_number % 3]
        await environment.sleep(0.7)
        await (environment.kill(node) if round_number % 2 else lose_power(simulation, node))
        await environment.cut_clients(frozenset([NODES[(round_number + 1) % 3]]))
        await environment.cut({node: frozenset([NODES[(round_number + 2) % 3]])})
        await environment.start(node)
    return {node: (asdict(environment.network.counts[node]), simulation.disk(node)) for node in NODES}


def digest(directory):
    """A digest of the traces and counters of a run with all faults."""
    counters = Simulation(directory, seed=3).run(everything)
    traces = [(directory / node / "trace.jsonl").read_bytes() for node in NODES]
    return sha256(b"".join([*traces, repr(counters).encode()])).hexdigest()


def test_all_faults_together_repeat_to_the_byte_in_any_process(tmp_path):
    def elsewhere(hash_seed):
        command = [sys.executable, __file__, str(tmp_path / hash_seed)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout.strip()

    counters = Simulation(tmp_path / "here", seed=3).run(everything)
    for packets, disk in counters.values():
        assert all(packets.values()), packets
        assert {"delayed", "held"} <= disk.keys()
    assert any("lost_bytes" in disk for _, disk in counters.values())
    assert elsewhere("1") == elsewhere("2") == digest(tmp_path / "again")


if __name__ == "__main__":
    print(digest(Path(sys.argv[1])))
