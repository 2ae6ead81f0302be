"""The catalogue: it finds what it is asked for, and it is what the directories say, whatever became of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing

import msgspec
import pytest

from harness.campaign import catalogue
from harness.campaign.catalogue import Filter, opened
from harness.campaign.cells import Cell
from harness.errors import UsageError
from harness.store import save
from night import CELL, STALE

RUN = ("run", "--env", "sim", "--nodes", "3", "--nemesis", "none", "--time-limit", "1")
OTHER = Cell(env="docker", nodes=5, nemesis="clock")


def keep(store, *rows):
    """Put rows where a campaign puts them."""
    for row in rows:
        run = store / row.run
        run.mkdir(parents=True)
        save(run / "job.json", {"campaign": row.campaign, "job": row.job, "cell": msgspec.to_builtins(row.cell),
                                "seed": row.seed, "attempt": 1, "began": row.began})  # fmt: skip
        save(run / "row.json", row)


def names(rows):
    return [row.run for row in rows]


@pytest.fixture
def mixed(rows):
    return [
        rows(),
        rows("invalid"),
        rows("crash", ended="out of time", version="2.0"),
        rows("unknown", cell=OTHER, campaign="night-2", run="night-2/001"),
    ]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (Filter(), [3, 2, 1, 0]),
        (Filter(verdict=["invalid"]), [1]),
        (Filter(verdict=["invalid", "unknown"]), [3, 1]),
        (Filter(verdict=["crash"]), [2]),
        (Filter(verdict=["out of time"]), [2]),
        (Filter(env="docker"), [3]),
        (Filter(cell=["nemesis=partition"]), [2, 1, 0]),
        (Filter(cell=["nodes=3", "kill"]), [2, 1, 0]),
        (Filter(exactly=OTHER), [3]),
        (Filter(signature="goes back"), [1]),
        (Filter(version="2.0"), [2]),
        (Filter(campaign="night-2"), [3]),
        (Filter(since=1002.0, until=1004.0), [2, 1]),
        (Filter(env="docker", verdict=["valid"]), []),
    ],
)
def test_rows_are_found_by_everything_and_the_newest_comes_first(tmp_path, mixed, wanted, places):
    with opened(tmp_path) as known:
        known.add(mixed)
        assert known.rows(wanted) == [mixed[place] for place in places]
        assert known.rows(wanted, limit=1) == [mixed[place] for place in places[:1]]
        assert sum(known.counts(wanted).values()) == len(places)


def test_a_row_takes_the_place_of_an_older_one_of_its_run(tmp_path, rows):
    row = rows()
    with opened(tmp_path) as known:
        known.add([row, msgspec.structs.replace(row, keeps="results")])
        assert [one.keeps for one in known.rows()] == ["results"]


def test_what_failed_last_is_what_is_to_be_run_first(tmp_path, rows):
    with opened(tmp_path) as known:
        known.add([rows("invalid", seed=1), rows(seed=2), rows("invalid", seed=3), rows("crash", seed=4)])
        known.add([rows(seed=3), rows("interrupted", seed=1), rows("invalid", seed=5, cell=OTHER)])
        assert known.failed(10) == [(OTHER, 5), (CELL, 4), (CELL, 1)]
        assert known.failed(1) == [(OTHER, 5)]


# -- the directories are the truth


def test_it_follows_the_directories(tmp_path, rows):
    first, second = rows(), rows("invalid")
    keep(tmp_path, first)
    with opened(tmp_path) as known:
        known.refresh()
        assert known.rows() == [first]
        keep(tmp_path, second)
        known.refresh()
        assert known.rows() == [second, first]
        shutil.rmtree(tmp_path / first.run)
        known.refresh()
        assert known.rows() == [second]
        shutil.rmtree(tmp_path / "night-1")
        known.refresh()
        assert known.rows() == []


def test_it_is_made_anew_as_it_was(tmp_path, mixed):
    keep(tmp_path, *mixed)
    with opened(tmp_path) as known:
        known.refresh()
        before = known.rows()
    with opened(tmp_path, anew=True) as known:
        assert known.rows() == []
        known.refresh()
        assert known.rows() == before == mixed[::-1]


def test_a_folder_that_has_not_changed_is_not_read_again(tmp_path, rows, monkeypatch):
    keep(tmp_path, rows())
    old = tmp_path / "night-1"
    os.utime(old, (1_000_000, 1_000_000))
    with opened(tmp_path) as known:
        known.refresh()
        monkeypatch.setattr(catalogue.Catalogue, "_read", lambda *arguments: pytest.fail("it was read"))
        known.refresh()
        os.utime(old, (1_000_001, 1_000_001))
        with pytest.raises(pytest.fail.Exception):
            known.refresh()


def test_a_run_that_has_not_ended_is_incomplete_until_it_has(tmp_path, rows):
    row = rows()
    keep(tmp_path, row)
    (tmp_path / row.run / "row.json").rename(tmp_path / "aside")
    with opened(tmp_path) as known:
        known.refresh()
        assert [one.verdict for one in known.rows()] == ["incomplete"]
        (tmp_path / "aside").rename(tmp_path / row.run / "row.json")
        known.refresh()
        assert known.rows() == [row]


def test_runs_without_a_campaign_are_there_as_well(splitbrain, tmp_path):
    splitbrain("run", "--env", "sim", "--nodes", "3", "--nemesis", "none", "--time-limit", "1", "--seed", "5")
    code, out, _ = splitbrain("runs", "--json")
    (row,) = json.loads(out)["runs"]
    assert (code, row["verdict"], row["seed"], row["cell"]["nodes"], row["campaign"]) == (0, "valid", 5, 3, None)
    assert row["statistics"]["operations"] > 0
    (tmp_path / "store" / row["run"] / "results.json").unlink()
    again = json.loads(splitbrain("runs", "--json", "--reindex")[1])
    assert again["counts"] == {"incomplete": 1}
    assert again["runs"][0]["version"] == row["version"], "the definition says it too"


# -- bad input


def test_a_catalogue_of_a_newer_version_is_refused_in_one_line(splitbrain, tmp_path):
    (tmp_path / "store").mkdir()
    with sqlite3.connect(tmp_path / "store" / catalogue.FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, out, err = splitbrain("runs")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert "newer splitbrain (schema 99, this one knows 1)" in err
    assert splitbrain("runs", "--reindex")[0] == 0


def _garbage(path):
    path.write_bytes(b"no database at all, and long enough to look like one" * 40)


def _empty(path):
    path.write_bytes(b"")


def _truncated(path):
    path.write_bytes(path.read_bytes()[:4096])


def _torn(path):
    """The first page, which has the schema, is as it was; the others are not."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def _without_tables(path):
    _sql(path, "DROP TABLE rows")


def _without_a_column(path):
    _sql(path, "DROP TABLE folders; CREATE TABLE folders (folder TEXT PRIMARY KEY)")


def _with_nonsense_for_rows(path):
    _sql(path, "UPDATE rows SET row = x'00'")


def _sql(path, text):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(text)


BREAKS = [_garbage, _empty, _truncated, _torn, _without_tables, _without_a_column, _with_nonsense_for_rows]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__.lstrip("_"))
def test_a_broken_catalogue_is_made_anew_from_the_runs_and_that_is_said(splitbrain, tmp_path, broken):
    for seed in ("1", "2"):
        assert splitbrain(*RUN, "--seed", seed)[0] == 0
    before = json.loads(splitbrain("runs", "--json")[1])
    assert before["counts"] == {"valid": 2}
    path = tmp_path / "store" / catalogue.FILE
    broken(path)
    code, out, err = splitbrain("runs", "--json")
    assert (code, json.loads(out)) == (0, before)
    assert "Traceback" not in err
    if broken is not _empty:  # which is how a catalogue begins
        assert f"{path}: " in err
        assert "made anew from the runs" in err
    assert splitbrain("runs", "--json")[1:] == (out, ""), "it is sound again"


def test_where_no_catalogue_can_be_kept_runs_are_listed_all_the_same(splitbrain, tmp_path, monkeypatch):
    assert splitbrain(*RUN, "--seed", "1")[0] == 0
    before = splitbrain("runs", "--json")[1]
    connected = catalogue._connected

    def read_only(path):
        if path != ":memory:":
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorname = "SQLITE_READONLY"
            raise error
        return connected(path)

    monkeypatch.setattr(catalogue, "_connected", read_only)
    code, out, err = splitbrain("runs", "--json")
    assert (code, out) == (0, before)
    assert "readonly database: the runs are read anew each time" in err
    assert (tmp_path / "store" / catalogue.FILE).exists(), "nothing is wrong with the file"


def test_what_was_a_link_in_a_store_that_was_copied_is_no_run_of_its_own(splitbrain, tmp_path):
    assert splitbrain(*RUN, "--seed", "1")[0] == 0
    shutil.copytree(tmp_path / "store", tmp_path / "copy", symlinks=False)
    assert not (tmp_path / "copy" / "latest").is_symlink()
    listed = json.loads(splitbrain("runs", "--json", "--store", "copy")[1])
    assert listed["counts"] == {"valid": 1}
    assert splitbrain(*RUN, "--seed", "2", "--store", "copy")[0] == 0
    assert json.loads(splitbrain("runs", "--json", "--store", "copy")[1])["counts"] == {"valid": 2}


def test_a_store_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such directory"), opened(tmp_path / "none"):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--since", "yesterday"), "12h or 3d"),
        (("--until", "2026-13-01"), "12h or 3d"),
        (("--limit", "0"), "--limit"),
        (
            ("--verdict", "valid,invaild"),
            "--verdict invaild: there is no such thing; choose from valid, invalid, unknown",
        ),
        (("--verdict", "late"), "out of time, out of memory"),
        (("--env", "moon"), "--env moon: there is no such thing; choose from docker, local, sim, ssh"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_filter_is_one_line(splitbrain, tmp_path, options, said):
    (tmp_path / "store").mkdir()
    code, out, err = splitbrain("runs", *options)
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert said in err
    assert splitbrain("runs", "--verdict", "valid, out of time", "--env", "sim")[0] == 0


def test_signatures_survive_the_catalogue(tmp_path, rows):
    with opened(tmp_path) as known:
        known.add([rows("invalid")])
        assert known.rows()[0].signature == STALE
