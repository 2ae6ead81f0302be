"""Temporary directories of owners that were killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.environments.scratch import Scratch, remove_abandoned

PREFIX = "splitbrain-test-"
_OWNER = f"""
import sys
from harness.environments.scratch import Scratch
scratch = Scratch({PREFIX!r})
(scratch.path / "file").touch()
print(scratch.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_directory_lives_as_long_as_its_owner_and_no_longer() -> None:
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        path = Path(owner.stdout.readline().decode().strip())
        assert remove_abandoned(PREFIX) == []
        owner.send_signal(signal.SIGKILL)
        owner.wait(timeout=30)
    assert path.is_dir()
    assert remove_abandoned(PREFIX) == [path]
    assert not path.exists()


def test_one_that_may_have_just_been_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}new").mkdir()
    assert remove_abandoned(PREFIX) == []


def test_files_links_and_other_names_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}file").write_text("kept")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("kept")
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "other")
    assert remove_abandoned(PREFIX) == []
    assert (tmp_path / "other" / "file").exists()


def test_the_owner_removes_its_own() -> None:
    scratch = Scratch(PREFIX)
    (scratch.path / "file").touch()
    scratch.remove()
    assert not scratch.path.exists()
