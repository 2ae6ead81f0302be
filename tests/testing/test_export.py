"""Exported tests stand alone: what they say when pytest runs them somewhere else."""

from __future__ import annotations

import json

import pytest

from harness.cli import call

pytest_plugins = ["pytester"]

BROKEN = ["--nodes", "3", "--time-limit", "6", "--rate", "400", "--interval", "2", "--nemesis", "partition:leader"]


@pytest.fixture
def run_of(tmp_path, capfd):
    """A function: the directory of a run in the simulator, made to look as if nodes elsewhere had been real."""

    def run_of(*options, environment="sim"):
        call(["run", "--env", "sim", "--seed", "1", *options, "--store", str(tmp_path / "store")])
        run = (tmp_path / "store" / "latest").resolve()
        for file in run.glob("*.json"):
            content = json.loads(file.read_text())
            for definition in (content, content.get("definition", {})):
                if "environment" in definition:
                    definition["environment"] = environment
            file.write_text(json.dumps(content))
        capfd.readouterr()
        return run

    return run_of


@pytest.fixture
def export(capfd, tmp_path):
    """A function: (exit code, stdout, stderr) of `splitbrain export` to test_kept.py."""

    def export(run, file="test_kept.py"):
        return call(["export", str(run), "--pytest", str(tmp_path / file)]), *capfd.readouterr()

    return export


def pytest_in(pytester, directory):
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rx", "-v", str(directory / "test_kept.py"))


def test_a_simulated_failure_fails_again(run_of, export, pytester, tmp_path):
    code, out, _ = export(run_of(*BROKEN, "--mutant", "Q1"))
    assert code == 0
    assert "pytest" in out
    result = pytest_in(pytester, tmp_path)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_register_sim_q1_seed_1*", "*AssertionError: invalid: key *", "*--mutant Q1"])


def test_and_passes_once_the_bug_is_gone(run_of, export, pytester, tmp_path):
    export(run_of(*BROKEN, "--mutant", "Q1"))
    kept = tmp_path / "test_kept.py"
    kept.write_text(kept.read_text().replace('    mutant="Q1",\n', ""))
    pytest_in(pytester, tmp_path).assert_outcomes(passed=1)


def test_an_explicit_schedule_is_kept(run_of, export, pytester, tmp_path):
    run = run_of("--nodes", "3", "--time-limit", "3", "--rate", "50", "--interval", "1", "--nemesis", "kill")
    run_in_docker = json.loads((run / "test.json").read_text())
    (run / "test.json").write_text(json.dumps({**run_in_docker, "environment": "docker"}))
    call(["replay", str(run), "--env", "sim", "--store", str(tmp_path / "again")])
    assert export(tmp_path / "again" / "latest")[0] == 0
    assert "'fault': 'kill'" in (tmp_path / "test_kept.py").read_text()
    pytest_in(pytester, tmp_path).assert_outcomes(passed=1)


def test_the_window_that_was_recorded_on_real_nodes_is_judged(run_of, export, pytester, tmp_path):
    assert export(run_of(*BROKEN, "--mutant", "Q1", environment="docker"))[0] == 0
    text = (tmp_path / "test_kept.py").read_text()
    assert "Operation(process=" in text
    result = pytest_in(pytester, tmp_path)
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(["XFAIL*recorded on docker nodes by splitbrain *, seed 1*"])


def test_and_fails_where_a_checker_would_take_it(run_of, export, pytester, tmp_path):
    export(run_of(*BROKEN, "--mutant", "Q1", environment="docker"))
    kept = tmp_path / "test_kept.py"
    lines = kept.read_text().splitlines(keepends=True)
    blocked = max(number for number, line in enumerate(lines) if "Operation(process=" in line)
    kept.write_text("".join(lines[:blocked] + lines[blocked + 1 :]))
    pytest_in(pytester, tmp_path).assert_outcomes(failed=1)


@pytest.mark.parametrize("missing", ["history", "violation"])
def test_without_a_window_there_is_nothing_to_export(run_of, export, tmp_path, missing):
    options = ["--nodes", "3", "--time-limit", "1", "--nemesis", "none"]
    run = run_of(*options, environment="docker")
    if missing == "history":
        run = run_of(*BROKEN, "--mutant", "Q1", environment="docker")
        (run / "history.jsonl").unlink()
    code, out, err = export(run)
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert ("there is no history.jsonl" if missing == "history" else "its history is valid") in err
    assert not (tmp_path / "test_kept.py").exists()


def test_no_file_is_overwritten(run_of, export, tmp_path):
    run = run_of("--nodes", "3", "--time-limit", "1", "--nemesis", "none")
    (tmp_path / "test_kept.py").write_text("mine")
    code, _, err = export(run)
    assert (code, err.count("\n")) == (254, 1)
    assert "--pytest" in err
    assert (tmp_path / "test_kept.py").read_text() == "mine"
