"""The agent as a program: a line for a line, whatever is asked, and what it started outlives it."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.agent.filters import FilterError, Filters
from harness.agent.probe import Probe
from harness.agent.process import Process, look
from harness.agent.rules import drop_rules
from waiting import eventually

DEADLINE_S = 20.0


class Line:
    """An agent of this machine, and what is said to it and by it."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-P", "-m", "harness.agent", "--directory", str(directory), "--prefix", "SB-test-n1"]
        command += ["--address", "127.0.0.1", "--probe-port", "0", "--queue-number", "7999"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def say(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        reply: dict[str, Any] = json.loads(self.process.stdout.readline())
        return reply

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        reply = self.say(json.dumps({"id": 7, "verb": verb, **arguments}))
        assert reply.pop("id") == 7
        return reply


@contextmanager
def agent(directory: Path) -> Iterator[Line]:
    line = Line(directory)
    with line.process:
        try:
            yield line
        finally:
            line.process.kill()


@pytest.mark.local
def test_a_disk_of_its_own_is_filled_to_the_last_byte_and_given_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "test", str(data)], check=True, timeout=DEADLINE_S)
    try:
        with agent(tmp_path) as line:
            assert line.ask("observe")["ok"]["disk_free_bytes"] == 2 << 20
            (data / "log").write_bytes(b"before")
            for _ in range(2):  # every verb may be repeated
                assert line.ask("fill", full=True) == {"ok": None}
            assert line.ask("observe")["ok"]["disk_free_bytes"] == 0
            with pytest.raises(OSError, match="No space left"):
                (data / "more").write_bytes(b"during")
            for _ in range(2):
                assert line.ask("fill", full=False) == {"ok": None}
            (data / "more").write_bytes(b"after")
            assert (data / "log").read_bytes() == b"before"
            assert {path.name for path in data.iterdir()} == {"log", "more"}
    finally:
        subprocess.run(["umount", str(data)], check=True, timeout=DEADLINE_S)


def test_the_disk_of_a_machine_is_never_filled(tmp_path: Path) -> None:
    with agent(tmp_path) as line:
        assert line.ask("fill", full=False) == {"ok": None}
        assert "is not a disk of its own" in line.ask("fill", full=True)["error"]
        assert line.ask("observe")["ok"]["disk_free_bytes"] is None
        assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("verb", ["conquer", "answer", "_load", "__init__", "_node"])
def test_what_is_no_verb_is_refused_and_the_agent_goes_on(tmp_path: Path, verb: str) -> None:
    with agent(tmp_path) as line:
        assert line.ask(verb) == {"error": f"no verb {verb}"}
        assert line.ask("kill") == {"ok": None}


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("kill", {"surprise": 1}, "surprise"),
        ("start", {}, "command"),
        ("start", {"command": ["/no/such/program"], "variables": {}}, "/no/such/program"),
        ("read", {"name": "absent", "offset": 0}, "absent"),
        ("shape", {"kind": "x", "sources": [], "traffic": {"loss": 7}, "seed": 0}, "loss is a fraction"),
        ("shape", {"kind": "x", "sources": [], "traffic": {"colour": 7}, "seed": 0}, "colour"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(
    tmp_path: Path, verb: str, arguments: dict[str, object], words: str
) -> None:
    with agent(tmp_path) as line:
        reply = line.ask(verb, **arguments)
        assert words in reply["error"]
        assert "\n" not in reply["error"]
        assert line.ask("kill") == {"ok": None}


def test_the_end_of_its_input_is_the_agents_end(tmp_path: Path) -> None:
    with agent(tmp_path) as line:
        line.ask("kill")
        _, said = line.process.communicate(timeout=DEADLINE_S)
    assert (line.process.returncode, said) == (0, "")


def test_an_agent_that_understands_nothing_ends_and_says_why(tmp_path: Path) -> None:
    """Whoever speaks to it finds the channel closed, and starts another."""
    with agent(tmp_path) as line:
        out, said = line.process.communicate("this is not JSON\n", timeout=DEADLINE_S)
    assert out == ""
    assert "JSONDecodeError" in said
    assert line.process.returncode == 1


def test_the_node_outlives_its_agent_and_the_next_agent_finds_it(tmp_path: Path) -> None:
    with agent(tmp_path) as line:
        assert line.ask("start", command=["sleep", "60"], variables={}) == {"ok": None}
        pid = line.ask("pause")["ok"]
    with agent(tmp_path) as line:
        seen = look(pid)
        assert seen is not None
        assert seen.state == "T"
        assert line.ask("resume") == {"ok": pid}
        assert line.ask("start", command=["sleep", "60"], variables={}) == {"ok": None}
        assert line.ask("kill") == {"ok": pid}


def test_the_last_words_of_a_node_are_had_once_it_has_ended(tmp_path: Path) -> None:
    with agent(tmp_path) as line:
        assert line.ask("last_words") == {"ok": None}
        line.ask("start", command=["sh", "-c", "echo first; echo 'the port is taken'; exec sleep 60"], variables={})
        assert line.ask("last_words") == {"ok": None}, "it lives"
        eventually("it has spoken", lambda: "taken" in (tmp_path / "node.log").read_text(), DEADLINE_S)
        line.ask("kill")
        assert line.ask("last_words") == {"ok": "the port is taken"}


def test_a_node_is_slow_until_it_is_not_and_stands_still_no_longer(tmp_path: Path) -> None:
    with agent(tmp_path) as line:
        line.ask("start", command=[sys.executable, "-c", "while True: pass"], variables={})
        node = Process(tmp_path / "node.pid")
        line.ask("slow", share=0.6)
        states = set[str]()

        def both() -> bool:
            seen = node.seen()
            states.update(seen.state if seen else "")
            return {"T", "R"} <= states

        eventually("it is seen to run and to stand still", both, DEADLINE_S)
        assert line.ask("slow", share=0) == {"ok": None}
        seen = node.seen()
        assert seen is not None
        assert seen.state in "SRD"
        assert Process(tmp_path / "slow.pid").seen() is None
        line.ask("kill")


def test_memory_is_held_until_it_is_given_back(tmp_path: Path) -> None:
    def resident_megabytes() -> int:
        seen = Process(tmp_path / "memory.pid").seen()
        assert seen is not None
        pages = int(Path(f"/proc/{seen.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") >> 20

    with agent(tmp_path) as line:
        line.ask("memory", megabytes=32)
        eventually("the memory is taken", lambda: resident_megabytes() >= 32, DEADLINE_S)
        line.ask("memory", megabytes=0)
        assert Process(tmp_path / "memory.pid").seen() is None


def test_files_are_written_whole_and_read_in_pieces(tmp_path: Path) -> None:
    text = "".join(map(str, range(400_000)))
    with agent(tmp_path) as line:
        assert line.ask("write", name="it.json", text=text) == {"ok": None}
        pieces, offset = [], 0
        while offset is not None:
            piece = line.ask("read", name="it.json", offset=offset)["ok"]
            pieces.append(base64.b64decode(piece["data"]))
            offset = piece["next"]
    assert len(pieces) == 3
    assert b"".join(pieces).decode() == text
    assert {path.name for path in tmp_path.iterdir()} == {"it.json", "data"}


# -- probes


@contextmanager
def probes() -> Iterator[tuple[Probe, Probe, tuple[str, int]]]:
    """Two probes, and the address of the second."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as finder:
        finder.bind(("127.0.0.2", 0))
        target = finder.getsockname()
    yield Probe("127.0.0.1", 0), Probe("127.0.0.2", target[1]), target


def test_a_token_is_heard_with_the_address_that_sent_it_and_no_other_token_is() -> None:
    with probes() as (one, other, target):
        one.send("a", [target])
        eventually("the token is heard", lambda: other.heard("a") == ["127.0.0.1"], DEADLINE_S)
        assert other.heard("b") == []
        assert one.heard("a") == []


def test_old_tokens_are_forgotten() -> None:
    with probes() as (one, other, target):
        for number in range(200):
            one.send(str(number), [target])
            eventually(f"{number} is heard", partial(other.heard, str(number)), DEADLINE_S)
        assert other.heard("0") == []
        assert other.heard("199") == ["127.0.0.1"]


def test_where_nobody_can_be_reached_nothing_is_heard_and_nothing_breaks() -> None:
    with probes() as (one, _, target):
        one.send("a", [("192.0.2.1", 9), ("255.255.255.255", 9), ("127.0.0.3", target[1])])
        assert one.heard("a") == []


# -- filters


def rules() -> list[str]:
    done = subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    return done.stdout.splitlines()


@pytest.fixture
def filters() -> Iterator[Filters]:
    made = Filters("SB-test-n1")
    yield made
    for kind in made.caught():
        made.remove(kind)


@pytest.mark.local
def test_a_chain_is_put_in_front_counts_what_it_caught_and_is_taken_out_whole(filters: Filters) -> None:
    before = rules()
    neighbour = Filters("SB-test-n10")
    filters.install("partition", drop_rules(filters.chain("partition"), ["127.0.0.9"], "127.0.0.8"))
    neighbour.install("partition", [])
    assert filters.caught() == {"partition": 0}
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.bind(("127.0.0.9", 0))
        for port in range(5000, 5003):
            sender.sendto(b"?", ("127.0.0.8", port))
    assert filters.caught() == {"partition": 3}
    assert neighbour.caught() == {"partition": 0}, "another node's is none of ours"
    filters.install("partition", drop_rules(filters.chain("partition"), ["127.0.0.7"], "127.0.0.8"))
    assert filters.caught() == {"partition": 0}, "other rules begin anew"
    assert sum("-j SB-test-n1-partition" in line for line in rules()) == 1
    assert filters.remove("partition")
    assert not filters.remove("partition"), "it was not there"
    assert neighbour.remove("partition")
    assert rules() == before


@pytest.mark.local
def test_kinds_are_chains_of_their_own(filters: Filters) -> None:
    for kind in ("partition", "clients"):
        filters.install(kind, [])
    assert filters.caught() == {"partition": 0, "clients": 0}
    filters.remove("partition")
    assert filters.caught() == {"clients": 0}


@pytest.mark.local
def test_what_iptables_refuses_is_one_line_and_changes_nothing(filters: Filters) -> None:
    before = rules()
    with pytest.raises(FilterError, match=r"^iptables-restore: .*NO_SUCH_TARGET"):
        filters.install("partition", ["-A SB-test-n1-partition -s 127.0.0.1 -j NO_SUCH_TARGET"])
    assert not filters.accepts(["-A SB-test-n1-try -s nobody -j DROP"])
    assert filters.accepts(["-A SB-test-n1-try -s 127.0.0.1 -j DROP"])
    assert rules() == before


@pytest.mark.local
@pytest.mark.parametrize(("ahead_s", "waits"), [(0.3, True), (-5, False), (3600, False)])
def test_a_moment_is_waited_for_unless_it_has_passed_or_is_far_off(
    filters: Filters, monkeypatch: pytest.MonkeyPatch, ahead_s: float, waits: bool
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("harness.agent.filters.time.sleep", slept.append)
    filters.install("partition", [], at_ns=int((time.time() + ahead_s) * 1e9))
    # What is slept for a few milliseconds at a time is subprocess waiting for its child.
    assert [0.1 < seconds <= 0.3 for seconds in slept if seconds > 0.1] == [True] * waits


def test_without_iptables_nothing_is_filtered_and_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FilterError, match="iptables-save cannot be run: No such file"):
        Filters("SB-test-n1").caught()


def test_iptables_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "iptables-save"
    program.write_text(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("harness.agent.filters._DEADLINE_S", 0.2)
    with pytest.raises(FilterError, match="iptables-save did not end within 0 s"):
        Filters("SB-test-n1").caught()


def test_an_agent_that_is_asked_to_end_leaves_no_process(tmp_path: Path) -> None:
    with agent(tmp_path) as line:
        line.ask("start", command=["sleep", "60"], variables={})
        line.ask("memory", megabytes=1)
        pids = [seen.pid for name in ("node", "memory") if (seen := Process(tmp_path / f"{name}.pid").seen())]
        assert len(pids) == 2
        line.ask("end")
        eventually(
            "all have ended", lambda: all((seen := look(pid)) is None or seen.state in "ZX" for pid in pids), DEADLINE_S
        )
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
