"""What a run leaves word of, so that another process can clean its machines: how they are reached, by which keys."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.adapters.base import Adapter
from harness.adapters.raft_register import RaftRegister
from harness.environments import ssh
from harness.environments.faults import ClockSetting
from harness.environments.realtime import RealTimeEnvironment
from harness.environments.ssh import SshEnvironment, reclaim
from harness.environments.ssh_access import SshAccess
from harness.environments.ssh_connection import SshConnection
from harness.environments.ssh_hosts import ssh_hosts
from harness.errors import EnvironmentFailure, UsageError
from harness.heal import heal
from harness.ledger import FileLedger, Run
from sshd import DEADLINE_S, Machine
from waiting import eventually

Ask = Callable[[RealTimeEnvironment, str, str], Awaitable[str]]
Answer = Callable[[RealTimeEnvironment, str, str, str], Awaitable[None]]
Session = Callable[[RealTimeEnvironment, Callable[[], Awaitable[None]]], None]

pytestmark = pytest.mark.usefixtures("own_home")


def environment(access: SshAccess) -> SshEnvironment:
    return SshEnvironment(ssh_hosts("n1=admin@127.0.0.1:1"), print, RaftRegister(), access)


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the directory where we are, by its relative name."""
    monkeypatch.chdir(tmp_path)
    Path("key").touch()
    return Path("key")


def test_whoever_heals_from_another_directory_finds_the_same_files(key: Path, tmp_path: Path) -> None:
    access = environment(SshAccess(identity=key, known_hosts=key)).remains()["access"]
    assert access == {"identity": f"{tmp_path}/key", "known_hosts": f"{tmp_path}/key", "accept_unknown_hosts": False}


def test_what_is_left_is_json(key: Path) -> None:
    remains = environment(SshAccess(key)).remains()
    assert json.loads(json.dumps(remains)) == remains


def test_a_key_that_has_gone_since_the_run_is_a_failure_and_no_mistake_of_the_user(key: Path) -> None:
    remains = environment(SshAccess(key)).remains()
    key.unlink()
    with pytest.raises(EnvironmentFailure, match=r"--identity .*/key: there is no such file"):
        asyncio.run(reclaim(remains))


def test_a_configuration_that_has_been_spoilt_since_the_run_is_one_too(key: Path, own_home: Path) -> None:
    remains = environment(SshAccess(key)).remains()
    (own_home / ".ssh" / "config").write_text("Host *\n  Port many\n  nonsense")
    with pytest.raises(EnvironmentFailure, match="config cannot be read"):
        asyncio.run(reclaim(remains))


def test_what_was_removed_is_told_although_another_machine_cannot_be_reached(
    key: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITBRAIN_STATE", str(own_home / "state"))
    hosts = ssh_hosts("n1=admin@192.0.2.1,n2=admin@192.0.2.2")
    remains = SshEnvironment(hosts, print, RaftRegister(), SshAccess(key)).remains()
    FileLedger(Run("ssh", "store/somewhere", remains)).close(clean=False)

    async def reclaim_machine(machine: ssh._Machine, options: ssh._Access) -> list[str]:
        if machine.host.node == "n1":
            raise EnvironmentFailure("n1: no connection")
        return ["n2: removed chain SB"]

    monkeypatch.setattr(ssh, "_reclaim_machine", reclaim_machine)
    said: list[str] = []
    assert not heal(said.append)
    assert said == [
        "ssh run store/somewhere, whose harness is gone: n2: removed chain SB",
        "ssh run store/somewhere: not put right: n1: no connection",
    ]


@pytest.mark.parametrize(
    ("hosts", "named"),
    [
        ("n1=127.0.0.1,n2=127.1", "n1 and n2 are the same machine, 127.0.0.1: "),
        ("n1=127.0.0.1/10.0.0.1,n2=127.0.2,n3=192.0.2.3/127.0.0.2", "n2 and n3 are the same machine, 127.0.0.2: "),
        ("n1=127.0.0.1,n2=127.0.1,n3=127.1,n4=10.1", "n1, n2 and n3 are the same machine, 127.0.0.1: "),
    ],
)
def test_one_machine_under_two_names_is_told_before_any_is_reached(
    hosts: str, named: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(connection: SshConnection) -> None:
        pytest.fail("it was connected to")

    async def test() -> None:
        pytest.fail("it was set up")

    monkeypatch.setattr(SshConnection, "connect", connect)
    with pytest.raises(UsageError, match=f"^--hosts: {re.escape(named)}"):
        session(SshEnvironment(ssh_hosts(hosts), print, RaftRegister()), test)


_FORWARDER = """
import asyncio, sys

async def copy(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()

async def forward(reader, writer):
    there = await asyncio.open_connection(sys.argv[2], 22)
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

async def main():
    server = await asyncio.start_server(forward, "", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def is_open(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@contextmanager
def forwarding(gateway: Machine, port: int, machine: Machine) -> Iterator[None]:
    """Meanwhile that port of the one machine leads to the server of the other."""
    program = shlex.join(["python3", "-c", _FORWARDER, str(port), machine.address])
    pid = gateway.execute(f"setsid {program} >/dev/null 2>&1 </dev/null & echo $!")
    try:
        eventually("the port is open", lambda: is_open(gateway.address, port), DEADLINE_S)
        yield
    finally:
        gateway.execute(f"kill {pid}")


def test_a_cut_from_the_gateway_that_leads_to_a_machine_does_not_cut_us_off(
    machines: dict[str, Machine], echo: Adapter, answers: Answer, session: Session
) -> None:
    first, gateway = machines["n1"], machines["n2"]
    port = 2201
    hosts = ssh_hosts(f"n1={first.root}@{gateway.address}:{port}/{first.address},n2={gateway.root}@{gateway.address}")
    access = SshAccess(first.keys.identity, gateway.keys.known_hosts, accept_unknown_hosts=True)
    environment = SshEnvironment(hosts, print, echo, access)

    async def test() -> None:
        await environment.cut({"n1": frozenset({"n2"})})
        await answers(environment, "n2", f"reach {first.address}", "no")
        assert await environment.running("n1")
        await environment.heal()
        await answers(environment, "n2", f"reach {first.address}", "yes")

    with forwarding(gateway, port, first):
        session(environment, test)


def test_libfaketime_is_used_where_a_machine_has_it_and_told_to_be_missing_where_not(
    machines: dict[str, Machine], echo: Adapter, ask: Ask, session: Session
) -> None:
    machine = machines["n1"]
    environment = SshEnvironment([machine.host()], print, echo, machine.access(), clock="libfaketime")

    async def shift_s() -> float:
        return float(await ask(environment, "n1", "time")) - time.time()

    async def test() -> None:
        assert abs(await shift_s()) < 5
        await environment.set_clock("n1", ClockSetting(offset_ms=-3_600_000))
        assert abs(await shift_s() + 3600) < 5

    if machine.execute("ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null || :"):
        session(environment, test)
    else:
        with pytest.raises(UsageError, match=r"n1 does not have it: install the package libfaketime"):
            session(environment, test)
