"""The command itself, in a process of its own: a whole run in each environment, and what is left when it is ended."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.environments import namespace
from leftovers import processes_naming, things_labelled
from waiting import eventually

DEADLINE_S = 240.0
POLL_S = 0.05
NEVER_S = 3600
NO_NAMESPACE = namespace.unavailable() or ("already inside of one" if namespace.inside() else None)
LOCAL = pytest.param("local", marks=pytest.mark.skipif(NO_NAMESPACE is not None, reason=str(NO_NAMESPACE)))
DOCKER = pytest.param("docker", marks=pytest.mark.docker)


def command(environment: str, store: Path, time_limit_s: int, nemesis: str = "partition,kill") -> list[str]:
    """A run of three nodes."""
    return [
        *(sys.executable, "-P", "-m", "harness", "run", "--env", environment, "--nodes", "3", "--seed", "5", "--json"),
        *("--nemesis", nemesis, "--interval", "3", "--time-limit", str(time_limit_s), "--store", str(store)),
    ]


@contextmanager
def started(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, which does not outlive the body, whatever happens there."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def cut_in_force(store: Path) -> bool:
    """Whether the history ends, as far as partitions go, with one that was begun."""
    history = store / "current" / "history.jsonl"
    lines = history.read_text().splitlines() if history.exists() else []
    partitions = [re.search('"(start|stop)-partition"', line) for line in lines]
    return [match[1] for match in partitions if match][-2:] == ["start", "start"]


def things_of(process: subprocess.Popen[str]) -> list[str]:
    """What a harness has on the engine."""
    return things_labelled({"splitbrain.pid": str(process.pid)})


@pytest.mark.parametrize("environment", ["sim", LOCAL, DOCKER])
def test_a_sound_cluster_passes_and_nothing_is_left_of_it(environment: str, tmp_path: Path) -> None:
    with started(command(environment, tmp_path, 8)) as harness:
        output, notices = harness.communicate(timeout=DEADLINE_S)
    assert harness.returncode == 0, output + notices
    printed = json.loads(output)
    run = Path(printed.pop("run"))
    results = json.loads((run / "results.json").read_text())
    assert results == printed
    assert results["verdict"] == "valid"
    assert {check["verdict"] for check in results["checks"].values()} == {"valid"}
    assert results["operations"]["ok"] > 100
    assert sum(results["operations"][end] for end in ("ok", "fail", "info")) == results["operations"]["total"]
    assert {row["fault"] for row in results["faults"]} == {"partition", "kill"}
    assert all(row["evidence"] and row["end"] > row["begin"] for row in results["faults"])
    assert results["leader_changes"] >= 1
    assert results["seed"] == 5
    assert f"--env {environment} " in results["command"]
    assert (tmp_path / "latest").resolve() == run
    assert {path.name for path in run.iterdir()} >= {"test.json", "history.jsonl", "report.txt", "n1", "n2", "n3"}
    assert processes_naming(str(tmp_path)) == []
    if environment == "docker":
        assert things_of(harness) == []


@pytest.mark.parametrize("environment", [LOCAL, DOCKER])
def test_a_run_that_is_interrupted_cleans_up(environment: str, tmp_path: Path) -> None:
    with started(command(environment, tmp_path, NEVER_S)) as harness:
        eventually("a partition", lambda: cut_in_force(tmp_path), DEADLINE_S, harness, POLL_S)
        harness.send_signal(signal.SIGINT)
        _, notices = harness.communicate(timeout=DEADLINE_S)
    assert harness.returncode == 130, notices
    assert notices.endswith("splitbrain: interrupted; what was started has been stopped\n")
    assert processes_naming(str(tmp_path)) == []
    if environment == "docker":
        assert things_of(harness) == []


@pytest.mark.parametrize("environment", [LOCAL, DOCKER])
def test_what_a_run_that_was_killed_leaves_is_readable_and_the_next_run_removes_the_rest(
    environment: str, tmp_path: Path
) -> None:
    with started(command(environment, tmp_path, NEVER_S)) as harness:
        eventually("a partition", lambda: cut_in_force(tmp_path), DEADLINE_S, harness, POLL_S)
        harness.kill()
        harness.wait(timeout=DEADLINE_S)
    run = (tmp_path / "current").resolve()
    eventually("no process is left", lambda: processes_naming(str(tmp_path)) == [], DEADLINE_S, poll_s=POLL_S)
    left = things_of(harness) if environment == "docker" else []

    *whole, last = (run / "history.jsonl").read_text().split("\n")
    assert all(json.loads(line)["index"] == index for index, line in enumerate(whole))
    check = [sys.executable, "-P", "-m", "harness", "check", str(run), "--truncated-tail", "drop"]
    checked = subprocess.run(check, capture_output=True, text=True, timeout=DEADLINE_S)
    assert checked.returncode == 0, f"{checked.stdout}{checked.stderr}, behind {last!r}"

    if environment == "docker":
        assert len(left) == 7, "a container and a volume for each node, and the network"
        with started(command(environment, tmp_path, 1, nemesis="none")) as following:
            _, notices = following.communicate(timeout=DEADLINE_S)
        assert following.returncode == 0, notices
        assert f"docker run {run}, whose harness is gone: undone: partition, " in notices
        assert "(3 containers, 1 network" in notices
        assert things_of(harness) == []
