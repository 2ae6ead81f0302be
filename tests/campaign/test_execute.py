"""A run as a process: how it ends is told apart, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from harness.campaign import execute as module
from harness.campaign.execute import Children, Limits, execute
from waiting import eventually

DEADLINE_S = 60.0
AMPLE = Limits(wall_s=DEADLINE_S, memory_mb=8192)
SIM = ["--env", "sim", "--nodes", "3", "--nemesis", "none", "--seed", "1", "--time-limit"]


def program(monkeypatch, text):
    """Let runs be this program instead, under the limits that they have."""
    real = module._command

    def command(words, run, store, limits):
        words = real(words, run, store, limits)
        return [*words[: words.index(sys.executable)], sys.executable, "-c", text]

    monkeypatch.setattr(module, "_command", command)


def alive(pid):
    """Whether that process runs; one that is dead but not reaped does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_run_that_ends_has_its_results(tmp_path):
    assert execute([*SIM, "1"], tmp_path, tmp_path / "store", AMPLE, Children()).ended == "ended"
    assert (tmp_path / "results.json").exists()


def test_a_run_that_is_refused_says_why(tmp_path):
    end = execute(["--env", "cloud"], tmp_path, tmp_path, AMPLE, Children())
    assert end.ended == "refused"
    assert "cloud" in end.said


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("raise SystemExit(255)", "crash"),
        ("import os; os.abort()", "crash"),
        ("x = bytearray(1 << 33)", "out of memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "out of memory"),
        ("raise SystemExit(130)", "interrupted"),
        ("raise SystemExit(1)", "crash"),
        ("raise SystemExit(0)", "crash"),
    ],
)
def test_without_results_no_exit_is_a_verdict(tmp_path, monkeypatch, text, ended):
    program(monkeypatch, text)
    assert execute([], tmp_path, tmp_path, Limits(DEADLINE_S, 512), Children()).ended == ended


def test_one_that_takes_too_long_is_ended_with_all_its_children(tmp_path, monkeypatch):
    program(
        monkeypatch,
        "import subprocess, sys, time, pathlib; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']); "
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid)); time.sleep(1000)",
    )
    end = execute([], tmp_path, tmp_path, Limits(5.0, 8192), Children())
    assert (end.ended, end.said) == ("out of time", "stopped after 5 s")
    pid = int((tmp_path / "pid").read_text())
    eventually("the child has ended", lambda: not alive(pid), DEADLINE_S)


def test_one_that_will_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_S", 0.2)
    program(monkeypatch, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)")
    assert execute([], tmp_path, tmp_path, Limits(1.0, 8192), Children()).ended == "out of time"


def test_stopping_ends_those_under_way_and_lets_none_begin(tmp_path, monkeypatch):
    program(monkeypatch, "import time; time.sleep(1000)")
    children, ends = Children(), []
    (tmp_path / "a").mkdir()
    thread = threading.Thread(target=lambda: ends.append(execute([], tmp_path / "a", tmp_path, AMPLE, children).ended))
    thread.start()
    eventually("it has begun", (tmp_path / "a" / module.OUTPUT).exists, DEADLINE_S)
    children.stop()
    thread.join(DEADLINE_S)
    assert ends == ["interrupted"]
    assert execute([], tmp_path, tmp_path, AMPLE, children).ended == "interrupted"


_PARENT = """
import sys, threading
from pathlib import Path
from harness.campaign.execute import Children, Limits, execute
run = Path(sys.argv[1])
words = ["--env", "sim", "--nodes", "3", "--nemesis", "none", "--time-limit", "100000", "--seed", "1"]
execute(words, run, run, Limits(1000.0, 8192), Children())
"""


def test_a_run_does_not_outlive_a_campaign_that_was_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)])
    try:
        eventually("clients are at work", (tmp_path / "history.jsonl").exists, DEADLINE_S)
        child = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()[0])
        assert alive(child)
    finally:
        parent.kill()
        parent.wait(DEADLINE_S)
    eventually("the run has ended", lambda: not alive(child), DEADLINE_S)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
