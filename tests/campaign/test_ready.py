"""What is ready to be copied: valid by its schema or its tool, and every command of splitbrain in it can be run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from harness.campaign.load import load

ROOT = Path(__file__).parents[2]
READY = ROOT / "ready"
WORKFLOWS = [ROOT / ".github" / "workflows" / name for name in ("pull-request.yml", "night.yml")]
ACTION, GITLAB = ROOT / "action.yml", READY / "gitlab-ci.yml"
SERVICE, TIMER, CRON = (READY / f"splitbrain{end}" for end in ("-night.service", "-night.timer", ".cron"))
PLANS = [READY / "pull-request.toml", READY / "night.toml"]

QUICK = """
time_limit_s = 2
[axes]
env = "sim"
nodes = 3
nemesis = "partition,kill"
interval = 0.4
rate = 50
[seeds]
count = 2
"""
"""What a plan says here, so that its commands take no night."""

BROKEN_PLAN = """
time_limit_s = 10
[axes]
env = "sim"
nemesis = "partition,kill,pause"
interval = 1
rate = 100
mutant = "Q1"
[seeds]
range = "4..5"
"""
"""What `night.BROKEN` is, as a plan: it is seen under these seeds."""

SCRIPTS = Path(sys.executable).parent


def yaml(path):
    return YAML(typ="safe").load(path.read_text())


def steps_of(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


# -- validity


@pytest.mark.parametrize(
    ("path", "schema"),
    [*((path, "github-workflows") for path in WORKFLOWS), (ACTION, "github-actions"), (GITLAB, "gitlab-ci")],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_it_is_valid_by_its_schema(path, schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_a_plan_is_a_plan(path):
    assert load(path, {}).name == path.stem


def test_a_pull_request_waits_five_minutes_for_the_simulator_and_for_real_processes():
    plan = load(READY / "pull-request.toml", {})
    assert plan.axes.env == ["sim", "local"]
    assert plan.budget.wall_s + plan.time_limit_s <= 300


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_the_action_what_it_asks_for_and_plans_that_exist(workflow):
    (used,) = [step for step in steps_of(yaml(workflow)) if step.get("uses") == "./"]
    inputs = yaml(ACTION)["inputs"]
    assert set(used["with"]) <= set(inputs)
    assert {name for name, value in inputs.items() if value.get("required")} <= set(used["with"])
    assert (ROOT / used["with"]["plan"]).is_file()


def test_gitlab_installs_what_is_checked_out():
    gitlab = yaml(GITLAB)
    assert gitlab["variables"]["SPLITBRAIN"] == ".[fast]"
    assert 'pip install "$SPLITBRAIN"' in gitlab[".splitbrain"]["before_script"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_service_and_its_timer(tmp_path):
    for unit in (SERVICE, TIMER):
        text = unit.read_text().replace("/opt/splitbrain/bin/splitbrain", str(SCRIPTS / "splitbrain"))
        (tmp_path / unit.name).write_text(text.replace("User=splitbrain", "User=root"))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in (SERVICE, TIMER))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "splitbrain-night" not in done.stderr


def test_the_line_of_cron_has_a_time_a_user_and_a_command():
    (line,) = [line for line in CRON.read_text().splitlines() if re.match(r"[\d*]", line)]
    minute, hour, day, month, weekday, user, command = line.split(None, 6)
    assert 0 <= int(minute) < 60
    assert 0 <= int(hour) < 24
    assert (day, month, weekday, user) == ("*", "*", "*", "splitbrain")
    assert "%" not in command, "which cron takes for the end of the line"


# -- every command in it


def commands():
    """Shell lines that call splitbrain, by file and in order."""
    action = [step["run"] for step in yaml(ACTION)["runs"]["steps"] if "run" in step]
    gitlab = yaml(GITLAB)
    scripts = {
        "action.yml, pull request": [line.replace("$PLAN", "ready/pull-request.toml") for line in action],
        "night.yml": [
            *(line.replace("$PLAN", "ready/night.toml") for line in action),
            *(step["run"] for step in steps_of(yaml(WORKFLOWS[1])) if "run" in step),
        ],
        "gitlab, merge request": gitlab["splitbrain"]["script"],
        "gitlab, night": gitlab["splitbrain-night"]["script"],
        "systemd": [line.replace("$$", "$") for line in re.findall(r"^ExecStart=(.*)$", SERVICE.read_text(), re.M)],
        "cron": [CRON.read_text().splitlines()[-1].split(None, 6)[6]],
    }
    return {name: [line for line in lines if "splitbrain " in line] for name, lines in scripts.items()}


def here(line, tmp_path):
    """The line as it is, but for the places of a machine that this one does not have."""
    places = {
        "/opt/splitbrain/bin/": f"{SCRIPTS}/",
        "/etc/splitbrain/": f"{tmp_path}/ready/",
        "/var/lib/splitbrain": str(tmp_path),
    }
    for there, place in places.items():
        line = line.replace(there, place)
    return line


@pytest.mark.parametrize("script", commands())
def test_every_command_can_be_run_as_it_is_written(script, tmp_path):
    (tmp_path / "ready").mkdir()
    for plan in PLANS:
        (tmp_path / "ready" / plan.name).write_text(QUICK)
    environment = {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "STORE": "store"}
    environment |= {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    lines = commands()[script]
    assert any("splitbrain campaign" in line for line in lines)
    assert any("splitbrain gate" in line for line in lines)
    for line in lines:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", here(line, tmp_path)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert len(list(tmp_path.glob("store/*/summary.json"))) == 1


def test_a_gate_that_does_not_pass_fails_the_step(tmp_path):
    (tmp_path / "ready").mkdir()
    (tmp_path / "ready" / "pull-request.toml").write_text(BROKEN_PLAN)
    environment = {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "STORE": "store"}
    codes = [
        subprocess.run(
            ["bash", "-e", "-c", line], cwd=tmp_path, env=environment, capture_output=True, timeout=120
        ).returncode
        for line in commands()["action.yml, pull request"]
    ]
    assert codes == [0, 1]


@pytest.mark.parametrize("script", commands())
def test_a_campaign_that_cannot_begin_ends_the_script_with_its_reason_and_no_other_is_judged(script, tmp_path):
    """Else the gate would find the campaign of the night before, and pass it."""
    (tmp_path / "ready").mkdir()
    environment = {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "STORE": "store"}
    environment |= {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "DOCKER_HOST": "unix:///nowhere/docker.sock"}

    def carried_out():
        codes, said = [], ""
        for line in commands()[script]:
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", here(line, tmp_path)],
                cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            codes, said = [*codes, done.returncode], said + done.stdout + done.stderr
            if done.returncode:
                break
        return codes, said

    for plan in PLANS:
        (tmp_path / "ready" / plan.name).write_text(QUICK)
    codes, said = carried_out()
    assert set(codes) == {0}
    assert "gate passed: " in said
    for plan in PLANS:
        (tmp_path / "ready" / plan.name).write_text(QUICK.replace("sim", "docker"))
    codes, said = carried_out()
    assert len(codes) == 1
    assert codes != [0]
    assert "--env docker: no Docker Engine answers" in said
    assert "gate" not in said


def test_a_gate_that_does_not_pass_fails_the_unit():
    assert "SuccessExitStatus" not in SERVICE.read_text()
    *_, gate = [line for line in SERVICE.read_text().splitlines() if line.startswith("ExecStart=")]
    assert gate.startswith("ExecStart=/opt/splitbrain/bin/splitbrain gate ")
