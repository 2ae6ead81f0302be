"""The pytest plugin as its users meet it: what passes, fails and is skipped, what is said of it, what is refused."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

QUICK = 'nodes=3, nemesis="none", time_limit=1, rate=50'
BROKEN = 'nodes=3, nemesis="partition:leader", interval=2, time_limit=6, rate=400, mutant="Q1"'


@pytest.fixture
def tried(pytester, monkeypatch):
    """A function: the outcome of a test file that has this text, run with these options."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    def tried(text, *options):
        pytester.makepyfile("import pytest\n" + text)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs", *options)

    return tried


def one(marker, body="splitbrain_run.assert_valid()"):
    return f"@pytest.mark.splitbrain({marker})\ndef test_it(splitbrain_run):\n    {body}\n"


# -- how it ends


def test_one_item_a_seed_passes(tried):
    result = tried(one(f"{QUICK}, seeds=range(3)"), "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_it[[]seed0]*", "*test_it[[]seed1]*", "*test_it[[]seed2]*"])


def test_a_failure_says_why_and_how_to_have_it_again(tried, pytester):
    result = tried(one(f"{BROKEN}, seeds=[1]"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: invalid: key * cannot be placed*",
            "*shortest failing window of key *",
            "*> *read *",
            "*- splitbrain -*",
            "run directory  *",
            "artefact       *artefact.json",
            "to replay      splitbrain replay *artefact.json",
            "to run again   splitbrain run --env sim --nodes 3 *--seed 1 --mutant Q1",
        ]
    )
    artefact = next(line.split()[1] for line in result.outlines if line.startswith("artefact "))
    command = [sys.executable, "-m", "harness", "replay", artefact, "--store", str(pytester.path / "store")]
    replayed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert replayed.returncode == 1
    assert "as it was recorded" in replayed.stdout


def test_without_docker_it_is_skipped_with_the_reason(tried):
    result = tried(one('env="docker", seeds=[1]'))
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*--env docker: no Docker Engine answers at unix:///nowhere/docker.sock*"])


def test_where_docker_is_required_that_is_an_error(tried):
    result = tried(one('env="docker", seeds=[1]'), "--require-docker")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--require-docker: --env docker: no Docker Engine answers*"])
    assert "During handling" not in result.stdout.str()


def test_a_test_gets_the_history_and_the_faults(tried):
    body = """
    from harness.testing import assert_linearizable
    assert_linearizable(splitbrain_run.history, "versioned-register")
    assert splitbrain_run.verdict == "valid"
    assert len(splitbrain_run.history) == splitbrain_run.results.operations["total"] > 50
    assert [window.fault for window in splitbrain_run.schedule] == ["kill"]
    """
    schedule = '[{"fault": "kill", "begin_ns": 10**9, "end_ns": 2 * 10**9, "asked": {"target": "leader"}}]'
    tried(one(f"nodes=3, time_limit=3, rate=50, seeds=[1], schedule={schedule}", body)).assert_outcomes(passed=1)


def test_a_mark_of_a_module_holds_unless_a_test_says_else(tried):
    result = tried(
        f"pytestmark = pytest.mark.splitbrain({QUICK}, seeds=[1, 2])\n"
        "def test_as_the_module(splitbrain_run):\n    assert len(splitbrain_run.test.nodes) == 3\n"
        "@pytest.mark.splitbrain(nodes=5, seeds=[3])\n"
        "def test_else(splitbrain_run):\n    assert len(splitbrain_run.test.nodes) == 5\n"
        "def test_that_has_nothing_to_do_with_it():\n    pass\n"
    )
    result.assert_outcomes(passed=4)


# -- options


def test_seeds_and_the_environment_can_be_given_for_all(tried):
    test = one(f'{QUICK}, env="docker", seeds=[9]')
    result = tried(test, "--splitbrain-seeds", "3..5", "--splitbrain-env", "sim", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["splitbrain: seeds 3..5", "*seed3*", "*seed4*", "*seed5*"])


def test_the_seed_that_was_drawn_is_in_the_header_and_is_the_one_that_is_used(tried):
    result = tried(one(QUICK, "print('used', splitbrain_run.test.seed)"), "-s")
    header = re.search(r"splitbrain: seed (\d+) .*--splitbrain-seeds (\d+)", result.stdout.str())
    used = re.search(r"used (\d+)", result.stdout.str())
    assert header[1] == header[2] == used[1]


def test_no_run_begins_after_the_budget(tried):
    result = tried(one(f"{QUICK}, seeds=range(4)"), "--splitbrain-budget", "0.001")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED*the budget of 0.001 s is spent*"])


def test_runs_are_kept_where_they_are_to_be(tried, pytester):
    tried(one(f"{QUICK}, seeds=[1]"), "--splitbrain-store", "kept").assert_outcomes(passed=1)
    assert (pytester.path / "kept" / "latest" / "history.jsonl").exists()


def test_workers_of_xdist_share_the_work_and_the_seed(tried):
    body = "print('used', splitbrain_run.test.seed); assert splitbrain_run.verdict == 'unknown'"
    text = one(QUICK, body) + one(f"{QUICK}, seeds=[1, 2, 3]").replace("test_it", "test_seeds")
    result = tried(text, "-n", "2", "-v")
    result.assert_outcomes(passed=3, failed=1)
    header = re.search(r"splitbrain: seed (\d+) ", result.stdout.str())
    assert re.search(r"used (\d+)", result.stdout.str())[1] == header[1]
    result.stdout.fnmatch_lines(["*- splitbrain -*", f"to run again *--seed {header[1]}"])


# -- what is refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (one("seeds=[]"), "seeds=[[][]]: give at least one number"),
        (one('seeds=["tuesday"]'), "give at least one number"),
        (one('nemesis="gremlins", seeds=[1]'), "there is no such fault; choose from partition"),
        (one("nodes=0, rate=-1, seeds=[1]"), "--nodes 0*--rate -1"),
        (
            one('env="moon", seeds=[1]'),
            "--env moon: there is no such environment; choose from auto, docker, local, sim, ssh",
        ),
        (one("gremlins=3, seeds=[1]"), "gremlins"),
        (one('"sim"'), "takes named options only"),
        (one('seeds=[1], schedule=[{"fault": "kill"}]'), "schedule: *begin_ns"),
        ("def test_it(splitbrain_run):\n    pass\n", "takes splitbrain_run: mark it with @pytest.mark.splitbrain"),
        ("@pytest.mark.splitbrain(seeds=[1])\ndef test_it():\n    pass\n", "does not take splitbrain_run"),
    ],
    ids=[
        "no seeds",
        "bad seeds",
        "a fault",
        "two numbers",
        "an environment",
        "an option",
        "positional",
        "schedule",
        "unmarked",
        "unused",
    ],
)
def test_a_bad_definition_is_an_error_that_says_what_is_wrong(tried, text, words):
    result = tried(text)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_it*{words}*"])


def test_bad_seeds_are_a_usage_error(tried):
    result = tried(one(f"{QUICK}, seeds=[1]"), "--splitbrain-seeds", "many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--splitbrain-seeds many: give seeds such as 7, 1,5 or 1..100"])


def test_an_environment_that_there_is_not_is_a_usage_error(tried):
    result = tried(one(f"{QUICK}, seeds=[1]"), "--splitbrain-env", "moon")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--splitbrain-env*moon: there is no such environment; choose from auto, docker*"])


def test_what_does_not_use_it_does_not_load_it(tried):
    late = "{'harness.testing', 'msgspec', 'typer', 'docker'}"
    test = f"import sys\ndef test_it():\n    assert not {late} & set(sys.modules)\n"
    tried(test).assert_outcomes(passed=1)
