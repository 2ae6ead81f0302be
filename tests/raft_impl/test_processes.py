"""Real processes on loopback: they elect, serve, survive kill -9, redirect, and refuse nonsense in one line."""

import asyncio
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from raft_impl.client import Client, OperationFailedError, OperationUnknownError
from raft_impl.codec import frame
from raft_impl.host import DiskFailedError, Host, HostConfig
from raft_impl.jsonlog import JsonLog
from raft_impl.node import Node, NodeConfig
from raft_impl.storage.memory import MemoryFiles
from waiting import eventually

DEADLINE_S = 20


class Servers:
    """Nodes n1 .. nN, each on a loopback address of its own that nobody else uses."""

    def __init__(self, directory, count=3):
        network = f"127.{os.urandom(1)[0] % 200 + 20}.{os.urandom(1)[0]}"
        self.directory = directory
        self.addresses = {f"n{number}": (f"{network}.{number}", 7000) for number in range(1, count + 1)}
        self.processes = {}

    def command(self, name, *extra):
        host, port = self.addresses[name]
        command = [sys.executable, "-m", "raft_impl", "--id", name, "--listen", f"{host}:{port}"]
        for peer, (host, port) in self.addresses.items():
            if peer != name:
                command += ["--peer", f"{peer}={host}:{port}"]
        files = ["--data", f"{self.directory}/{name}", "--log", f"{self.directory}/{name}.log"]
        return [*command, *files, "--trace", f"{self.directory}/{name}.trace", *extra]

    def start(self, *names, extra=()):
        for name in names or self.addresses:
            self.processes[name] = subprocess.Popen(
                self.command(name, *extra), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        for name in names or self.addresses:
            pid = self.processes[name].pid
            eventually(f"{name} listens", lambda n=name, p=pid: self.events(n, "listening", pid=p), DEADLINE_S)

    def events(self, name, event, **fields):
        """Return the log's lines of that event."""
        try:
            lines = (self.directory / f"{name}.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [one for one in found if one["event"] == event and fields.items() <= one.items()]

    def stop(self, name, number=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            _, stderr = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
        return process.returncode, stderr

    def run(self, *names):
        """Return (exit status, stderr) of a node that is expected to end by itself."""
        done = subprocess.run(self.command(*names), capture_output=True, text=True, timeout=DEADLINE_S)
        return done.returncode, done.stderr

    def client(self, *names):
        addresses = {name: self.addresses[name] for name in names or self.addresses}
        return Client(addresses, timeout_s=DEADLINE_S)


def stopping(servers):
    yield servers
    for name in list(servers.processes):
        servers.stop(name, signal.SIGKILL)


@pytest.fixture
def servers(tmp_path):
    yield from stopping(Servers(tmp_path))


@pytest.fixture
def alone(tmp_path):
    """One node that is a whole cluster: it leads, and nobody else has a copy."""
    yield from stopping(Servers(tmp_path, count=1))


async def leader_of(client, names):
    """Return the name of a node that leads."""
    for _ in range(DEADLINE_S * 20):
        for name in names:
            try:
                if (await client.status(name)).role == "leader":
                    return name
            except (OperationFailedError, OperationUnknownError):
                continue
        await asyncio.sleep(0.05)
    raise AssertionError("no leader")


async def exchange(address, *requests):
    """Return the answers to raw frames, decoded without raft_impl's own types."""
    reader, writer = await asyncio.open_connection(*address)
    answers = []
    for request in requests:
        writer.write(frame(request))
        size = int.from_bytes(await reader.readexactly(4), "big")
        answers.append(msgspec.msgpack.decode(await reader.readexactly(size)))
    writer.close()
    return answers


def test_three_nodes_serve_and_survive_the_kill_of_each(servers):
    servers.start()

    async def use():
        async with servers.client() as client:
            await client.open_session()
            for number, name in enumerate(servers.addresses, 1):
                assert await client.write("x", number) == number
                servers.stop(name, signal.SIGKILL)
                assert await client.read("x") == (number, number)
                servers.start(name)
            assert await client.cas("x", 3, "done") == 4
            with pytest.raises(OperationFailedError) as failure:
                await client.cas("x", 3, "again")
            assert (failure.value.code, failure.value.reply.value) == ("mismatch", "done")

    asyncio.run(use())
    assert servers.events("n1", "listening", boot=2)


def test_all_nodes_killed_at_once_remember_what_they_acknowledged(servers):
    servers.start()

    async def write():
        async with servers.client() as client:
            for number in range(50):
                await client.write(f"k{number}", number)

    async def read():
        async with servers.client() as client:
            return [await client.read(f"k{number}") for number in range(50)]

    asyncio.run(write())
    for name in servers.addresses:
        servers.stop(name, signal.SIGKILL)
    servers.start()
    assert asyncio.run(read()) == [(number, 1) for number in range(50)]


def test_the_wire_protocol_is_what_the_documentation_says(servers):
    servers.start()

    async def use():
        async with servers.client() as client:
            leader = await leader_of(client, servers.addresses)
            await client.write("x", 1)
        follower = next(name for name in servers.addresses if name != leader)
        read = {"type": "request", "id": 7, "op": "read", "key": "x"}
        wait = asyncio.get_running_loop().time() + DEADLINE_S
        while asyncio.get_running_loop().time() < wait:
            status, redirect = await exchange(servers.addresses[follower], {"type": "status", "id": 3}, read)
            if status["leader"] == leader:
                break
        assert (redirect["error"], redirect["leader"], redirect["definite"]) == ("not_leader", leader, True)
        (reply,) = await exchange(servers.addresses[leader], read)
        assert reply == {
            "type": "reply", "id": 7, "ok": True, "value": 1, "version": 1, "session": None,
            "error": None, "definite": None, "message": None, "leader": None,
        }  # fmt: skip
        assert list(status) == [
            "type", "id", "node", "role", "term", "leader", "commit", "applied", "last", "clock_ns", "boot", "pid",
            "mutant",
        ]  # fmt: skip
        assert (status["type"], status["id"], status["node"], status["boot"]) == ("status", 3, follower, 1)
        assert status["pid"] == servers.processes[follower].pid
        (refusal,) = await exchange(servers.addresses[leader], {"type": "nonsense"})
        assert (refusal["ok"], refusal["error"]) == (False, "bad_request")

    asyncio.run(use())


def test_a_silent_peer_is_dialled_anew_and_catches_up(servers):
    servers.start()

    async def use():
        async with servers.client() as client:
            leader = await leader_of(client, servers.addresses)
            paused = next(name for name in servers.addresses if name != leader)
            before = len(servers.events(leader, "link_up", peer=paused))
            servers.processes[paused].send_signal(signal.SIGSTOP)
            await client.write("x", 1)
            eventually(
                "the leader gives the connection up",
                lambda: servers.events(leader, "link_down", peer=paused),
                DEADLINE_S,
            )
            servers.processes[paused].send_signal(signal.SIGCONT)
            eventually(
                "it dials anew", lambda: len(servers.events(leader, "link_up", peer=paused)) > before, DEADLINE_S
            )
            for _ in range(DEADLINE_S * 20):
                if (await client.status(paused)).applied == (await client.status(leader)).applied:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError("the follower did not catch up")

    asyncio.run(use())


def test_a_paused_leader_is_replaced(servers):
    servers.start()

    async def use():
        async with servers.client() as client:
            leader = await leader_of(client, servers.addresses)
            await client.write("x", 1)
            servers.processes[leader].send_signal(signal.SIGSTOP)
            others = [name for name in servers.addresses if name != leader]
            async with servers.client(*others) as rest:
                assert await rest.write("x", 2) == 2
            servers.processes[leader].send_signal(signal.SIGCONT)
            assert await client.read("x") == (2, 2)

    asyncio.run(use())


def test_the_clock_file_moves_the_nodes_clock(servers, tmp_path):
    clock = tmp_path / "clock"
    servers.start("n1", extra=("--clock", str(clock)))

    async def offset_s():
        (status,) = await exchange(servers.addresses["n1"], {"type": "status", "id": 1})
        return (status["clock_ns"] - time.monotonic_ns()) / 1e9

    assert abs(asyncio.run(offset_s())) < 5
    for offset_ms in (60_000, -60_000, 0):
        (tmp_path / "beside").write_text(json.dumps({"offset_ms": offset_ms, "rate": 1.0}))
        (tmp_path / "beside").rename(clock)
        eventually(
            f"the clock is off by {offset_ms} ms",
            lambda o=offset_ms: abs(asyncio.run(offset_s()) - o / 1000) < 5,
            DEADLINE_S,
        )
    clock.write_text(json.dumps({"offset_ms": 90_000}))
    eventually("the clock is off again", lambda: asyncio.run(offset_s()) > 50, DEADLINE_S)
    (tmp_path / "beside").write_text(json.dumps({"offset_ms": 60_000, "strobe_ms": 300}))
    (tmp_path / "beside").rename(clock)
    for wanted_s in (60, 0, 60, 0):
        eventually(
            f"the strobe shows {wanted_s} s", lambda o=wanted_s: abs(asyncio.run(offset_s()) - o) < 5, DEADLINE_S
        )
    clock.unlink()
    eventually("no file, no fault", lambda: abs(asyncio.run(offset_s())) < 5, DEADLINE_S)


def test_a_drift_goes_on_over_a_restart(alone):
    clock = alone.directory / "clock"
    clock.write_text(json.dumps({"rate": 3.0}))
    written_ns = time.time_ns() - 100 * 10**9
    os.utime(clock, ns=(written_ns, written_ns))
    for _ in range(2):
        alone.start(extra=("--clock", str(clock)))
        (status,) = asyncio.run(exchange(alone.addresses["n1"], {"type": "status", "id": 1}))
        assert 190 < (status["clock_ns"] - time.monotonic_ns()) / 1e9 < 300
        alone.stop("n1", signal.SIGKILL)


def test_an_orderly_stop_exits_0_and_leaves_a_readable_trace(servers):
    servers.start()

    async def use():
        async with servers.client() as client:
            await client.write("x", 1)

    asyncio.run(use())
    for name in servers.addresses:
        assert servers.stop(name) == (0, "")
    for name in servers.addresses:
        records = [json.loads(line) for line in (servers.directory / f"{name}.trace").read_text().splitlines()]
        assert records[0]["kind"] == "boot"
        assert [record["seq"] for record in records] == list(range(1, len(records) + 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mutant", "X9"], "unknown mutant 'X9'; known are E1, E3"),
        (["--peer", "n9"], "'n9' is not ID=HOST:PORT"),
        (["--peer", "n9=localhost"], "'localhost' is not HOST:PORT"),
        (["--peer", "n1=127.0.0.1:1"], "--peer n1: that is this node itself"),
        (["--peer", "n2=127.0.0.1:1"], "--peer: each peer once"),
        (["--listen", "127.0.0.1:99999"], "'127.0.0.1:99999' is not HOST:PORT"),
        (["--listen", "192.0.2.1:7000"], "cannot listen on 192.0.2.1:7000"),
        (["--heartbeat-ms", "0"], "'0' is not a positive number"),
        (["--election-ms", "60"], "--election-ms must be at least twice --heartbeat-ms"),
        (["--data", "/proc/nothing/here"], "cannot use the files given"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nonsense_is_refused_in_one_line(servers, arguments, message):
    status, stderr = servers.run("n1", *arguments)
    assert status == 254
    assert message in stderr
    assert stderr.count("\n") == 1


def test_a_port_in_use_and_a_directory_in_use_are_refused(servers):
    servers.start("n1")
    host, port = servers.addresses["n1"]
    status, stderr = servers.run("n2", "--listen", f"{host}:{port}")
    assert (status, stderr) == (254, f"raft_impl: cannot listen on {host}:{port}: Address already in use\n")
    status, stderr = servers.run("n1")
    assert status == 254
    assert "another process uses it" in stderr


def test_a_damaged_log_refuses_to_start(servers):
    servers.start()

    async def use():
        async with servers.client() as client:
            await client.write("x", "y" * 100)

    asyncio.run(use())
    servers.stop("n1", signal.SIGKILL)
    path = servers.directory / "n1" / "wal-00000000.log"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    status, stderr = servers.run("n1")
    assert status == 1
    assert "refusing to start" in stderr
    assert stderr.count("\n") == 1


def test_a_failing_disk_ends_the_server(tmp_path):
    files = MemoryFiles()
    node = Node(NodeConfig("n1", ("n1",), election_ticks=3, heartbeat_ticks=1), files, random.Random(1))
    files.sync_error = OSError(errno.EIO, "the medium is bad")
    with (tmp_path / "log").open("w") as stream:
        host = Host(HostConfig(("127.0.0.1", 0), {}), node, JsonLog(stream, "n1"), time.monotonic_ns)

        async def serve():
            await asyncio.wait_for(host.run(asyncio.Event()), DEADLINE_S)

        with pytest.raises(DiskFailedError, match="the medium is bad"):
            asyncio.run(serve())
    assert node.core.role == "candidate", "its own vote never counted"


class FaultyDisk:
    """A node's disk, as `--disk` lets it be set, and what has been seen of it."""

    def __init__(self, directory, node="n1"):
        self.setting = directory / f"{node}.disk"
        self.option = ("--disk", str(self.setting))

    def set(self, **setting):
        beside = self.setting.with_suffix(".new")
        beside.write_text(json.dumps(setting))
        beside.rename(self.setting)

    def seen(self):
        return json.loads(self.setting.with_suffix(".disk.seen").read_text())


def write(servers, key, **client):
    async def use():
        async with Client(servers.addresses, **client) as one:
            return await one.write(key, key)

    return asyncio.run(use())


def read(servers, key):
    async def use():
        async with servers.client() as client:
            return (await client.read(key))[0]

    return asyncio.run(use())


@pytest.mark.parametrize(
    ("fault", "counter", "words"),
    [
        ("sync_error", "failed", "input/output error (injected)"),
        ("full", "refused", "no space left on device (injected)"),
    ],
)
def test_a_disk_that_fails_ends_the_node_which_goes_on_when_the_disk_is_sound_again(alone, fault, counter, words):
    disk = FaultyDisk(alone.directory)
    alone.start(extra=disk.option)
    assert write(alone, "before", timeout_s=DEADLINE_S) == 1
    disk.set(**{fault: True})
    with pytest.raises((OperationFailedError, OperationUnknownError)):
        write(alone, "during", timeout_s=0.1)
    process = alone.processes.pop("n1")
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "stopped, since the disk failed" in stderr
    (event,) = alone.events("n1", "failed")
    assert words in event["error"]
    assert disk.seen()[counter] == 1
    disk.set()
    alone.start(extra=disk.option)
    assert read(alone, "before") == "before"
    assert write(alone, "after", timeout_s=DEADLINE_S) == 1


def test_a_slow_disk_delays_what_waits_for_it_and_nothing_else(alone):
    disk = FaultyDisk(alone.directory)
    alone.start(extra=disk.option)
    assert write(alone, "before", timeout_s=DEADLINE_S) == 1
    disk.set(sync_delay_ms=3_600_000)
    with pytest.raises(OperationUnknownError):
        write(alone, "during", timeout_s=0.1, attempt_s=0.3)
    assert disk.seen()["delayed"] == 1
    assert read(alone, "before") == "before"
    disk.set()
    assert write(alone, "after", timeout_s=DEADLINE_S) == 1
    assert read(alone, "during") == "during", "it was only slow"


@pytest.mark.parametrize("mutant", [None, "D1"])
def test_a_kill_on_volatile_disks_loses_what_was_not_synced(servers, mutant):
    """The disks are so slow that nothing is synced any more: sound nodes acknowledge nothing, D1 what it then loses."""
    disks = {name: FaultyDisk(servers.directory, name) for name in servers.addresses}

    def start():
        for name, disk in disks.items():
            servers.start(name, extra=(*disk.option, *(("--mutant", mutant) if mutant else ())))

    for disk in disks.values():
        disk.set(volatile=True)
    start()
    assert write(servers, "synced", timeout_s=DEADLINE_S) == 1
    for disk in disks.values():
        disk.set(volatile=True, sync_delay_ms=3_600_000)
    if mutant is None:
        with pytest.raises(OperationUnknownError):
            write(servers, "unsynced", attempt_s=0.3)
    else:
        assert write(servers, "unsynced", timeout_s=DEADLINE_S) == 1
    for name in disks:
        servers.stop(name, signal.SIGKILL)
    held = {name: disk.seen()["held_bytes"] for name, disk in disks.items()}
    assert sum(size > 0 for size in held.values()) >= 2
    for disk in disks.values():
        disk.set()
    start()
    assert (read(servers, "synced"), read(servers, "unsynced")) == ("synced", None)
    assert {name: disk.seen()["lost_bytes"] for name, disk in disks.items()} == held
