"""Run directories: each its own, linked, written whole, and refused in one line."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checkers.history import Event
from harness.errors import UsageError
from harness.recorder import Recorder
from harness.store import create, save, take

NOON = datetime(2026, 1, 2, 12, 0, 0, 345_000, tzinfo=UTC)


def test_a_run_is_filed_under_its_name_and_its_time(tmp_path):
    directory = create(tmp_path, "register-sim", NOON)
    assert directory.path == tmp_path / "register-sim" / "20260102T120000.345Z"
    assert list(directory.path.iterdir()) == []


def test_runs_that_begin_in_one_millisecond_have_directories_of_their_own(tmp_path):
    paths = [create(tmp_path, "same", NOON).path for _ in range(5)]
    assert len(set(paths)) == 5
    assert all(path.is_dir() for path in paths)


def test_current_is_the_run_that_began_last_and_latest_the_one_that_ended_last(tmp_path):
    first, second = create(tmp_path, "a", NOON), create(tmp_path, "b", NOON)
    assert (tmp_path / "current").resolve() == second.path
    assert not (tmp_path / "latest").exists()
    first.finish()
    assert (tmp_path / "latest").resolve() == (tmp_path / "a" / "latest").resolve() == first.path
    second.finish()
    assert (tmp_path / "latest").resolve() == second.path
    assert (tmp_path / "a" / "latest").resolve() == first.path


def test_links_survive_a_move_of_the_store(tmp_path):
    create(tmp_path / "here", "a", NOON).finish()
    moved = (tmp_path / "here").rename(tmp_path / "there")
    assert (moved / "latest").resolve() == moved / "a" / "20260102T120000.345Z"


def test_no_leftovers_beside_the_links(tmp_path):
    create(tmp_path, "a", NOON).finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "current", "latest"]


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_store_that_cannot_be_written_is_one_line(tmp_path, below):
    (tmp_path / "file").write_text("not a directory")
    store = tmp_path / "file" / below
    with pytest.raises(UsageError) as error:
        create(store, "a")
    assert str(error.value).startswith(f"--store {store}: ")
    assert "\n" not in str(error.value)


def test_what_is_saved_is_json_that_can_be_read_and_replaced(tmp_path):
    directory = create(tmp_path, "a", NOON)
    save(directory.results, {"verdict": "unknown"})
    save(directory.results, {"verdict": "valid"})
    assert json.loads(directory.results.read_text()) == {"verdict": "valid"}
    assert [path.name for path in directory.path.iterdir()] == ["results.json"]


def test_what_cannot_be_saved_leaves_what_was_there(tmp_path):
    directory = create(tmp_path, "a", NOON)
    save(directory.results, {"verdict": "valid"})
    with pytest.raises(TypeError):
        save(directory.results, {"verdict": object()})
    assert json.loads(directory.results.read_text()) == {"verdict": "valid"}


_KILLED = """
import os, signal, sys
from pathlib import Path
from harness.store import save
real = Path.replace
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
save(Path(sys.argv[1]) / "results.json", {"verdict": "invalid"})
"""


def test_a_kill_in_the_middle_of_saving_leaves_what_was_there(tmp_path):
    (tmp_path / "results.json").write_text('{"verdict": "valid"}')
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "results.json").read_text()) == {"verdict": "valid"}


def test_every_event_is_a_line_as_soon_as_it_is_recorded(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    for index in range(3):
        recorder.record(Event(index=index, time=index, type="invoke", process=index, f="read", key=1))
        lines = (tmp_path / "history.jsonl").read_text().splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(index + 1))
    recorder.close()


def test_a_line_has_the_fields_that_there_are_and_no_others(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder.record(Event(index=0, time=5, type="ok", process=3, f="read", key=1, value=None, version=0))
    recorder.record(
        Event(index=1, time=6, type="fail", process=4, f="cas", key=1, value=[1, 2], error="mismatch", actual=7)
    )
    recorder.close()
    first, second = map(json.loads, (tmp_path / "history.jsonl").read_text().splitlines())
    plain = {"index": 0, "time": 5, "type": "ok", "process": 3, "f": "read", "key": 1, "value": None, "version": 0}
    assert first == plain
    assert (second["error"], second["actual"]) == ("mismatch", 7)
    assert "version" not in second


def test_a_directory_that_somebody_chose_is_made_and_its_run_is_the_latest(tmp_path):
    directory = take(tmp_path / "store", tmp_path / "store" / "night" / "000-1")
    assert directory.path.is_dir()
    directory.finish()
    assert (tmp_path / "store" / "latest").resolve() == directory.path


def test_a_chosen_directory_makes_the_store_that_is_not_there_yet(tmp_path):
    directory = take(tmp_path / "store", tmp_path / "elsewhere" / "run")
    directory.finish()
    assert (tmp_path / "store" / "latest").resolve() == directory.path
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["run"], "no link outside of the store"


@pytest.mark.parametrize("name", ["latest", "current", "a/latest"])
@pytest.mark.parametrize("kind", ["directory", "file"])
def test_what_has_taken_the_place_of_a_link_is_set_aside_and_kept(tmp_path, name, kind):
    said = []
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    if kind == "directory":
        place.mkdir()
        (place / "results.json").write_text("the only copy")
    else:
        place.write_text("a/20260101T000000.000Z")
    directory = create(tmp_path, "a", NOON, say=said.append)
    directory.finish(said.append)
    assert place.is_symlink()
    assert place.resolve() == directory.path
    aside = place.with_name(f"{place.name}.1")
    kept = aside / "results.json" if kind == "directory" else aside
    assert kept.read_text() in ("the only copy", "a/20260101T000000.000Z")
    assert said == [f"{place} was not a link: kept as {aside}"]


def test_a_link_that_cannot_be_made_is_said_and_nothing_else(tmp_path, monkeypatch):
    said = []

    def refuse(path, target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    directory = create(tmp_path, "a", NOON, say=said.append)
    directory.finish(said.append)
    assert [line.partition(" does not point to ")[0] for line in said] == [
        str(tmp_path / name) for name in ("current", "latest", "a/latest")
    ]
    assert list(tmp_path.glob(".*")) == []


def test_a_directory_that_is_not_empty_is_refused_in_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"it holds notes\.txt; name a directory that is empty or absent"):
        take(tmp_path / "store", tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="name a directory that can be written"):
        take(tmp_path / "store", tmp_path / "file")


def test_a_directory_that_a_campaign_has_prepared_is_taken(tmp_path):
    for name in ("job.json", "output.txt"):
        (tmp_path / name).write_text("{}")
    assert take(tmp_path.parent, tmp_path).path == tmp_path


def test_a_directory_in_which_a_run_is_kept_is_refused_in_one_line(tmp_path):
    (tmp_path / "test.json").write_text("{}")
    with pytest.raises(UsageError, match="a run is kept there already") as error:
        take(tmp_path, tmp_path)
    assert str(error.value).startswith(f"--directory {tmp_path}: ")


def test_a_chosen_directory_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(UsageError, match="name a directory that can be written"):
        take(tmp_path, tmp_path / "file" / "run")
