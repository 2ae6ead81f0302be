"""Campaigns as their users run them: from one command to a verdict, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import jsonschema
import pytest

from harness.campaign.directory import CampaignDirectory, read_row
from night import BROKEN, SEEN_BROKEN, SHORT, started, summary, the_campaign
from waiting import eventually

DEADLINE_S = 120.0


def places(found):
    """What came of each cell and seed; each must be there once."""
    made = {(run["cell"], run["seed"]): (run["verdict"], run["signature"]) for run in found["runs"]}
    assert len(made) == len(found["runs"])
    return made


def ended(campaign: Path) -> int:
    return len(list(campaign.glob("*/row.json")))


def wait_for_rows(process: subprocess.Popen[str], store: Path, count: int) -> Path:
    """The campaign, once so many of its runs have ended."""

    def enough() -> bool:
        return any(store.glob("*/campaign.json")) and ended(the_campaign(store)) >= count

    eventually(f"{count} runs have ended", enough, DEADLINE_S, process)
    return the_campaign(store)


def test_it_ends_with_one_object_that_says_everything(splitbrain, tmp_path):
    code, out, err = splitbrain("campaign", *SHORT, "--seeds", "1..3", "--jobs", "2", "--json")
    found = summary(out)
    assert (code, found["verdict"], found["planned"]) == (0, "valid", 3)
    assert found["counts"] == {"valid": 3, "invalid": 0, "unknown": 0, "inconclusive": 0, "crash": 0}
    assert sorted(run["seed"] for run in found["runs"]) == [1, 2, 3]
    for run in found["runs"]:
        assert {"run", "env", "seed", "verdict", "signature", "seconds"} <= set(run)
        assert sorted(path.name for path in Path(run["run"]).iterdir()) == [
            *("job.json", "report.txt", "results.json", "row.json", "test.json")
        ], "of a valid run the results are kept"
        assert read_row(Path(run["run"])).statistics.operations > 0
    assert "\x1b" not in err
    assert json.loads(Path(found["campaign"], "summary.json").read_text()) == found


def test_a_failure_is_one_row_with_everything_kept_and_the_command_is_called_once(splitbrain, tmp_path):
    hook = 'echo "$SPLITBRAIN_SEED $SPLITBRAIN_VERDICT $SPLITBRAIN_SIGNATURE $SPLITBRAIN_ARTEFACT" >> told'
    seeds = f"{SEEN_BROKEN}..{SEEN_BROKEN + 1}"
    code, out, _ = splitbrain("campaign", *BROKEN, "--seeds", seeds, "--on-failure", hook)
    campaign = the_campaign(tmp_path / "store")
    assert code == 1
    assert out.splitlines()[0] == "2 x linearizable: a version goes back (read)"
    assert out.splitlines()[-1] == "invalid: 2 of 2 runs are invalid"
    seed, verdict, *signature, artefact = (tmp_path / "told").read_text().split()
    assert (seed, verdict, " ".join(signature)) == (
        str(SEEN_BROKEN), "invalid", "linearizable: a version goes back (read)",
    )  # fmt: skip
    assert Path(artefact).is_file()
    assert all((run / "history.jsonl").exists() for run in campaign.glob("0*") if run.is_dir())
    assert splitbrain("runs", "--verdict", "invalid")[1].count("a version goes back") == 2
    assert "# campaign-" in splitbrain("show", campaign)[1]


def test_a_hook_that_fails_is_said_and_changes_nothing(splitbrain):
    code, _, err = splitbrain("campaign", *BROKEN, "--seeds", f"{SEEN_BROKEN}..{SEEN_BROKEN}", "--on-failure", "exit 7")
    assert code == 1
    assert "--on-failure: exit code 7" in err


def test_whatever_happens_to_a_run_is_a_row_and_not_the_end(splitbrain):
    code, out, err = splitbrain(
        *("campaign", "--env", "sim", "--nodes", "3,1", "--nemesis", "partition", "--interval", "0.4"),
        *("--time-limit", "100000", "--run-wall", "2", "--seeds", "1", "--json"),
    )
    found = summary(out)
    assert code == 2
    assert found["counts"]["crash"] == 2
    assert {run["ended"] for run in found["runs"]} == {"out of time"}
    assert "out of time" in err
    assert places(found).keys() == {(run["cell"], 1) for run in found["runs"]}


def test_a_run_whose_faults_had_no_effect_is_inconclusive(splitbrain):
    one_node = ["--env", "sim", "--nodes", "1", "--nemesis", "partition", "--interval", "0.4", "--time-limit", "2"]
    code, out, _ = splitbrain("campaign", *one_node, "--seeds", "1", "--json")
    assert code == 2
    assert summary(out)["counts"]["inconclusive"] == 1


def test_what_failed_before_is_run_first(splitbrain, tmp_path):
    mixed = ["campaign", *BROKEN[:-1], "none,Q1", "--seeds"]
    splitbrain(*mixed, f"{SEEN_BROKEN}..{SEEN_BROKEN}")
    code, out, _ = splitbrain(*mixed, f"{SEEN_BROKEN}..{SEEN_BROKEN + 5}", "--runs", "1", "--json")
    (run,) = summary(out)["runs"]
    assert (code, run["seed"], run["verdict"]) == (1, SEEN_BROKEN, "invalid")


def test_a_budget_of_runs_ends_it_early_with_every_cell_covered(splitbrain):
    code, out, err = splitbrain(*("campaign", *SHORT), "--nodes", "3,4", "--seeds", "1..50", "--runs", "2", "--json")
    found = summary(out)
    assert (code, found["planned"], len(found["runs"])) == (0, 100, 2)
    assert len({run["cell"] for run in found["runs"]}) == 2
    assert "the budget of 2 runs is spent" in err
    code, out, _ = splitbrain("campaign", "--resume", "--runs", "4")
    assert code == 0
    assert "96 of 100 planned were not made" in out.splitlines()[-1]


def test_a_budget_of_time_ends_it(splitbrain):
    code, out, err = splitbrain("campaign", *SHORT, "--seeds", "1..1000", "--wall", "1", "--json")
    assert code == 0
    assert 1 <= len(summary(out)["runs"]) < 1000
    assert "the budget of 1 s is spent" in err


def test_fresh_seeds_are_recorded_and_resumed(splitbrain, tmp_path):
    splitbrain("campaign", *SHORT, "--seeds", "fresh:3", "--runs", "1")
    seeds = json.loads((the_campaign(tmp_path / "store") / "campaign.json").read_text())["seeds"]
    _, out, _ = splitbrain("campaign", *SHORT, "--seeds", "fresh:3", "--resume", "--json")
    assert sorted(run["seed"] for run in summary(out)["runs"]) == sorted(seeds)


def test_a_dry_run_says_what_would_be_run_and_runs_nothing(splitbrain, tmp_path):
    code, out, _ = splitbrain("campaign", *SHORT, "--nodes", "3,5", "--seeds", "1..10", "--jobs", "2", "--dry-run")
    assert code == 0
    assert out.splitlines()[-1].startswith("20 runs, about ")
    assert "(a guess)" in out
    assert not (tmp_path / "store").exists()
    splitbrain("campaign", *SHORT, "--seeds", "1..2")
    assert "(median of 2)" in splitbrain("campaign", *SHORT, "--seeds", "1..10", "--dry-run")[1]


def test_the_schema_of_a_plan_is_a_schema(splitbrain):
    code, out, _ = splitbrain("campaign", "--schema")
    assert code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


def test_a_plan_in_a_file_is_what_its_options_would_be(splitbrain, tmp_path):
    (tmp_path / "night.toml").write_text(
        'jobs = 2\ntime_limit_s = 2\n[axes]\nenv = "sim"\nnodes = 3\nnemesis = "partition,kill"\ninterval = 0.4\n'
        "rate = 50\n[seeds]\ncount = 2\n"
    )
    _, out, _ = splitbrain("campaign", "night.toml", "--json")
    _, again, _ = splitbrain("campaign", *SHORT, "--seeds", "2", "--json", "--store", "other")
    assert places(summary(out)) == places(summary(again))
    assert Path(summary(out)["campaign"]).name.startswith("night-")


def test_the_last_campaign_of_a_plan_is_found_by_the_plan_s_file_whatever_it_is_called(splitbrain, tmp_path):
    (tmp_path / "My Night.toml").write_text(
        'time_limit_s = 1\n[axes]\nenv = "sim"\nnodes = 3\nnemesis = "none"\nrate = 50\n[seeds]\ncount = 1\n'
    )
    (tmp_path / "named.toml").write_text('name = "else"\n' + (tmp_path / "My Night.toml").read_text())
    for plan in ("My Night.toml", "named.toml"):
        first, second = (summary(splitbrain("campaign", plan, "--json")[1]) for _ in range(2))
        code, out, _ = splitbrain("gate", plan)
        assert code == 0
        assert out.splitlines()[-1].startswith(f"gate passed: {Path(second['campaign']).name}: ")
        assert json.loads(splitbrain("show", plan, "--json")[1]) == second
        assert splitbrain("compare", first["campaign"], plan)[0] == 0


def test_what_has_not_ended_is_not_shown(splitbrain, tmp_path):
    splitbrain("campaign", *SHORT, "--seeds", "1")
    campaign = the_campaign(tmp_path / "store")
    for name in ("summary.json", "report.md"):
        (campaign / name).unlink()
    for words in ([], ["--json"]):
        code, out, err = splitbrain("show", campaign, *words)
        assert (code, out, err.count("\n")) == (254, "", 1)
        assert "has not ended yet" in err


# -- killed, stopped, resumed


def test_killed_at_any_moment_and_resumed_it_is_the_same_campaign(tmp_path):
    """SIGKILL three times on its way: the same verdicts, no run twice, none missing, nothing left of the killed."""
    words = ["campaign", *SHORT, "--seeds", "1..8", "--jobs", "2", "--json", "--store"]
    whole = started(*words, tmp_path / "whole")
    expected = summary(whole.communicate(timeout=DEADLINE_S)[0])
    store, rows = tmp_path / "store", 0
    for kill in range(3):
        process = started(*words, store, *(["--resume"] if kill else []))
        campaign = wait_for_rows(process, store, rows + 1)
        process.kill()
        process.communicate(timeout=DEADLINE_S)
        before = {path: path.stat().st_mtime_ns for path in campaign.glob("0*/results.json")}
        rows = ended(campaign)
        assert not CampaignDirectory(store, campaign).over, "no gate takes it for one that has ended"
    last = started(*words, store, "--resume")
    found = summary(last.communicate(timeout=DEADLINE_S)[0])
    assert last.returncode == 0
    assert places(found) == places(expected)
    assert CampaignDirectory(store, campaign).over
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what had ended was not run again"
    marked = [row for run in campaign.glob("*/row.json") if (row := read_row(run.parent)).verdict == "interrupted"]
    assert len(list(campaign.glob("*/job.json"))) == len(found["runs"]) + len(marked) + 1  # the link `latest`


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stopped_it_stops_its_runs_and_says_how_to_go_on(tmp_path, number):
    words = [
        "--env",
        "sim",
        "--nodes",
        "3",
        "--nemesis",
        "none",
        "--time-limit",
        "100000",
        "--seeds",
        "2",
        "--jobs",
        "2",
    ]
    process = started("campaign", *words, "--store", tmp_path / "store")
    histories = partial(tmp_path.glob, "store/*/*/history.jsonl")
    eventually("both runs are under way", lambda: len(list(histories())) >= 2, DEADLINE_S, process)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()  # with its runs, which would go on for a day
    campaign = the_campaign(tmp_path / "store")
    assert (process.returncode, out) == (130, "")
    assert f"to go on: splitbrain campaign {campaign} --resume" in err
    assert "Traceback" not in err
    assert [read_row(run).verdict for run in (campaign / "000-1", campaign / "000-2")] == ["interrupted"] * 2
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(campaign) not in listed


def test_two_cannot_run_one_campaign(tmp_path, splitbrain):
    process = started("campaign", *SHORT, "--seeds", "1..500", "--store", tmp_path / "store")
    try:
        campaign = wait_for_rows(process, tmp_path / "store", 1)
        code, out, err = splitbrain("campaign", campaign, "--resume")
        assert (code, out, err.count("\n")) == (254, "", 1)
        assert "another process is running this campaign" in err
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)


def test_what_had_ended_when_its_campaign_was_killed_is_not_run_again(splitbrain, tmp_path):
    """SIGKILL may come after the results and before the row."""
    _, out, _ = splitbrain("campaign", *SHORT, "--seeds", "1", "--json")
    run = the_campaign(tmp_path / "store") / "000-1"
    (run / "row.json").unlink()
    code, again, _ = splitbrain("campaign", "--resume", "--json")
    assert (code, places(summary(again))) == (0, places(summary(out)))
    assert [path.name for path in run.parent.glob("0*")] == ["000-1"]


def test_resuming_what_has_ended_runs_nothing(splitbrain):
    _, out, _ = splitbrain("campaign", *SHORT, "--seeds", "1", "--json")
    code, again, err = splitbrain("campaign", "--resume", "--json")
    assert (code, summary(again)) == (0, summary(out))
    assert "1 runs, of which 1 have been made" in err


def test_the_last_campaign_of_the_name_is_resumed_and_one_that_cannot_be_read_is_passed_over(splitbrain, tmp_path):
    _, one, _ = splitbrain("campaign", *SHORT, "--seeds", "1..2", "--runs", "1", "--name", "one", "--json")
    splitbrain("campaign", *SHORT, "--seeds", "1", "--name", "two")
    broken = tmp_path / "store" / "one-99990101T000000.000Z"
    broken.mkdir()
    (broken / "campaign.json").write_text('{"campaign": ')
    code, out, err = splitbrain("campaign", "--resume", "--name", "one", "--runs", "2", "--json")
    assert code == 0
    assert summary(out)["campaign"] == summary(one)["campaign"]
    assert len(summary(out)["runs"]) == 2
    assert f"passed over: {broken}: no campaign is kept there" in err
    code, out, _ = splitbrain("campaign", "--resume", "--json")
    assert (code, "/two-" in summary(out)["campaign"]) == (0, True)


def test_a_resumed_campaign_whose_plan_changed_is_refused(splitbrain):
    splitbrain("campaign", *SHORT, "--seeds", "1..2", "--runs", "1")
    code, out, err = splitbrain("campaign", *SHORT, "--seeds", "1..3", "--rate", "60", "--resume")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert "seeds.range was 1..2 and is 1..3" in err
    assert "axes.rate was [50.0] and is [60.0]" in err
    assert splitbrain("campaign", *SHORT, "--seeds", "1..2", "--jobs", "2", "--resume")[0] == 0


# -- shards


def test_shards_merged_are_the_whole(splitbrain, tmp_path):
    words = ["campaign", *SHORT, "--nodes", "3,4", "--seeds", "1..3", "--json", "--store"]
    _, whole, _ = splitbrain(*words, "whole")
    parts = [summary(splitbrain(*words, f"part{index}", "--shard", f"{index}/2")[1]) for index in (1, 2)]
    assert [len(part["runs"]) for part in parts] == [3, 3]
    code, out, _ = splitbrain("merge", *(part["campaign"] for part in parts), "--store", "merged", "--json")
    assert code == 0
    assert places(summary(out)) == places(summary(whole))
    assert "# campaign-" in splitbrain("show", summary(out)["campaign"])[1], "the morning report"
    assert splitbrain("gate", "campaign", "--store", "merged")[0] == 0
    assert json.loads(splitbrain("runs", "--store", "merged", "--json")[1])["counts"] == {"valid": 6}
    code, out, err = splitbrain("merge", parts[0]["campaign"], "--store", "half")
    assert "shards missing: 2" in err
    assert "3 of 6 planned were not made" in out.splitlines()[-1]


def test_what_was_merged_can_be_merged_again(splitbrain):
    words = ["campaign", *SHORT, "--seeds", "1..3", "--json"]
    parts = [summary(splitbrain(*words, "--shard", f"{index}/3")[1])["campaign"] for index in (1, 2, 3)]
    most = summary(splitbrain("merge", *parts[:2], "--store", "most", "--json")[1])["campaign"]
    last = summary(splitbrain("merge", parts[2], "--store", "last", "--json")[1])["campaign"]
    code, out, _ = splitbrain("merge", most, last, "--store", "all", "--json")
    assert (code, sorted(run["seed"] for run in summary(out)["runs"])) == (0, [1, 2, 3])


def test_what_does_not_belong_together_is_not_merged(splitbrain):
    one, other = (summary(splitbrain("campaign", *SHORT, "--seeds", seeds, "--json")[1]) for seeds in ("1", "2"))
    code, out, err = splitbrain("merge", one["campaign"], other["campaign"], "--store", "merged")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert "their plans differ" in err


# -- bad input


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--env", "sim"], ["seeds: missing"]),
        (["--seeds", "0"], ["seeds.count", "greater than 0"]),
        (["--seeds", "3..1"], ["3..1", "1..100"]),
        (["--seeds", "1", "--wall", "0"], ["budget.wall_s", "greater than 0"]),
        (["--seeds", "1", "--runs", "0"], ["budget.runs", "greater than 0"]),
        (["--seeds", "1", "--env", "sim,cloud", "--rate", "0", "--nodes", "x"], ["cloud", "axes.rate", "axes.nodes"]),
        (["--seeds", "1", "--shard", "3/2"], ["--shard 3/2", "2/8"]),
        (["--seeds", "fresh:3", "--shard", "1/2"], ["--shard", "fresh"]),
        (["--seeds", "1", "--engine", "ray"], ["ray", "pool, dask"]),
        (["--seeds", "1", "--engine", "dask"], ["--scheduler"]),
        (["--seeds", "1", "--store", "/proc/nowhere"], ["/proc/nowhere"]),
        (["--seeds", "1", "--env", "ssh"], ["hosts: missing"]),
        (["--seeds", "1", "--env", "ssh", "--hosts", "none.txt"], ["--hosts none.txt"]),
        (["--seeds", "1", "--env", "ssh", "--hosts", "n1=a@b", "--engine", "dask"], ["--engine dask", "--hosts"]),
        (["--resume"], ["no campaign in store"]),
        (["--resume", "--dry-run"], ["leave --resume out"]),
        (["none.toml"], ["none.toml"]),
        (["--seeds", "1", "--surprise"], ["--surprise"]),
    ],
    ids=lambda value: " ".join(value) if "--" in str(value) else "",
)
def test_bad_input_is_one_line_and_nothing_is_left(splitbrain, tmp_path, words, said):
    code, out, err = splitbrain("campaign", *words)
    assert (code, out, err.count("\n")) == (254, "", 1), err
    assert all(word in err for word in said), err
    assert not list(tmp_path.glob("store/*"))


@pytest.mark.parametrize("command", [["gate"], ["show"], ["compare", "x"], ["merge"]], ids=lambda words: words[0])
def test_a_campaign_that_is_not_there_is_one_line(splitbrain, command):
    for name in ("none", "/nonexistent/none"):
        code, out, err = splitbrain(*command, name)
        assert (code, out, err.count("\n")) == (254, "", 1), err


def test_a_campaign_that_cannot_be_read_is_one_line(splitbrain, tmp_path):
    (tmp_path / "store" / "x-1").mkdir(parents=True)
    (tmp_path / "store" / "x-1" / "campaign.json").write_text("{}")
    code, out, err = splitbrain("gate", "x")
    assert (code, out, err.count("\n")) == (254, "", 1)


def test_the_command_line_does_not_load_what_only_campaigns_need():
    program = "import sys, harness.cli; print(' '.join(sys.modules))"
    done = subprocess.run([os.sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stdout.split()) & {"pydantic", "sqlite3", "distributed"}
