"""Artefacts and replays: a failure comes back as the same run, and what cannot be told is not told."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import typer

import harness
from checkers.result import Verdict
from harness.artefact import read_artefact
from harness.cli import call
from harness.errors import UsageError
from harness.replay import bisect_code, definition_of, first_difference, interval, repeats, tally
from harness.signature import Signature
from harness.test import Test

FAILING = ["--env", "sim", "--nodes", "3", "--time-limit", "6", "--rate", "400", "--interval", "2"]
FAILING += ["--nemesis", "partition:leader", "--mutant", "Q1", "--seed", "3"]
SOUND = ["--env", "sim", "--nodes", "3", "--time-limit", "2", "--nemesis", "none", "--seed", "1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The directories of a run that failed and of one that did not, to be read only."""
    store = tmp_path_factory.mktemp("runs")
    found = {}
    for name, words in (("failed", FAILING), ("sound", SOUND)):
        call(["run", *words, "--store", str(store)])
        found[name] = (store / "latest").resolve()
    return found


@pytest.fixture
def failed(runs, tmp_path):
    """A copy of the failed run, to be changed."""
    return shutil.copytree(runs["failed"], tmp_path / "failed")


@pytest.fixture
def replay(tmp_path, capfd):
    """A function: (exit code, stdout, stderr) of `splitbrain replay`."""

    def replay(*words):
        code = call(["replay", *map(str, words), "--store", str(tmp_path / "store")])
        return code, *capfd.readouterr()

    return replay


def change(path: Path, **fields) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **fields}))


# -- artefacts


def test_only_a_run_that_failed_leaves_an_artefact(runs):
    assert (runs["failed"] / "artefact.json").exists()
    assert not (runs["sound"] / "artefact.json").exists()


def test_an_artefact_has_what_the_run_directory_has(runs):
    artefact = read_artefact(runs["failed"] / "artefact.json")
    assert artefact.definition == msgspec.json.decode((runs["failed"] / "test.json").read_bytes(), type=Test)
    results = json.loads((runs["failed"] / "results.json").read_text())
    assert (artefact.seed, artefact.version, artefact.digest) == (3, results["version"], results["digest"])
    assert artefact.failure.checker == "linearizable"
    assert [window.fault for window in artefact.schedule] == [row["fault"] for row in results["faults"]]
    assert all(window.asked == {"shape": "leader"} and window.resolved["drops"] for window in artefact.schedule)
    assert artefact == read_artefact(runs["failed"])


def test_a_run_without_an_artefact_is_read_all_the_same(runs, failed):
    (failed / "artefact.json").unlink()
    assert read_artefact(failed) == read_artefact(runs["failed"])
    assert read_artefact(runs["sound"]).failure is None


def test_a_run_that_was_killed_has_a_definition_and_faults_but_no_digest(failed):
    for name in ("artefact.json", "results.json"):
        (failed / name).unlink()
    with (failed / "history.jsonl").open("ab") as history:
        history.write(b'{"index":99')
    artefact = read_artefact(failed)
    assert artefact.schedule
    assert (artefact.digest, artefact.failure) == (None, None)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), ["artefact.json", "truncated"]),
        (lambda path: path.write_text(""), ["artefact.json", "truncated"]),
        (lambda path: path.write_text("{}"), ["not an artefact", "format"]),
        (lambda path: path.write_text("hello"), ["not an artefact", "JSON"]),
        (lambda path: change(path, format=7, version="9.1.2"), ["splitbrain 9.1.2", "format 7", harness.__version__]),
        (lambda path: change(path, version="9.1.2", surprise=1), ["splitbrain 9.1.2", "surprise", harness.__version__]),
        (lambda path: (path.unlink(), (path.parent / "test.json").unlink()), ["no run is kept here", "artefact.json"]),
    ],
    ids=["cut off", "empty", "another object", "no JSON", "another format", "another version", "no run"],
)
def test_what_is_no_artefact_of_ours_is_bad_input(replay, failed, spoil, words):
    spoil(failed / "artefact.json")
    code, out, err = replay(failed)
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert all(word in err for word in words), err


def test_a_file_that_is_not_there_is_bad_input(replay, tmp_path):
    code, _, err = replay(tmp_path / "nowhere.json")
    assert (code, err.count("\n")) == (254, 1)
    assert "nowhere.json" in err


# -- the same run


def test_a_failure_comes_back_as_the_same_run(replay, runs):
    code, out, _ = replay(runs["failed"] / "artefact.json")
    assert code == 1
    assert out.splitlines()[-1].startswith("invalid: it fails as it did: linearizable: ")
    assert read_artefact(runs["failed"]).digest in out
    assert "shortest failing window" in out


def test_and_in_another_process_with_another_hash_seed(runs, tmp_path):
    command = [sys.executable, "-m", "harness", "replay", str(runs["failed"]), "--json", "--store", str(tmp_path)]
    for hash_seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1, done.stderr
        said = json.loads(done.stdout)
        assert said["digest"]["equal"] is True
        assert said["tally"]["failed"] == 1


def test_a_run_that_did_not_fail_does_not_fail_again(replay, runs):
    code, out, _ = replay(runs["sound"])
    assert code == 0
    assert "as it was recorded" in out
    assert out.splitlines()[-1].startswith("valid: ")


def test_another_digest_is_no_replay_and_the_first_event_that_differs_is_named(replay, failed):
    change(failed / "artefact.json", digest="0" * 32, version="0.0.9")
    lines = (failed / "history.jsonl").read_text().splitlines()
    lines[40] = lines[40].replace('"time":', '"time":1')
    (failed / "history.jsonl").write_text("\n".join(lines) + "\n")
    code, out, err = replay(failed)
    assert code == 2
    assert f"recorded {lines[40]}" in out
    assert "they differ first at event 40" in out
    assert "made by splitbrain 0.0.9" in err
    last = out.splitlines()[-1]
    assert last.startswith("unknown: this is not the run that was recorded: splitbrain 0.0.9 made it")
    assert last.endswith("this one is invalid")


def test_where_only_the_nodes_differ_their_traces_are_compared(replay, failed):
    change(failed / "artefact.json", digest="0" * 32)
    trace = failed / "n2" / "trace.jsonl"
    trace.write_bytes(trace.read_bytes() + b"{}\n")
    code, out, _ = replay(failed, "--json")
    difference = json.loads(out)["difference"]
    assert code == 2
    assert (difference["file"], difference["recorded"], difference["replayed"]) == ("n2/trace.jsonl", "{}", None)


def test_without_the_recorded_history_it_says_that_it_cannot_tell_where(replay, failed, tmp_path):
    change(failed / "artefact.json", digest="0" * 32)
    alone = shutil.copy(failed / "artefact.json", tmp_path / "alone.json")
    code, out, _ = replay(alone)
    assert code == 2
    assert "is not there to compare" in out


def test_a_run_does_not_differ_from_itself(runs):
    assert first_difference(runs["failed"], runs["failed"]) is None


def test_the_next_seeds_are_tried_after_the_recorded_one(replay, runs):
    code, out, _ = replay(runs["failed"], "--times", "3", "--json")
    said = json.loads(out)
    assert code == 1
    assert [run["seed"] for run in said["runs"]] == [3, 4, 5]
    assert said["digest"]["equal"] is True
    failed = sum(run["verdict"] == "invalid" for run in said["runs"])
    assert said["tally"]["failed"] + said["tally"]["other"] == failed < 3


# -- the recorded schedule elsewhere


def test_elsewhere_the_faults_that_took_place_are_issued_again(runs):
    artefact = read_artefact(runs["failed"])
    test = definition_of(artefact, "local", 3)
    assert not repeats(artefact, "local")
    assert (test.environment, test.seed, test.schedule) == ("local", 3, artefact.schedule)
    assert [spec.name for spec in test.nemesis] == ["partition"]
    anew = definition_of(artefact, "local", 0, aim_anew=True)
    assert {window.resolved for window in anew.schedule} == {None}


def test_what_was_recorded_on_real_nodes_is_transplanted_into_the_simulator(replay, failed):
    change(failed / "artefact.json", digest=None)
    definition = json.loads((failed / "test.json").read_text())
    change(failed / "artefact.json", definition={**definition, "environment": "docker", "subnet": "10.1.2.0/24"})
    code, out, _ = replay(failed, "--env", "sim", "--times", "2", "--json")
    said = json.loads(out)
    assert code in (0, 1)
    assert (said["digest"]["equal"], said["tally"]["conclusive"]) == (None, 2)
    (first, _) = [json.loads((Path(run["run"]) / "test.json").read_text()) for run in said["runs"]]
    assert first["schedule"] == json.loads((failed / "artefact.json").read_text())["schedule"]


def test_a_run_with_a_schedule_names_the_command_that_repeats_it(replay, failed):
    definition = json.loads((failed / "test.json").read_text())
    change(failed / "artefact.json", digest=None, definition={**definition, "environment": "docker"})
    _, out, _ = replay(failed, "--env", "sim", "--json")
    directory = json.loads(out)["runs"][0]["run"]
    command = json.loads((Path(directory) / "results.json").read_text())["command"]
    assert command == f"splitbrain replay {directory}"
    _, out, _ = replay(directory, "--json")
    assert json.loads(out)["digest"]["equal"] is True


@pytest.mark.local
@pytest.mark.slow
def test_on_real_nodes_the_same_nodes_are_hit_at_about_the_same_times(replay, runs):
    _, out, err = replay(runs["failed"], "--env", "local", "--json")
    (run,) = json.loads(out)["runs"]
    was, now = read_artefact(runs["failed"]).schedule, read_artefact(Path(run["run"])).schedule
    assert [one.resolved for one in now] == [one.resolved for one in was][: len(now)], err
    assert len(was) - len(now) <= 1, "what was applied after the time limit is not issued again"
    assert all(abs(one.begin_ns - other.begin_ns) < 1e9 for one, other in zip(was, now, strict=False))


# -- how often


@pytest.mark.parametrize(
    ("failed", "runs", "low", "high"),
    [  # Clopper and Pearson, from the tables of the beta distribution
        (0, 10, 0.0, 0.308498),
        (1, 10, 0.002529, 0.445016),
        (3, 10, 0.066740, 0.652453),
        (10, 10, 0.691503, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_is_the_textbook_s(failed, runs, low, high):
    assert interval(failed, runs) == pytest.approx((low, high), abs=2e-6)


@pytest.mark.parametrize(("failed", "runs"), [(1, 4), (3, 10), (7, 9)])
def test_at_its_ends_what_was_seen_is_as_unlikely_as_it_says(failed, runs):
    low, high = interval(failed, runs)

    def probability(rate, counts):
        return sum(math.comb(runs, count) * rate**count * (1 - rate) ** (runs - count) for count in counts)

    assert probability(low, range(failed, runs + 1)) == pytest.approx(0.025)
    assert probability(high, range(failed + 1)) == pytest.approx(0.025)


STALE = Signature("linearizable", "a version goes back", "read")
TORN = Signature("linearizable", "two values under one version", "read")
DEAD = Signature("recovery", "liveness")


@pytest.fixture
def outcome(monkeypatch):
    """A function: the results of a run that ended so: a class of failures, or a verdict."""

    class Outcome:
        def __init__(self, found):
            self.found = found if isinstance(found, Signature) else None
            self.verdict = Verdict.INVALID if self.found else found

    monkeypatch.setattr("harness.replay.failure_of", lambda results: results.found)
    return Outcome


def test_only_failures_of_the_recorded_class_are_counted(outcome):
    found = tally(STALE, [outcome(one) for one in (STALE, TORN, Verdict.VALID, Verdict.UNKNOWN, STALE)])
    assert (found.failed, found.other, found.conclusive, found.unknown) == (2, 1, 4, 1)
    how = "failed as recorded (linearizable: a version goes back (read)), 1 in another way"
    assert str(found).startswith(f"2 of 4 replays {how}")
    assert "of 1 more nothing is known" in str(found)


def test_where_nothing_was_concluded_no_rate_is_stated(outcome):
    assert str(tally(STALE, [outcome(Verdict.UNKNOWN)])) == "nothing is known: none of 1 replays came to a verdict"


# -- bisection


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([STALE], 1),
        ([TORN], 1),
        ([Verdict.VALID, STALE], 1),
        ([Verdict.UNKNOWN, STALE], 1),
        ([Verdict.VALID], 0),
        ([Verdict.VALID, Verdict.UNKNOWN], 125),
        ([Verdict.UNKNOWN], 125),
        ([DEAD], 125),
    ],
)
def test_what_git_bisect_is_told(outcome, found, code):
    assert bisect_code(STALE, [outcome(one) for one in found]) == code


def test_bisection_wants_no_equal_digest(replay, failed):
    change(failed / "artefact.json", digest="0" * 32, version="0.0.9")
    code, out, _ = replay(failed, "--bisect")
    assert code == 1
    assert out.startswith("1: 1 of 1 replays failed as recorded")


def test_bisection_of_a_sound_version(replay, failed):
    definition = json.loads((failed / "test.json").read_text())
    change(failed / "artefact.json", definition={**definition, "mutant": None})
    assert replay(failed, "--bisect")[0] == 0


@pytest.mark.parametrize("fields", [{"format": 99}, {"surprise": 1}], ids=["another format", "another definition"])
def test_a_version_that_cannot_read_it_cannot_tell(replay, failed, fields):
    change(failed / "artefact.json", **fields)
    code, _, err = replay(failed, "--bisect")
    assert code == 125
    assert "splitbrain" in err


def test_a_version_that_cannot_run_it_or_crashes_cannot_tell(replay, failed, monkeypatch):
    definition = json.loads((failed / "test.json").read_text())
    change(failed / "artefact.json", definition={**definition, "mutant": "Z99"})
    assert replay(failed, "--bisect")[0] == 125

    def crash(*arguments):
        raise LookupError("a bug")

    change(failed / "artefact.json", definition=definition)
    monkeypatch.setattr("harness.commands.replay.execute", crash)
    code, _, err = replay(failed, "--bisect")
    assert code == 125
    assert "a bug" in err


@pytest.mark.parametrize("environment", ["moon", "docker"])
def test_an_environment_that_is_unknown_or_not_to_be_had_cannot_tell(replay, failed, monkeypatch, environment):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    definition = json.loads((failed / "test.json").read_text())
    change(failed / "artefact.json", digest=None, definition={**definition, "environment": environment})
    code, _, err = replay(failed, "--bisect")
    assert code == 125
    assert environment in err
    assert replay(failed)[0] == 254


@pytest.mark.parametrize(
    ("inner", "code"), [(0, 0), (1, 1), (125, 125), (254, 125), (255, 125), (137, 125), (130, 130)]
)
def test_what_a_process_inside_of_a_namespace_says_is_passed_on_if_it_is_an_answer(
    replay, failed, monkeypatch, inner, code
):
    def elsewhere(environment):
        raise typer.Exit(inner)

    monkeypatch.setattr("harness.commands.replay.enter_namespace", elsewhere)
    assert replay(failed, "--bisect")[0] == code


def test_an_interruption_ends_a_bisection(replay, failed, monkeypatch):
    def interrupted(*arguments):
        raise typer.Abort

    monkeypatch.setattr("harness.commands.replay.execute", interrupted)
    assert replay(failed, "--bisect")[0] == 130


def test_what_the_user_got_wrong_ends_a_bisection(replay, tmp_path):
    code, _, _ = replay(tmp_path / "nowhere.json", "--bisect")
    assert code == 254
    with pytest.raises(UsageError):
        read_artefact(tmp_path / "nowhere.json")
