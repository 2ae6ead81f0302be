"""What a machine is given, and that all of it is taken away again, and nothing else."""

from __future__ import annotations

import asyncio
import re
import secrets
import subprocess
import sysconfig
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.environments import ssh_machine
from harness.environments.ssh_connection import SshConnection
from harness.environments.ssh_machine import (
    clean,
    install,
    interpreter,
    node_directory,
    program,
    run_directory,
    with_variables,
)
from harness.errors import EnvironmentFailure, UsageError
from sshd import DEADLINE_S, Machine
from waiting import async_eventually

pytestmark = pytest.mark.usefixtures("own_home")

Test = Callable[[SshConnection, str, str], Awaitable[None]]


def on(machine: Machine, test: Test, user: str | None = None) -> None:
    """Run the test with a connection, the directory of a run, and the prefix of its chains; then clean up."""

    async def main() -> None:
        connection = SshConnection(machine.host(user), machine.access(), print)
        try:
            await connection.connect()
            await connection.gain_root()
            token = secrets.token_hex(4)
            directory, prefix = await run_directory(connection, token), f"SB-{token}-"
            try:
                await test(connection, directory, prefix)
            finally:
                await clean(connection, directory, prefix)
        finally:
            await connection.close()

    asyncio.run(main())


@pytest.fixture
def machine(machines: dict[str, Machine]) -> Machine:
    return machines["n2"]


async def shell(connection: SshConnection, script: str) -> str:
    return await connection.run("sh", "-c", script, as_root=True)


async def begun(connection: SshConnection, *command: str) -> int:
    """The number of a process that outlives the session, and has no pid file."""
    return int(await connection.run("sh", "-c", 'setsid "$@" >/dev/null 2>&1 </dev/null & echo $!', "sh", *command))


async def alive(connection: SshConnection, pid: int) -> bool:
    state = await shell(connection, f"sed 's/.*) //; s/ .*//' /proc/{pid}/stat 2>/dev/null || :")
    return state not in ("", "Z", "X")


# -- what it is given --------------------------------------------------------------------------------------------------


def test_the_packages_are_the_sources_of_ours_and_the_library() -> None:
    files = asyncio.run(program(sysconfig.get_config_var("SOABI")))
    assert {"raft_impl/__main__.py", "msgspec/__init__.py"} <= set(files)


def test_a_package_in_a_package_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_machine, "PACKAGES", ("harness.report",))
    files = asyncio.run(program(sysconfig.get_config_var("SOABI")))
    assert "harness/report/text.py" in files


def test_a_machine_can_run_a_node_and_keeps_what_it_was_given_to_its_user(machine: Machine) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        await install(connection, directory)
        assert await connection.run("stat", "-c", "%a", directory) == "700"
        asked = with_variables(directory, interpreter(directory), "-m", "raft_impl", "--help")
        assert "One node of a Raft register service." in await connection.run(*asked, as_root=True)
        with pytest.raises(EnvironmentFailure, match="File exists"):
            await install(connection, directory)

    on(machine, test)


@pytest.fixture
def python(machine: Machine) -> str:
    """Where a python3 of ours comes before the machine's own."""
    if machine.root == "root":
        pytest.skip("the machine's own programs are as they are")
    return str(machine.keys.directory / "bin" / "python3")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho 3 9 cpython-39 /bin/python3\n", r"^n2: a python3 of 3\.11 or newer .*, and it is 3\.9$"),
        ("#!/bin/sh\necho 2 7 None /bin/python3\n", r"^n2: a python3 of 3\.11 or newer .*, and it is 2\.7$"),
    ],
)
def test_a_python_that_is_too_old_is_told(machine: Machine, python: str, script: str, said: str) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        with pytest.raises(UsageError, match=said):
            await install(connection, directory)

    Path(python).write_text(script)
    Path(python).chmod(0o755)
    try:
        on(machine, test)
    finally:
        Path(python).unlink()


def test_a_missing_python_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_machine, "_QUESTION", f"PATH=/nowhere\n{ssh_machine._QUESTION}")

    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        with pytest.raises(UsageError, match=r"^n2: a python3 of .*, and there is none: install the package python3$"):
            await install(connection, directory)

    on(machine, test)


def test_a_python_without_venv_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_machine, "_VENV", ssh_machine._VENV.replace("import venv", "import venv_that_is_missing"))

    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        with pytest.raises(UsageError, match=r"^n2: /\S+ has no module venv there: install the package python3-venv$"):
            await install(connection, directory)

    on(machine, test)


# -- what is taken away ------------------------------------------------------------------------------------------------

FOREIGN_RULES = r"""
*filter
:FOREIGN - [0:0]
:SB-00000000-n1-partition - [0:0]
-A INPUT -s 192.0.2.1/32 -m comment --comment "a \"b\" -j PREFIXn1-x" -j FOREIGN
-A INPUT -s 192.0.2.2/32 -j SB-00000000-n1-partition
-A FOREIGN -p tcp -m tcp --dport 9 -j DROP
-A SB-00000000-n1-partition -j RETURN
COMMIT
*mangle
-A PREROUTING -s 192.0.2.5/32 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
"""
OUR_RULES = """
*filter
:PREFIXn1-partition - [0:0]
:PREFIXn1-clients - [0:0]
-I INPUT 1 -j PREFIXn1-partition
-I INPUT 1 -j PREFIXn1-clients
-A OUTPUT -d 192.0.2.3/32 -j PREFIXn1-clients
-A FOREIGN -j PREFIXn1-partition
-A PREFIXn1-partition -s 192.0.2.4/32 -j DROP
-A PREFIXn1-clients -g PREFIXn1-partition
COMMIT
*mangle
:PREFIXn1-delay - [0:0]
-A PREROUTING -j PREFIXn1-delay
-A PREFIXn1-delay -j MARK --set-xmark 0x7/0xffffffff
COMMIT
"""


async def rules(connection: SshConnection) -> str:
    """All rules, without the time of day and the counters of packets that passed meanwhile."""
    saved = await shell(connection, "PATH=$PATH:/usr/sbin:/sbin iptables-save")
    return "\n".join(re.sub(r"\[\d+:\d+\]", "[]", line) for line in saved.splitlines() if not line.startswith("#"))


async def restore(connection: SshConnection, text: str, prefix: str) -> None:
    script = "PATH=$PATH:/usr/sbin:/sbin iptables-restore --noflush"
    await connection.run("sh", "-c", script, stdin=text.replace("PREFIX", prefix).encode(), as_root=True)


async def flush(connection: SshConnection) -> None:
    await shell(connection, "PATH=$PATH:/usr/sbin:/sbin; iptables -F && iptables -X && iptables -t mangle -F")


def test_our_chains_go_and_other_rules_stay_as_they_are(machine: Machine) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        await restore(connection, FOREIGN_RULES, prefix)
        try:
            before = await rules(connection)
            await restore(connection, OUR_RULES, prefix)
            assert await rules(connection) != before
            removed = await clean(connection, directory, prefix)
            assert await rules(connection) == before
            assert sorted(removed) == [f"removed chain {prefix}n1-{kind}" for kind in ("clients", "delay", "partition")]
            assert await clean(connection, directory, prefix) == []
            assert await rules(connection) == before
        finally:
            await flush(connection)

    on(machine, test)


def test_our_processes_go_and_others_stay(machine: Machine) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        nodes = node_directory(directory, "n2")
        await connection.run("mkdir", "-p", nodes)
        ours = await begun(connection, *with_variables(directory, "sh", "-c", "sleep 600 & wait"))
        wiped = await begun(connection, "env", "-i", "sleep", "600")
        foreign = await begun(connection, "sh", "-c", "sleep 600 & wait", directory)
        another = await begun(connection, *with_variables(directory[:-1] + "~", "sleep", "600"))
        started = await shell(connection, f"sed 's/.*) //' /proc/{wiped}/stat | cut -d ' ' -f 20")
        # One names our process; one names a number that somebody else has since; one was being written.
        await shell(connection, f"echo {wiped} {started} >{nodes}/node.pid")
        await shell(connection, f"echo {foreign} 1 >{nodes}/slow.pid; : >{nodes}/memory.pid")
        removed = await clean(connection, directory, prefix)
        assert f"killed process {ours} (sh)" in removed
        assert f"killed process {wiped} (sleep)" in removed
        assert len([line for line in removed if line.startswith("killed")]) == 3  # and the child of the first
        assert not await alive(connection, ours)
        assert not await alive(connection, wiped)
        assert await alive(connection, foreign)
        assert await alive(connection, another)
        assert await clean(connection, directory, prefix) == []
        await shell(connection, f"kill -9 -{foreign} -{another}")

    on(machine, test)


def test_a_process_that_was_stopped_and_its_children_go_too(machine: Machine) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        pid = await begun(connection, *with_variables(directory, "sh", "-c", "trap '' TERM HUP; sleep 600 & wait"))
        await shell(connection, f"kill -STOP -{pid}")
        removed = await clean(connection, directory, prefix)
        assert len(removed) == 2
        assert not await alive(connection, pid)

    on(machine, test)


def test_an_installation_that_was_cut_short_is_removed(machine: Machine) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        await connection.run("mkdir", "-m", "0700", directory)
        await connection.upload({"venv/half": b"import"}, directory)
        beside = f"{directory[:-1]}~"
        await connection.run("mkdir", beside)
        assert await clean(connection, directory, prefix) == [f"removed {directory}"]
        assert await clean(connection, directory, prefix) == []
        await connection.run("rmdir", beside)

    on(machine, test)


def test_nothing_is_removed_through_a_link(machine: Machine) -> None:
    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        kept = await connection.run("mktemp", "-d")
        await connection.run("touch", f"{kept}/file")
        await connection.run("ln", "-s", kept, directory)
        assert await clean(connection, directory, prefix) == []
        assert await connection.run("ls", kept) == "file"
        await connection.run("rm", "-r", directory, kept)

    on(machine, test)


@pytest.mark.parametrize(
    ("directory", "prefix"),
    [("/", "SB-0a1b2c3d-"), ("/var/tmp/other", "SB-0a1b2c3d-"), ("", "SB-0a1b2c3d-"), ("/a/splitbrain-0a1b2c3d", "")],
)
def test_what_cannot_be_ours_is_refused(directory: str, prefix: str) -> None:
    script = ["sh", str(ssh_machine._CLEAN), directory, prefix]
    done = subprocess.run(script, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (64, "")


def test_all_of_it_works_for_a_user_with_sudo(machine: Machine) -> None:
    if machine.root != "root":
        pytest.skip("a namespace has one user only")

    async def test(connection: SshConnection, directory: str, prefix: str) -> None:
        await install(connection, directory)
        await shell(connection, f"mkdir -p {directory}/nodes/n2/data && chmod 700 {directory}/nodes")
        command = with_variables(directory, "setsid", "sleep", "600")
        channel = await connection.open_channel(*command, as_root=True)
        mark = f"grep -qsF SPLITBRAIN_DIRECTORY={directory} /proc/[0-9]*/environ && echo yes || :"
        await async_eventually("it is there", lambda: marked(connection, mark), DEADLINE_S)
        channel.close()
        removed = await clean(connection, directory, prefix)
        assert removed[-1] == f"removed {directory}"
        assert removed[0].startswith("killed process ")
        assert await clean(connection, directory, prefix) == []

    on(machine, test, "admin")


async def marked(connection: SshConnection, script: str) -> bool:
    return await shell(connection, script) == "yes"
