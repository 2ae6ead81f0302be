"""Programs of this machine, run with a deadline."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.environments.command import run
from harness.errors import EnvironmentFailure
from waiting import eventually


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_the_output_comes_back_and_the_input_goes_in() -> None:
    assert asyncio.run(run("sh", "-c", "cat; echo error >&2", stdin="input\n", deadline_s=30)) == "input\nerror"


def test_a_failure_says_which_program_and_its_last_words() -> None:
    with pytest.raises(EnvironmentFailure, match=r"^sh failed: the reason$"):
        asyncio.run(run("sh", "-c", "echo chatter; echo the reason; exit 3", deadline_s=30))


def test_a_program_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(EnvironmentFailure, match=r"^no-such-program cannot be run: "):
        asyncio.run(run("no-such-program", deadline_s=30))


def test_a_missed_deadline_kills_the_program_and_its_children(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! >{tmp_path}/child; wait"
    with pytest.raises(EnvironmentFailure, match=r"^sh did not end within 1 s$"):
        asyncio.run(run("sh", "-c", script, deadline_s=1))
    child = int((tmp_path / "child").read_text())
    eventually("its new parent has reaped it", lambda: not alive(child), 30)
