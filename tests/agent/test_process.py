"""A process known by a file: whoever asks finds it, and nobody is ever taken for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.agent.process import Process, ProcessError, look
from waiting import eventually

DEADLINE_S = 10.0
SLEEP = ["sleep", "60"]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """A function: a process of that command, which does not outlive the test."""
    made: list[Process] = []

    def start(*command: str) -> Process:
        made.append(Process(tmp_path / "it.pid"))
        made[-1].start(command or SLEEP, tmp_path, tmp_path / "it.log", {"GREETING": "hello"})
        return made[-1]

    yield start
    for process in made:
        process.kill(DEADLINE_S)


def test_one_that_was_started_lives_until_it_is_killed(started: Callable[..., Process]) -> None:
    process = started()
    seen = process.seen()
    assert seen is not None
    assert process.kill(DEADLINE_S) == seen.pid
    assert process.seen() is None
    assert process.kill(DEADLINE_S) is None, "there was nobody to kill"


def test_one_that_lives_is_not_started_again_and_one_that_died_is(started: Callable[..., Process]) -> None:
    first = started().seen()
    assert started().seen() == first or first is None
    process = started()
    process.kill(DEADLINE_S)
    second = started().seen()
    assert second is not None
    assert first is not None
    assert second.pid != first.pid


def test_whoever_has_its_file_finds_it(started: Callable[..., Process], tmp_path: Path) -> None:
    seen = started().seen()
    successor = Process(tmp_path / "it.pid")
    assert successor.seen() == seen
    assert seen is not None
    assert successor.kill(DEADLINE_S) == seen.pid


def test_another_process_of_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, start_new_session=True) as stranger:
        try:
            (tmp_path / "it.pid").write_text(f"{stranger.pid} 1\n")
            process = Process(tmp_path / "it.pid")
            assert process.seen() is None
            for act in (process.kill, process.stop, process.pause, process.resume):
                assert act(DEADLINE_S) is None
            seen = look(stranger.pid)
            assert seen is not None
            assert seen.state in "SRD"
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", [None, "", "not a number", "1", "1 2 3"])
def test_a_file_that_names_nobody_is_of_nobody(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "it.pid").write_text(content)
    assert Process(tmp_path / "it.pid").seen() is None


def test_it_stands_still_as_soon_as_it_was_paused_and_goes_on_when_it_was_resumed(
    started: Callable[..., Process],
) -> None:
    process = started(sys.executable, "-c", "while True: pass")
    # Not "R" alone: one that goes on may be waiting for a page of its program.
    for states, act in (("T", process.pause), ("T", process.pause), ("SRD", process.resume), ("SRD", process.resume)):
        pid = act(DEADLINE_S)
        seen = process.seen()
        assert seen is not None
        assert seen.pid == pid
        assert seen.state in states


def test_one_that_stands_still_can_be_stopped(started: Callable[..., Process]) -> None:
    process = started()
    pid = process.pause(DEADLINE_S)
    assert process.stop(DEADLINE_S) == pid
    assert process.seen() is None


def test_one_that_will_not_end_is_said_to_be_there_still(started: Callable[..., Process], tmp_path: Path) -> None:
    process = started("sh", "-c", "trap '' TERM; echo trapped; while true; do sleep 0.01; done")
    eventually("it says so", lambda: "trapped" in (tmp_path / "it.log").read_text(), DEADLINE_S)
    with pytest.raises(ProcessError, match=r"^it has not ended within 0 s$"):
        process.stop(0.05)
    assert process.seen() is not None


def test_its_children_die_with_it(started: Callable[..., Process], tmp_path: Path) -> None:
    process = started("sh", "-c", "sleep 60 & echo $!; wait")
    log = tmp_path / "it.log"
    eventually("it says its number", lambda: log.exists() and log.read_text().endswith("\n"), DEADLINE_S)
    child = int(log.read_text())
    process.kill(DEADLINE_S)
    eventually("the child has ended", lambda: (seen := look(child)) is None or seen.state in "ZX", DEADLINE_S)


def test_one_that_has_ended_by_itself_is_not_there(started: Callable[..., Process]) -> None:
    process = started("true")
    eventually("it has ended", lambda: process.seen() is None, DEADLINE_S)
    assert process.pause(DEADLINE_S) is None


def test_a_name_may_hold_anything(started: Callable[..., Process], tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep") or "sleep", program)
    process = started(str(program), "60")
    seen = process.seen()
    assert seen is not None
    assert seen.state in "SRD"
    os.kill(seen.pid, signal.SIGSTOP)
    eventually("it is stopped", lambda: (now := process.seen()) is not None and now.state == "T", DEADLINE_S)


def test_what_it_says_is_appended_and_it_has_its_variables(started: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "it.log").write_text("before\n")
    started("sh", "-c", "echo $GREETING")
    eventually("it greets", lambda: (tmp_path / "it.log").read_text() == "before\nhello\n", DEADLINE_S)


def test_a_program_that_does_not_exist_is_an_error(started: Callable[..., Process], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        started("/no/such/program")
    assert not (tmp_path / "it.pid").exists()
