"""No campaign is green of which something is missing: its files removed, cut off, emptied, swapped or edited."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from night import SHORT, summary, the_campaign

AXES = [word for word in SHORT if word not in ("--nemesis", "partition,kill", "--interval", "0.4")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with one campaign of two valid runs, all of them kept."""
    from harness.cli import call

    store = tmp_path_factory.mktemp("made") / "store"
    assert (
        call(["campaign", *AXES, "--nemesis", "none", "--seeds", "1..2", "--keep", "all", "--store", str(store)]) == 0
    )
    return store


@pytest.fixture
def campaign(made, tmp_path, splitbrain) -> Path:
    shutil.copytree(made, tmp_path / "store", symlinks=True)
    return the_campaign(tmp_path / "store")


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def in_place_of(path, other):
    shutil.rmtree(path)
    shutil.copytree(other, path, symlinks=True)


def invalid(path):
    """Make of a run's results those of one that failed."""
    results = json.loads(path.read_text())
    checks = {**results["checks"], "linearizable": {"verdict": "invalid", "reason": "a version goes back"}}
    edit(path, verdict="invalid", reason="a version goes back", checks=checks)


SPOILED = {
    "row emptied": lambda c: (c / "000-1/row.json").write_text(""),
    "row cut off": lambda c: (c / "000-1/row.json").write_bytes((c / "000-1/row.json").read_bytes()[:-40]),
    "row missing": lambda c: (c / "000-1/row.json").unlink(),
    "row of zeros": lambda c: (c / "000-1/row.json").write_bytes(bytes(400)),
    "row a directory": lambda c: ((c / "000-1/row.json").unlink(), (c / "000-1/row.json").mkdir()),
    "row a link": lambda c: ((c / "000-1/row.json").unlink(), (c / "000-1/row.json").symlink_to("../000-2/row.json")),
    "row of the other run": lambda c: shutil.copy(c / "000-2/row.json", c / "000-1/row.json"),
    "row of another campaign": lambda c: edit(c / "000-1/row.json", campaign="other"),
    "row interrupted": lambda c: edit(c / "000-1/row.json", verdict="interrupted", ended="interrupted"),
    "row without results": lambda c: (c / "000-1/results.json").unlink(),
    "results cut off": lambda c: (c / "000-1/results.json").write_text('{"verdict": "va'),
    "results of a verdict that there is not": lambda c: edit(c / "000-1/results.json", verdict="splendid"),
    "results invalid": lambda c: invalid(c / "000-1/results.json"),
    "results that contradict themselves": lambda c: edit(c / "000-1/results.json", verdict="unknown"),
    "history emptied": lambda c: (c / "000-1/history.jsonl").write_text(""),
    "history missing": lambda c: (c / "000-1/history.jsonl").unlink(),
    "job missing": lambda c: (c / "000-1/job.json").unlink(),
    "job emptied": lambda c: (c / "000-1/job.json").write_text(""),
    "job of another cell": lambda c: edit(c / "000-1/job.json", cell={"env": "sim", "nodes": 9}),
    "job of another campaign": lambda c: edit(c / "000-1/job.json", campaign="other"),
    "run missing": lambda c: shutil.rmtree(c / "000-1"),
    "run renamed": lambda c: (c / "000-1").rename(c / "000-7"),
    "run a copy of the other": lambda c: in_place_of(c / "000-1", c / "000-2"),
    "run twice": lambda c: shutil.copytree(c / "000-1", c / "000-1.2"),
    "run that was never planned": lambda c: shutil.copytree(c / "000-1", c / "000-3"),
    "run a link": lambda c: ((c / "000-1").rename(c.parent / "away"), (c / "000-1").symlink_to(c.parent / "away")),
    "summary emptied": lambda c: (c / "summary.json").write_text(""),
    "summary missing": lambda c: (c / "summary.json").unlink(),
    "summary of more invalid": lambda c: edit(c / "summary.json", verdict="invalid", counts={"valid": 1, "invalid": 1}),
    "summary that lists less": lambda c: edit(
        c / "summary.json", runs=json.loads((c / "summary.json").read_text())["runs"][:1]
    ),
}


@pytest.mark.parametrize("spoil", list(SPOILED))
def test_what_is_missing_is_never_green(campaign, splitbrain, spoil):
    SPOILED[spoil](campaign)
    code, out, err = splitbrain("gate", campaign)
    assert (code, err) == (2, "")
    assert out.splitlines()[-1].startswith("gate not passed (unknown)")
    (line,) = [line for line in out.splitlines() if line.startswith("runs ")]
    assert any(word in line for word in ("000-1", "000-3", "summary.json", "has not ended")), line
    assert json.loads(splitbrain("gate", campaign, "--json")[1])["verdict"] == "unknown"
    if "summary" not in spoil:
        assert splitbrain("compare", campaign, campaign)[0] == 2


@pytest.mark.parametrize("spoil", [name for name in SPOILED if "summary" not in name or "missing" in name])
def test_nor_is_what_is_merged_of_it(campaign, splitbrain, spoil):
    SPOILED[spoil](campaign)
    code, out, _ = splitbrain("merge", campaign, "--store", "merged", "--json")
    assert (code, summary(out)["verdict"]) == (2, "unknown")
    assert summary(out)["missing"]
    code, out, _ = splitbrain("gate", summary(out)["campaign"])
    assert code == 2
    assert "missing or contradictory" in out


def test_an_untouched_copy_passes_wherever_it_is(campaign, splitbrain, tmp_path):
    assert splitbrain("gate", campaign)[0] == 0
    (tmp_path / "elsewhere").mkdir()
    moved = campaign.rename(tmp_path / "elsewhere" / "renamed")
    assert splitbrain("gate", moved)[0] == 0
    (moved / "latest").unlink()
    shutil.copytree(moved / "000-2", moved / "latest")
    assert splitbrain("gate", moved)[0] == 0, "a link that became a directory is no run"
    assert splitbrain("merge", moved, "--store", "merged")[0] == 0


def test_invalid_stays_invalid_whatever_else_is_missing(campaign, splitbrain):
    for name in ("row", "results"):
        invalid(campaign / f"000-1/{name}.json") if name == "results" else edit(
            campaign / "000-1/row.json", verdict="invalid", reason="a version goes back"
        )
    shutil.rmtree(campaign / "000-2")
    code, out, _ = splitbrain("gate", campaign)
    assert code == 1
    assert "000-2: summary.json has it as valid, and it is not there" in out


def test_resuming_makes_a_row_again_from_its_results(campaign, splitbrain):
    row = (campaign / "000-1/row.json").read_text()
    (campaign / "000-1/row.json").write_text("")
    assert splitbrain("campaign", campaign, "--resume")[0] == 0
    again = json.loads((campaign / "000-1/row.json").read_text())
    assert {**again, "seconds": 0} == {**json.loads(row), "seconds": 0}
    assert splitbrain("gate", campaign)[0] == 0


def test_a_failure_that_cannot_be_read_any_more_is_not_run_again_in_silence(campaign, splitbrain):
    brief, *rest = json.loads((campaign / "summary.json").read_text())["runs"]
    edit(campaign / "summary.json", verdict="invalid", runs=[{**brief, "verdict": "invalid"}, *rest])
    lost = brief["run"].rpartition("/")[2]
    for name in ("row.json", "results.json"):
        (campaign / lost / name).write_text("")
    code, _, err = splitbrain("campaign", campaign, "--resume")
    assert code == 2
    assert f"cannot be read: {lost}" in err.splitlines()[-1]
    assert (campaign / "summary.json").exists(), "it still says what was lost"


def test_a_shard_that_was_not_merged_is_missing_until_it_is(splitbrain, tmp_path):
    words = ["campaign", *AXES, "--nemesis", "none", "--seeds", "1..2", "--json", "--store", "parts", "--shard"]
    parts = [summary(splitbrain(*words, f"{index}/2")[1])["campaign"] for index in (1, 2)]
    half = splitbrain("merge", parts[0], "--store", "half", "--json")
    assert (half[0], summary(half[1])["missing"]) == (2, ["shard 2 of 2: 1 runs were not merged"])
    code, out, _ = splitbrain("gate", summary(half[1])["campaign"])
    assert code == 2
    assert "shard 2 of 2" in out
    assert splitbrain("merge", *parts, "--store", "whole")[0] == 0


def test_a_definition_that_asks_for_less_than_its_plan_is_refused(campaign, splitbrain):
    for fields in ({"seeds": [1]}, {"cells": []}, {"shard": [2, 1]}):
        kept = (campaign / "campaign.json").read_text()
        edit(campaign / "campaign.json", **fields)
        code, out, err = splitbrain("gate", campaign)
        assert (code, out, err.count("\n")) == (254, "", 1), fields
        (campaign / "campaign.json").write_text(kept)


# -- nothing is taken from a file that says where things are


def test_pruning_on_resume_stays_in_the_directory_that_was_scanned(campaign, splitbrain, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "kept.txt").write_text("keep me")
    for place in (str(precious), "../precious", "x/../../precious", f"{campaign.name}/../../precious"):
        edit(campaign / "000-1/row.json", run=place)
        code, _, err = splitbrain("campaign", campaign, "--resume", "--disk", "0.000001")
        assert code in (0, 2, 254), err
        assert [path.name for path in precious.iterdir()] == ["kept.txt"]


def test_a_run_that_is_a_link_is_not_pruned(campaign, splitbrain, tmp_path):
    away = (campaign / "000-1").rename(tmp_path / "away")
    (campaign / "000-1").symlink_to(away)
    before = sorted(away.iterdir())
    splitbrain("campaign", campaign, "--resume", "--keep", "failures", "--disk", "0.000001")
    assert sorted(away.iterdir()) == before


def test_a_campaign_that_is_a_link_is_refused(campaign, splitbrain, tmp_path):
    away = campaign.rename(tmp_path / "away")
    campaign.symlink_to(away)
    before = sorted(path for path in away.rglob("*"))
    for command in (["campaign", campaign, "--resume"], ["gate", campaign], ["campaign", "--resume"]):
        code, _, err = splitbrain(*command)
        assert (code, err.count("\n")) == (254, 1), command
    assert sorted(path for path in away.rglob("*")) == before


@pytest.mark.parametrize("name", ["lock", "summary.json", "summary.json.new", "report.md", "junit.xml", "gate.md"])
def test_no_file_is_written_through_a_link(campaign, splitbrain, tmp_path, name):
    kept = tmp_path / "kept.txt"
    kept.write_text("keep me")
    (campaign / name).unlink(missing_ok=True)
    (campaign / name).symlink_to(kept)
    splitbrain("gate", campaign, "--report", "junit,json,markdown")
    splitbrain("campaign", campaign, "--resume")
    assert kept.read_text() == "keep me"


def test_a_catalogue_that_is_a_link_or_names_another_file_is_refused(campaign, splitbrain, tmp_path):
    kept = tmp_path / "kept.sqlite"
    kept.write_bytes(b"")
    catalogue = tmp_path / "store" / "catalogue.sqlite"
    catalogue.unlink(missing_ok=True)
    catalogue.symlink_to(kept)
    code, out, err = splitbrain("runs")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert kept.read_bytes() == b""
    catalogue.unlink()
    journal = catalogue.with_name("catalogue.sqlite-journal")
    journal.write_bytes(b"x" * 600 + bytes.fromhex("d9d505f920a163d7"))
    assert splitbrain("runs")[0] == 254
    assert splitbrain("runs", "--reindex")[0] == 0
