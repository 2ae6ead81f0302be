"""Connections to machines with an OpenSSH server: keys, deadlines, files, channels, and what is lost on the way."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from harness.environments import ssh_connection
from harness.environments.ssh_access import SshAccess
from harness.environments.ssh_connection import PAUSES_S, SshConnection
from harness.environments.ssh_hosts import SshHost
from harness.errors import EnvironmentFailure, UsageError
from sshd import DEADLINE_S, Machine, generate_key
from waiting import async_eventually

pytestmark = pytest.mark.usefixtures("own_home")

_END_SESSION = """
pid=$$
while name=$(cat /proc/$pid/comm) && case $name in sshd*) false ;; esac; do
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$pid/status)
done
kill -9 "$pid"
"""
"""A script that kills the server's process of its own session."""


@pytest.fixture
def machine(machines: dict[str, Machine]) -> Machine:
    return machines["n1"]


def connected(machine: Machine, test: Callable[[SshConnection], Awaitable[None]], user: str | None = None) -> None:
    """Run the test on a connection to the machine."""

    async def main() -> None:
        connection = SshConnection(machine.host(user), machine.access(), print)
        try:
            await connection.connect()
            await test(connection)
        finally:
            await connection.close()

    asyncio.run(main())


def refused(host: SshHost, access: SshAccess) -> str:
    """The usage error that connecting ends with, at once."""

    async def never(seconds: float) -> None:
        raise AssertionError("another attempt is of no use")

    async def main() -> None:
        connection = SshConnection(host, access, print, never)
        try:
            await connection.connect()
        finally:
            await connection.close()

    with pytest.raises(UsageError) as raised:
        asyncio.run(main())
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


# -- who is let in -----------------------------------------------------------------------------------------------------


def test_an_unknown_host_key_is_an_error_that_names_the_options(machine: Machine) -> None:
    said = refused(machine.host(), SshAccess(machine.keys.identity))
    assert f"n1: the host key of {machine.address}, ssh-ed25519 SHA256:" in said
    assert "is not known" in said
    assert "--known-hosts FILE" in said
    assert "--accept-unknown-hosts" in said


def test_an_unknown_host_key_is_taken_if_the_user_says_so_and_must_then_stay(machine: Machine, own_home: Path) -> None:
    notices: list[str] = []

    async def main() -> None:
        access = SshAccess(machine.keys.identity, accept_unknown_hosts=True)
        connection = SshConnection(machine.host(), access, notices.append)
        for _ in range(2):
            await connection.connect()
            assert await connection.run("echo", "hello") == "hello"
            await connection.close()

    asyncio.run(main())
    (notice,) = notices
    assert "taken unseen" in notice
    assert list((own_home / ".ssh").iterdir()) == []


def test_a_key_in_the_users_own_file_is_known(machine: Machine, own_home: Path) -> None:
    (own_home / ".ssh" / "known_hosts").write_text(machine.keys.known_hosts.read_text())

    async def main() -> None:
        connection = SshConnection(machine.host(), SshAccess(machine.keys.identity), print)
        await connection.connect()
        await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("accept", [False, True])
def test_a_changed_host_key_is_an_error_whatever_the_options(machine: Machine, tmp_path: Path, accept: bool) -> None:
    generate_key(tmp_path / "other")
    known = tmp_path / "known"
    known.write_text(f"{machine.address} {(tmp_path / 'other.pub').read_text()}")
    said = refused(machine.host(), SshAccess(machine.keys.identity, known, accept))
    assert f"n1: the host key of {machine.address} is SHA256:" in said
    assert f"ssh-keygen -R '{machine.address}'" in said


def test_a_key_that_is_not_let_in_is_an_error_that_names_the_option(machine: Machine, tmp_path: Path) -> None:
    generate_key(tmp_path / "stranger")
    said = refused(machine.host(), replace(machine.access(), identity=tmp_path / "stranger"))
    assert f"n1: none of our keys lets us in as {machine.root}@{machine.address}:22 (" in said
    assert "--identity FILE" in said


@pytest.mark.parametrize("content", ["", "no key at all\n"])
def test_a_file_that_is_no_key_is_the_same_error(machine: Machine, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty").write_text(content)
    assert "--identity FILE" in refused(machine.host(), replace(machine.access(), identity=tmp_path / "empty"))


# -- what the network does ---------------------------------------------------------------------------------------------


def paused(port: int) -> tuple[list[float], str]:
    """The pauses between the attempts to reach a port of this machine, and how it ended."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def main() -> None:
        await SshConnection(SshHost("n1", "127.0.0.1", "admin", port), SshAccess(), print, sleep).connect()

    with pytest.raises(EnvironmentFailure) as raised:
        asyncio.run(main())
    return pauses, str(raised.value)


def test_a_refused_connection_is_tried_again_five_times_and_waits_longer_each_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    pauses, said = paused(port)
    assert pauses == list(PAUSES_S) == sorted(pauses)
    assert len(pauses) == 5
    assert said == f"n1: no connection to admin@127.0.0.1:{port}, tried 6 times: Connection refused"


@pytest.fixture
def hanging_up() -> Iterator[int]:
    """The port of a server that closes every connection, as sshd does when it has too many."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_server_that_hangs_up_is_tried_again(hanging_up: int) -> None:
    pauses, said = paused(hanging_up)
    assert pauses == list(PAUSES_S)
    assert "tried 6 times" in said


def test_a_machine_that_was_given_up_is_tried_once_until_it_is_found_again(machine: Machine) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def main() -> None:
        connection = SshConnection(machine.host(), machine.access(), print, sleep)
        right, wrong = connection.endpoint, replace(connection.endpoint, port=1)
        connection.endpoint = wrong
        for said in ("tried 6 times", "tried once", "tried once"):
            with pytest.raises(EnvironmentFailure, match=said):
                await connection.connect()
        assert pauses == list(PAUSES_S)
        connection.endpoint = right
        await connection.connect()
        await connection.close()
        connection.endpoint = wrong
        with pytest.raises(EnvironmentFailure, match="tried 6 times"):
            await connection.connect()

    asyncio.run(main())


def test_a_machine_that_keeps_silent_is_not_waited_for_six_times_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_connection, "_LOGIN_TIMEOUT_S", 0.05)
    monkeypatch.setattr(ssh_connection, "_TRYING_S", 0.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        pauses, said = paused(silent.getsockname()[1])
    assert pauses == []
    assert re.fullmatch(r"n1: no connection to admin@127.0.0.1:\d+, tried once: .*(silent|banner)", said)


def test_a_connection_comes_about_as_soon_as_the_network_allows(machine: Machine) -> None:
    host = replace(machine.host(), port=1)
    connection = SshConnection(host, machine.access(), print, lambda seconds: repaired())

    async def repaired() -> None:
        connection.endpoint = replace(connection.endpoint, port=22)

    async def main() -> None:
        await connection.connect()
        assert await connection.run("echo", "hello") == "hello"
        await connection.close()

    asyncio.run(main())


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_command_gets_its_words_as_they_are_and_its_input(machine: Machine) -> None:
    words = ["a b", "'", '"', "$HOME", "*", "", "\\", "a\nb"]

    async def test(connection: SshConnection) -> None:
        assert await connection.run("printf", "<%s>", *words) == "".join(f"<{word}>" for word in words)
        assert await connection.run("sh", "-c", "cat; echo error >&2", stdin=b"input\n") == "input"

    connected(machine, test)


def test_much_input_and_much_output_pass_at_the_same_time(machine: Machine) -> None:
    data = bytes(range(32, 127)) * 100_000

    async def test(connection: SshConnection) -> None:
        assert await connection.run("cat", stdin=data, deadline_s=60) == data.decode().strip()
        assert await connection.run("true", stdin=data) == ""

    connected(machine, test)


def test_a_failure_says_where_which_command_and_its_last_words(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        with pytest.raises(EnvironmentFailure, match=r"^n1: sh failed \(exit status 3\): the reason$"):
            await connection.run("sh", "-c", "echo chatter; echo the reason; exit 3")
        with pytest.raises(
            EnvironmentFailure, match=r"^n1: no-such-program failed \(exit status 127\): .*No such file"
        ):
            await connection.run("no-such-program")

    connected(machine, test)


def test_a_command_that_hangs_misses_its_deadline_and_does_not_stay(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        with pytest.raises(EnvironmentFailure, match=r"^n1: .*sleep 4711.*: no end within 0\.5 s$"):
            await connection.run("sh", "-c", "sleep 4711 & sleep 4711", deadline_s=0.5)
        assert await connection.run("echo", "still here") == "still here"

        async def gone() -> bool:
            count = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 4711' || :"
            return await connection.run("sh", "-c", count) == "0"

        await async_eventually("both have ended", gone, DEADLINE_S)

    connected(machine, test)


# -- root --------------------------------------------------------------------------------------------------------------

NET_ADMIN = 1 << 12


async def may_filter(connection: SshConnection, as_root: bool) -> bool:
    status = await connection.run("grep", "CapEff", "/proc/self/status", as_root=as_root)
    return bool(int(status.split()[1], 16) & NET_ADMIN)


def test_root_is_had_by_being_root_or_by_sudo(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        await connection.gain_root()
        assert await may_filter(connection, as_root=True)

    connected(machine, test)


@pytest.fixture
def container(request: pytest.FixtureRequest, machine: Machine) -> Machine:
    """A machine with other accounts than root's."""
    if machine.root != "root":
        pytest.skip("a namespace has one user only")
    return machine


def test_commands_that_need_root_go_through_sudo_and_others_do_not(container: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        await connection.gain_root()
        assert await connection.run("id", "-un") == "admin"
        assert await connection.run("id", "-un", as_root=True) == "root"
        assert await may_filter(connection, as_root=True)
        assert not await may_filter(connection, as_root=False)

    connected(container, test, "admin")


def test_a_sudo_that_asks_for_a_password_is_an_error_that_says_what_would_be_right(container: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        with pytest.raises(UsageError) as raised:
            await connection.gain_root()
        assert str(raised.value) == (
            f"n1: guest is not root on {container.address}, and `sudo -n true` fails there "
            "(sudo: a password is required): allow it without a password, or log in as root"
        )

    connected(container, test, "guest")


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_that_go_there_are_there_whole(machine: Machine) -> None:
    files = {"a": b"", "folder/b": bytes(range(256)) * 1000, "folder/deeper/c": b"text\n", "folder/d": b"x"}

    async def test(connection: SshConnection) -> None:
        directory = await connection.run("mktemp", "-d")
        for _ in range(2):
            await connection.upload(files, directory)
        found = {path: await connection.run("base64", f"{directory}/{path}") for path in files}
        assert {path: b64decode(text) for path, text in found.items()} == files
        await connection.run("rm", "-r", directory)
        with pytest.raises(EnvironmentFailure, match=rf"^n1: write to {directory}: .*No such file"):
            await connection.upload(files, directory)

    connected(machine, test)


def test_a_disk_that_is_full_is_a_failure(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        await connection.run("ln", "-s", "/dev/full", f"{(directory := await connection.run('mktemp', '-d'))}/full")
        with pytest.raises(EnvironmentFailure, match=rf"^n1: write to {directory}: "):
            await connection.upload({"full": b"x" * 100_000}, directory)
        await connection.run("rm", "-r", directory)

    connected(machine, test)


# -- channels ----------------------------------------------------------------------------------------------------------


def test_what_goes_into_a_channel_comes_out_of_it(machine: Machine) -> None:
    data = bytes(range(256)) * 4000

    async def test(connection: SshConnection) -> None:
        channel = await connection.open_channel("cat")
        sending = threading.Thread(target=channel.send, args=(data,))
        sending.start()
        received = b""
        while len(received) < len(data):
            received += await asyncio.to_thread(channel.receive)
        sending.join(DEADLINE_S)
        assert received == data
        channel.close()
        channel.close()
        assert channel.receive() == b""

    connected(machine, test)


def test_closing_a_channel_ends_its_command_and_whoever_waits(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        channel = await connection.open_channel("cat")
        waiting = asyncio.create_task(asyncio.to_thread(channel.receive))
        channel.close()
        assert await asyncio.wait_for(waiting, DEADLINE_S) == b""

    connected(machine, test)


def test_a_command_that_ends_by_itself_ends_its_channel(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        channel = await connection.open_channel("echo", "bye")
        assert await asyncio.to_thread(channel.receive) == b"bye\n"
        assert await asyncio.to_thread(channel.receive) == b""
        failed = await connection.open_channel("sh", "-c", "echo a reason >&2; exit 3")
        with pytest.raises(OSError, match=r"^it ended with 3: a reason$"):
            await asyncio.to_thread(failed.receive)

    connected(machine, test)


def test_a_lost_connection_is_noticed_everywhere_and_can_be_made_again(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        channel = await connection.open_channel("cat")
        running = asyncio.create_task(connection.run("sleep", "60", deadline_s=60))
        await connection.open_channel("sh", "-c", _END_SESSION)
        with pytest.raises(OSError, match="the connection was lost"):
            await asyncio.to_thread(channel.receive)
        with pytest.raises(OSError, match=r"."):
            channel.send(b"?")
        with pytest.raises(EnvironmentFailure, match=r"^n1: .*sleep 60: the connection was lost$"):
            await running
        await async_eventually("the loss is noticed", lambda: not connection.connected, DEADLINE_S)
        with pytest.raises(EnvironmentFailure, match=r"^n1: .*echo.*: the connection is lost$"):
            await connection.run("echo", "hello")
        await connection.connect()
        assert await connection.run("echo", "hello") == "hello"

    connected(machine, test)


def test_connecting_is_done_once_whoever_asks(machine: Machine) -> None:
    async def test(connection: SshConnection) -> None:
        await connection.close()
        await asyncio.gather(*(connection.connect() for _ in range(5)))
        sessions = await connection.run("sh", "-c", "echo $SSH_CONNECTION")
        await connection.connect()
        assert await connection.run("sh", "-c", "echo $SSH_CONNECTION") == sessions

    connected(machine, test)
