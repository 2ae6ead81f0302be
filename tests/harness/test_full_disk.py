"""A disk of the harness' own that takes no more: the run ends, says why, and keeps what it has."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from checkers import formats
from checkers.history import Event
from harness.cli import call
from harness.errors import EnvironmentFailure
from harness.recorder import Recorder


def test_an_event_that_cannot_be_written_is_a_failure_of_the_environment():
    recorder = Recorder(Path("/dev/full"))
    with pytest.raises(EnvironmentFailure, match=r"/dev/full cannot be written: No space left on device"):
        recorder.record(Event(index=0, time=0, type="invoke", process=0, f="read", key=1, value=None))


def test_a_run_whose_results_cannot_be_kept_prints_an_object_all_the_same(tmp_path):
    """The disk takes the definition, and hardly more."""
    limited = f"ulimit -f 1; exec {sys.executable} -m harness run --env sim --nodes 3 --time-limit 1 --seed 1 --json"
    done = subprocess.run(["bash", "-c", f"{limited} --store {tmp_path}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    printed = json.loads(done.stdout)
    assert printed["verdict"] == "unknown"
    assert printed["reason"].endswith("results.json cannot be written: File too large; what was kept stays")
    assert Path(printed["run"], "history.jsonl").exists()
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_kept_does_not_keep_the_verdict_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write = Path.write_text

    def refuse(path, *arguments, **options):
        if path.name == "report.txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    code = call(
        ["run", "--env", "sim", "--nodes", "3", "--time-limit", "1", "--seed", "1", "--nemesis", "none", "--json"]
    )
    printed = capsys.readouterr()
    assert (code, json.loads(printed.out)["verdict"]) == (0, "valid")
    assert "report.txt cannot be written: No space left on device" in printed.err.replace("\n", " ")


def test_a_run_whose_files_may_not_grow_is_unknown_and_keeps_its_history(tmp_path):
    limited = f"ulimit -f 60; exec {sys.executable} -m harness run --env sim --nodes 3 --time-limit 20 --seed 1 --json"
    command = ["bash", "-c", f"{limited} --store {tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    results = json.loads(done.stdout)
    assert results["verdict"] == "unknown"
    assert "cannot be written: File too large" in results["reason"] + results["checks"]["recovery"]["reason"]
    history = formats.read(Path(results["run"]) / "history.jsonl")
    assert history.operations
