"""Running a command again inside a private namespace: exit codes, signals, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.environments import namespace
from waiting import eventually

DEADLINE_S = 30.0
NOBODY = 65534

REASON = namespace.unavailable()
pytestmark = pytest.mark.skipif(REASON is not None or namespace.inside(), reason=str(REASON or "already inside one"))

_OUTER = "import sys; from harness.environments import namespace; sys.exit(namespace.reexecute(sys.argv[1:]))"


def outside(*argv: str) -> list[str]:
    """A command that runs `argv` inside, in a process of its own that a test may kill."""
    return [sys.executable, "-c", _OUTER, *argv]


def started(*argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(outside(*argv), stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def processes_with(token: str) -> list[str]:
    """The processes of this machine that have `token` on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if token.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -INT $$", 130)]
)
def test_the_exit_code_is_the_commands_own(script: str, code: int) -> None:
    assert namespace.reexecute(["sh", "-c", script]) == code


def test_the_inside_is_marked_and_the_outside_is_not() -> None:
    ask = "import sys; from harness.environments import namespace; sys.exit(42 if namespace.inside() else 1)"
    assert namespace.reexecute([sys.executable, "-c", ask]) == 42
    assert not namespace.inside()


def test_a_mark_that_leaked_does_not_make_an_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLITBRAIN_NAMESPACE", "net:[1]")
    assert not namespace.inside()


def test_the_network_is_private_and_its_loopback_is_up() -> None:
    here = os.readlink("/proc/self/ns/net")
    ask = (
        "import os, socket, sys; server = socket.create_server(('127.0.1.9', 7000));"
        "socket.create_connection(('127.0.1.9', 7000), 5); sys.exit(os.readlink('/proc/self/ns/net') == sys.argv[1])"
    )
    assert namespace.reexecute([sys.executable, "-c", ask, here]) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command_which_decides_how_to_end(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    with started(
        "sh", "-c", f"trap 'echo got {name}; exit 33' {name}; echo ready; while :; do sleep 0.05; done"
    ) as outer:
        assert line(outer) == "ready"
        outer.send_signal(number)
        assert line(outer) == f"got {name}"
        assert outer.wait(timeout=DEADLINE_S) == 33


def test_a_signal_that_ends_the_command_ends_with_the_shells_code() -> None:
    with started("sh", "-c", "echo ready; exec sleep 600") as outer:
        assert line(outer) == "ready"
        outer.send_signal(signal.SIGTERM)
        assert outer.wait(timeout=DEADLINE_S) == 128 + signal.SIGTERM


def test_sigkill_of_the_outside_leaves_nothing_inside() -> None:
    token = uuid.uuid4().hex
    script = f"setsid sh -c 'trap \"\" TERM HUP; sleep 600' {token} & echo ready; sleep 600"
    with started("sh", "-c", script, token) as outer:
        assert line(outer) == "ready"
        assert processes_with(token)
        outer.kill()
        assert outer.wait(timeout=DEADLINE_S) == -signal.SIGKILL
    eventually("nothing is left", lambda: not processes_with(token), DEADLINE_S)


def test_nothing_outlives_the_command() -> None:
    token = uuid.uuid4().hex
    assert namespace.reexecute(["sh", "-c", "setsid sleep 600 & exit 0", token]) == 0
    assert namespace.reexecute(["sh", "-c", f"setsid sh -c 'sleep 600' {token} & exit 0"]) == 0
    eventually("nothing is left", lambda: not processes_with(token), DEADLINE_S)


@pytest.fixture
def readable_copy() -> Iterator[Path]:
    """The module where any user can read it; it imports nothing of the project's."""
    folder = Path(tempfile.mkdtemp(prefix="splitbrain-test-"))
    folder.chmod(0o755)
    shutil.copy(namespace.__file__, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python that any user can run")
def test_no_root_is_needed(readable_copy: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(readable_copy)!r}); import namespace\n"
        "print(namespace.unavailable(), flush=True)\n"
        "sys.exit(namespace.reexecute(['sh', '-c', 'id -u; iptables -w -N OURS && iptables -w -S OURS; exit 5']))"
    )
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    ran = subprocess.run(
        [*nobody, "/usr/bin/python3", "-c", code],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (ran.returncode, ran.stdout.split()) == (5, ["None", "0", "-N", "OURS"]), ran.stderr
