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


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), LookupError("a bug")], ids=["disk", "bug"])
@pytest.mark.parametrize("step", ["harness.runner.artefact_of", "harness.store.RunDirectory.finish"])
def test_what_fails_after_the_verdict_takes_nothing_from_it(tmp_path, monkeypatch, capsys, step, error):
    monkeypatch.chdir(tmp_path)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(step, fail)
    words = ["run", "--env", "sim", "--nodes", "5", "--nemesis", "partition,kill,pause", "--interval", "1"]
    words += ["--time-limit", "10", "--rate", "100", "--mutant", "Q1", "--json", "--directory", "run"]
    codes = {call([*words[:-1], f"run-{seed}", "--seed", str(seed)]): f"run-{seed}" for seed in range(1, 7)}
    printed = capsys.readouterr()
    assert 1 in codes, "the bug is seen under one of these seeds"
    assert json.loads((tmp_path / codes[1] / "results.json").read_text())["verdict"] == "invalid"
    assert "not everything could be kept" in printed.err
    assert 255 not in codes


@pytest.mark.parametrize("store", ["absent", "file"])
def test_a_run_in_a_directory_of_its_own_does_not_need_a_store(tmp_path, monkeypatch, capsys, store):
    monkeypatch.chdir(tmp_path)
    if store == "file":
        (tmp_path / "store").write_text("not a directory")
    words = ["run", "--env", "sim", "--nodes", "3", "--time-limit", "1", "--seed", "1", "--nemesis", "none"]
    assert call([*words, "--directory", "kept"]) == 0
    assert json.loads((tmp_path / "kept" / "results.json").read_text())["verdict"] == "valid"
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("valid: ")
    assert ("does not point to" in printed.err) == (store == "file")
