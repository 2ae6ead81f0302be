"""Runs on dask.distributed: the same verdicts as on one machine, also when a worker is killed in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.campaign.directory import read_row
from night import BROKEN, SEEN_BROKEN, SHORT, started, summary, the_campaign
from waiting import eventually

pytest.importorskip("distributed", reason="dask.distributed is not installed: pip install distributed")

DEADLINE_S = 120.0


def daemon(log: Path, *words: object) -> subprocess.Popen[bytes]:
    """A scheduler or a worker of dask."""
    command = [sys.executable, "-m", "distributed.cli.dask_" + str(words[0]), *map(str, words[1:])]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, cwd=log.parent, env={**os.environ})


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and the processes of it and its two workers."""
    log, described = tmp_path / "dask.log", tmp_path / "scheduler.json"
    processes = [
        daemon(log, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", described)
    ]
    try:
        eventually(f"a scheduler, see {log}", lambda: described.exists() and described.read_text(), DEADLINE_S)
        address = json.loads(described.read_text())["address"]
        for name in ("a", "b"):
            words = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name, "--local-directory", tmp_path)
            processes.append(daemon(log, "worker", address, *words))
        eventually(f"two workers, see {log}", lambda: log.read_text().count("Registered to") >= 2, DEADLINE_S)
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait(DEADLINE_S)


def places(found):
    made = {(run["cell"], run["seed"]): (run["verdict"], run["signature"]) for run in found["runs"]}
    assert len(made) == len(found["runs"])
    return made


def test_a_worker_that_is_killed_changes_no_verdict(cluster, tmp_path):
    address, (_, *workers) = cluster
    words = ["campaign", *SHORT, "--seeds", "1..10", "--json", "--store"]
    process = started(*words, tmp_path / "dask", "--engine", "dask", "--scheduler", address)
    eventually("two runs have ended", lambda: len(list(tmp_path.glob("dask/*/*/row.json"))) >= 2, DEADLINE_S, process)
    workers[0].kill()
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    alone = started(*words, tmp_path / "alone")
    assert places(summary(out)) == places(summary(alone.communicate(timeout=DEADLINE_S)[0]))


def test_a_scheduler_that_dies_ends_the_campaign_in_one_line_and_it_can_be_resumed(cluster, tmp_path):
    address, (scheduler, *_) = cluster
    words = ["campaign", *SHORT, "--seeds", "1..10", "--json", "--store", tmp_path / "dask"]
    process = started(*words, "--engine", "dask", "--scheduler", address)
    eventually("two runs have ended", lambda: len(list(tmp_path.glob("dask/*/*/row.json"))) >= 2, DEADLINE_S, process)
    scheduler.kill()
    out, err = process.communicate(timeout=DEADLINE_S)
    campaign = the_campaign(tmp_path / "dask")
    assert (process.returncode, out) == (2, ""), err
    assert "Traceback" not in err, err
    assert f"to go on: splitbrain campaign {campaign} --resume" in err
    assert err.splitlines()[-1] == f"splitbrain: the scheduler at {address} is gone; nothing is proven"
    rest = started(*words, "--resume")
    found = summary(rest.communicate(timeout=DEADLINE_S)[0])
    assert found["counts"]["valid"] == len(places(found)) == 10


def test_a_failure_comes_home_whole(cluster, splitbrain):
    address, _ = cluster
    seeds = f"{SEEN_BROKEN}..{SEEN_BROKEN}"
    mixed = [*BROKEN[:-1], "none,Q1"]
    code, out, _ = splitbrain(
        "campaign", *mixed, "--seeds", seeds, "--engine", "dask", "--scheduler", address, "--json"
    )
    assert code == 1
    for run in summary(out)["runs"]:
        directory = Path(run["run"])
        row = read_row(directory)
        assert row.verdict == run["verdict"]
        broken = run["verdict"] == "invalid"
        assert (row.keeps, (directory / "history.jsonl").exists()) == (("all", True) if broken else ("results", False))
        assert (directory / "n1" / "trace.jsonl").exists() == broken
        assert (directory / "results.json").exists()


@pytest.mark.filterwarnings("ignore")
def test_where_no_scheduler_answers_it_is_one_line(splitbrain, monkeypatch):
    from harness.campaign import engine_dask

    monkeypatch.setattr(engine_dask, "_CONNECT_S", 1)
    code, out, err = splitbrain(
        *("campaign", *SHORT, "--seeds", "1", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:1")
    )
    assert (code, out, err.count("\n")) == (254, "", 1), err
    assert "--scheduler tcp://127.0.0.1:1: no scheduler answers" in err
