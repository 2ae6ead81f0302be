"""The command line: exit codes, one line for bad input, and histories that outlive whoever writes them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from checkers import formats
from harness.cli import call
from harness.environments.docker import DockerEnvironment
from harness.environments.local import LocalEnvironment
from harness.ledger import FileLedger, Run
from harness.nemesis import FAULTS
from harness.nemesis.specs import parse_nemesis
from harness.nemesis.targets import MEANING
from waiting import eventually

SIM = ("run", "--env", "sim", "--time-limit", "2", "--nodes", "3", "--interval", "1", "--seed", "1")
DEADLINE_S = 60.0


@pytest.fixture
def splitbrain(tmp_path, monkeypatch, capfd):
    """A function: (exit code, stdout, stderr) of a command line, carried out in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def splitbrain(*words):
        code = call([str(word) for word in words])
        return code, *capfd.readouterr()

    return splitbrain


def test_the_version_is_told(splitbrain):
    assert splitbrain("--version") == (0, f"splitbrain {harness.__version__}\n", "")


def test_the_version_of_a_checkout_names_its_commit():
    root = Path(harness.__file__).parent.parent
    if not (root / ".git").exists():
        pytest.skip("not a checkout of git")
    asked = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    release, _, build = harness.__version__.partition("+g")
    assert release
    assert asked.stdout.startswith(build.removesuffix(".dirty"))
    assert len(build) >= 7


def test_without_a_command_it_says_where_commands_are_listed(splitbrain):
    code, out, err = splitbrain()
    assert (code, out) == (254, "")
    assert "`splitbrain --help`" in err


# -- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--nemesis", "gremlins"), ["gremlins", "partition", "clock", "kill", "pause"]),
        (("--nemesis", "kill:interval=0"), ["kill:interval=0", "greater than 0"]),
        (("--nemesis", "kill:often"), ["interval=SECONDS"]),
        (("--nemesis", "kill,kill"), ["kill", "twice"]),
        (("--nodes", "0"), ["--nodes 0", "greater than 0"]),
        (("--nodes", "-1"), ["--nodes", "greater than 0"]),
        (("--nodes", "many"), ["--nodes", "integer"]),
        (("--env", "cloud"), ["cloud", "docker", "local", "sim"]),
        (("--workload", "bank"), ["bank", "register"]),
        (("--seed", "99999999999999999999999"), ["--seed", "9223372036854775807"]),
        (("--rate", "0"), ["--rate", "greater than 0"]),
        (("--rate", "inf"), ["--rate inf"]),
        (("--time-limit", "-5"), ["--time-limit", "greater than 0"]),
        (("--time-limit", "nan"), ["--time-limit nan"]),
        (("--time-limit", "inf"), ["--time-limit inf"]),
        (("--interval", "0"), ["--interval", "greater than 0"]),
        (("--interval", "inf"), ["--interval inf"]),
        (("--concurrency", "0"), ["--concurrency 0", "2n"]),
        (("--concurrency", "n2"), ["--concurrency n2", "2n"]),
        (("--seed", "tuesday"), ["--seed", "integer"]),
        (("--nodes", "1" + "0" * 30), ["--nodes 1e+30", "1000 nodes"]),
        (("--rate", "1e30"), ["--rate 1e+30", "1e+06"]),
        (("--time-limit", "1e30"), ["--time-limit 1e+30", "1e+07"]),
        (("--rate", "1e6", "--time-limit", "1e6"), ["1e+12 operations", "1e+08"]),
        (("--concurrency", "9" * 5000), ["--concurrency", "100000 workers"]),
        (("--interval", "1e-30"), ["--interval 1e-30", "0.001"]),
        (("--nemesis", "kill:interval=1e-30"), ["--interval 1e-30", "0.001"]),
        (("--nemesis", f"packets:rate={'9' * 400}mbit"), ["packets:rate", "out of range"]),
        (("--surprise",), ["--surprise"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_option_is_one_line_that_says_what_would_be_right(splitbrain, tmp_path, options, words):
    code, out, err = splitbrain(*SIM, *options)
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert err.startswith("splitbrain: ")
    assert all(word in err for word in words), err
    assert list(tmp_path.iterdir()) == [], "nothing is left of a run that never was"


def test_all_that_is_wrong_is_said_at_once(splitbrain):
    _, _, err = splitbrain(*SIM, "--nodes", "0", "--rate", "0", "--workload", "bank")
    assert all(word in err for word in ("--nodes", "--rate", "--workload"))


def test_an_unknown_mutant_is_bad_input(splitbrain):
    code, out, err = splitbrain(*SIM, "--mutant", "Z99")
    assert (code, out) == (254, "")
    assert "Z99" in err.splitlines()[-1]
    assert "Traceback" not in err, err


def test_docker_without_an_engine_is_bad_input(splitbrain, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    code, out, err = splitbrain("run", "--env", "docker")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert err.startswith("splitbrain: --env docker: ")


def test_auto_takes_the_simulator_where_there_is_nothing_else_and_says_why(splitbrain, monkeypatch):
    for environment in (DockerEnvironment, LocalEnvironment):
        monkeypatch.setattr(environment, "unavailable", classmethod(lambda cls: f"none of {cls.name}"))
    code, _, err = splitbrain(*SIM, "--env", "auto")
    assert code == 0
    assert "environment sim: no docker: none of docker; no local: none of local" in err


def test_a_store_that_cannot_be_written_is_bad_input(splitbrain, tmp_path):
    (tmp_path / "file").touch()
    code, out, err = splitbrain(*SIM, "--store", tmp_path / "file" / "store")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert "--store" in err


def test_no_command_and_an_unknown_one(splitbrain):
    assert splitbrain("conquer")[0] == 254
    code, out, err = splitbrain("--help")
    assert code == 0
    assert all(word in out for word in ("run", "check", "demo", "254"))
    assert err == ""


LINE = '{"index":%d,"time":%d,"type":"%s","process":0,"f":"write","key":1,"value":5}\n'


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (LINE % (0, 0, "ok"), ":1"),
        (LINE % (0, 0, "invoke") + (LINE % (1, 1, "ok"))[:-9], ":2"),
        (LINE % (0, 0, "invoke") + "not json\n", ":2"),
    ],
    ids=["a completion without an invocation", "a truncated last line", "no JSON"],
)
def test_a_history_that_cannot_be_judged_is_bad_input_and_the_line_is_named(splitbrain, tmp_path, content, where):
    path = tmp_path / "history.jsonl"
    path.write_text(content)
    code, out, err = splitbrain("check", path)
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert f"{path}{where}" in err


def test_an_empty_history_is_unknown(splitbrain, tmp_path):
    (tmp_path / "history.jsonl").touch()
    code, out, _ = splitbrain("check", tmp_path / "history.jsonl")
    assert code == 2
    assert out.splitlines()[-1].startswith("unknown: ")


# -- runs


def test_a_run_ends_with_its_verdict_and_can_be_checked_again(splitbrain, tmp_path):
    code, out, err = splitbrain(*SIM)
    assert code == 0
    assert out.splitlines()[-1].startswith("valid: ")
    assert "\x1b" not in out + err, "no colours where there is no terminal"
    assert (tmp_path / "store" / "latest" / "report.txt").read_text() == out
    code, out, _ = splitbrain("check", tmp_path / "store" / "latest")
    assert code == 0
    assert out.splitlines()[-1].startswith("valid: ")


def test_json_is_one_object_and_nothing_else(splitbrain):
    code, out, _ = splitbrain(*SIM, "--json")
    results = json.loads(out)
    assert code == 0
    assert out.count("\n") == 1
    assert results["verdict"] == "valid"
    assert (Path(results["run"]) / "history.jsonl").exists()


def test_the_command_that_it_names_makes_the_same_run(splitbrain):
    first, again = (json.loads(splitbrain(*words, "--json")[1]) for words in (SIM, (*SIM, "--store", "other")))
    words = first["command"].split()[1:]
    third = json.loads(splitbrain(*words, "--json")[1])
    histories = [(Path(results["run"]) / "history.jsonl").read_bytes() for results in (first, again, third)]
    assert histories[0] == histories[1] == histories[2]


def test_a_run_that_is_invalid_exits_with_1_and_one_that_proves_nothing_with_2(splitbrain):
    # One node cannot be partitioned: the nemesis has nothing to do.
    code, out, _ = splitbrain(*SIM, "--nodes", "1", "--nemesis", "partition")
    assert code == 2
    assert "the nemesis never acted" in out.splitlines()[-1]


def test_the_help_of_every_command_reads_well(splitbrain):
    for command in ("run", "check", "demo"):
        code, out, _ = splitbrain(command, "--help")
        assert code == 0
        assert out.startswith(f"Usage: splitbrain {command} ")


# -- faults


def test_the_faults_are_listed_with_all_that_can_be_asked_of_them(splitbrain):
    code, out, err = splitbrain("nemesis", "--json")
    listed = {row["fault"]: row for row in json.loads(out)["faults"]}
    assert (code, err) == (0, "")
    assert list(listed) == list(FAULTS)
    for name, fault in FAULTS.items():
        assert all(listed[name][what] for what in ("does", "proof", "may_break", "environments", "choices"))
        for words in fault.choices.values():
            assert any(all(word in choice for word in words) for choice in listed[name]["choices"])
        for example in listed[name]["parameters"]:
            assert parse_nemesis(f"{name}:{example}", 5.0)
    code, table, _ = splitbrain("nemesis")
    assert code == 0
    assert all(word in table for word in (*FAULTS, *MEANING))
    assert "\x1b" not in table


def test_a_fault_that_cannot_be_done_is_refused_by_name_and_skipped_with_all(splitbrain):
    code, out, err = splitbrain(*SIM, "--nemesis", "memory")
    assert (code, out) == (254, "")
    assert "--nemesis memory:interval=1: sim cannot do that here: it lacks memory" in err
    code, out, _ = splitbrain(*SIM, "--nemesis", "all", "--time-limit", "20", "--json")
    results = json.loads(out)
    assert results["skipped"] == {"slow:quota": "sim lacks cpu-quota here", "memory": "sim lacks memory here"}
    assert code in (0, 2), results["reason"]


def test_where_nothing_is_left_there_is_nothing_to_heal(splitbrain, monkeypatch, tmp_path):
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    assert splitbrain("heal") == (0, "nothing to heal\n", "")


def test_what_cannot_be_healed_now_is_said_and_tried_again_by_the_next_run(splitbrain, monkeypatch, tmp_path):
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    ledger = FileLedger(Run("docker", "/store/run", {"run": "splitbrain-none"}))
    ledger.enter("kill", {"nodes": ["n1"]}, "n1")
    ledger.close(clean=False)
    code, out, _ = splitbrain("heal")
    assert code == 2
    assert out.startswith("docker run /store/run: not put right: no Docker Engine answers at ")
    code, _, err = splitbrain(*SIM)
    assert code == 0
    assert "docker run /store/run: not put right: " in err
    assert ledger.path.exists()


# -- interruptions


def started(store, *options):
    """A run of the command line that goes on for ever, and its history once clients are at work."""
    words = [*SIM, "--time-limit", "100000", "--store", str(store), *options]
    environment = {**os.environ, "PYTHONWARNINGS": "error::RuntimeWarning"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    history = store / "current" / "history.jsonl"

    def at_work() -> bool:
        return history.exists() and history.stat().st_size > 10_000

    eventually("clients are at work", at_work, DEADLINE_S, process)
    return process, history


@pytest.mark.parametrize("env", ["sim", "local"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_an_interrupted_run_exits_with_130_and_keeps_its_history(tmp_path, env, number):
    if env == "local" and (reason := LocalEnvironment.unavailable()):
        pytest.skip(reason)
    process, history = started(tmp_path / "store", "--env", env)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert out == ""
    assert any(line.startswith("splitbrain: interrupted") for line in err.splitlines()), err
    assert "Traceback" not in err, err
    assert "Warning" not in err, err
    assert len(formats.read(history)) > 30


def test_a_run_that_was_killed_leaves_a_history_that_can_be_checked(tmp_path, splitbrain):
    process, history = started(tmp_path / "store")
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGKILL
    code, out, _ = splitbrain("check", "--truncated-tail", "drop", history.parent)
    assert code == 0, out
    assert json.loads((history.parent / "test.json").read_text())["seed"] == 1
    assert not (history.parent / "results.json").exists()


@pytest.mark.parametrize("env", ["sim", "local"])
def test_a_run_under_nohup_goes_on_when_its_terminal_is_gone(tmp_path, env):
    if env == "local" and (reason := LocalEnvironment.unavailable()):
        pytest.skip(reason)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which is what nohup does, and is inherited
    try:
        process, history = started(tmp_path / "store", "--env", env)
    finally:
        signal.signal(signal.SIGHUP, before)
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        size = history.stat().st_size
        eventually("clients go on", lambda size=size: history.stat().st_size > size, DEADLINE_S, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "splitbrain: interrupted; what was started has been stopped"


@pytest.mark.parametrize(
    "variables",
    [
        {"SPLITBRAIN_STATE": "/proc/none"},
        {"HOME": "/proc/none"},
        {"HOME": "/dev/null"},
        {"XDG_STATE_HOME": "/dev/null/x"},
    ],
    ids=str,
)
def test_doctor_and_auto_know_where_no_ledger_can_be_kept(splitbrain, monkeypatch, tmp_path, variables):
    for name in ("SPLITBRAIN_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(DockerEnvironment, "unavailable", classmethod(lambda cls: None))
    monkeypatch.setattr(LocalEnvironment, "unavailable", classmethod(lambda cls: None))
    code, out, _ = splitbrain("doctor")
    assert code == 0
    lines = out.splitlines()
    for name in ("docker", "local", "ssh"):
        assert any(line.startswith(f"{name}: no: no ledger can be kept in ") for line in lines), out
    assert "splitbrain run --env auto takes sim" in lines
    reasons = json.loads(splitbrain("doctor", "--json")[1])["environments"]
    assert "set SPLITBRAIN_STATE" in reasons["docker"]
    assert reasons["sim"] is None
    code, _, err = splitbrain(*SIM, "--env", "auto")
    assert code == 0
    assert "environment sim: no docker: no ledger can be kept in " in err
    for name in ("docker", "local"):
        code, out, err = splitbrain("run", "--env", name, "--store", "none")
        assert (code, out, err.count("\n")) == (254, "", 1)
        assert f"--env {name}: no ledger can be kept in " in err
    assert not (tmp_path / "none").exists()
    assert splitbrain("heal")[0] == 0


def test_doctor_leaves_nothing_where_a_ledger_can_be_kept(splitbrain, monkeypatch, tmp_path):
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path / "deep" / "state"))
    code, out, _ = splitbrain("doctor", "--json")
    assert code == 0
    assert not any("ledger" in str(reason) for reason in json.loads(out)["environments"].values())
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_can_simulate(splitbrain, monkeypatch):
    for name in ("SPLITBRAIN_STATE", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(*arguments):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(DockerEnvironment, "unavailable", classmethod(lambda cls: None))
    assert splitbrain(*SIM)[0] == 0
    code, out, err = splitbrain("run", "--env", "docker")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert "could not determine home directory" in err
    assert splitbrain("heal")[0] in (0, 2)


def test_a_store_that_was_copied_with_its_links_followed_can_be_used(splitbrain, tmp_path):
    assert splitbrain(*SIM)[0] == 0
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    code, out, err = splitbrain(*SIM[:-1], "2", "--store", "copy")
    assert code == 0
    assert out.splitlines()[-1].startswith("valid: ")
    assert err.count(" was not a link: kept as ") == 3
    assert (tmp_path / "copy" / "latest").is_symlink()
    for command in (
        ("check", "copy/latest"),
        ("show", "copy/latest"),
        ("check", "copy/latest.1"),
        ("show", "copy/latest.1"),
    ):
        assert splitbrain(*command)[0] == 0


def test_the_results_of_a_run_are_kept_whatever_directory_it_has(splitbrain, tmp_path):
    for name, code in (("absent", 0), ("absent", 254), ("file", 254), ("full", 254)):
        (tmp_path / "file").touch()
        (tmp_path / "full").mkdir(exist_ok=True)
        (tmp_path / "full" / "notes.txt").touch()
        found, out, err = splitbrain(*SIM, "--directory", name)
        assert found == code, err
        assert (out == "") == (code == 254)
    assert json.loads((tmp_path / "absent" / "results.json").read_text())["verdict"] == "valid"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
