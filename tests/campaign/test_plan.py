"""Plans: every mistake at once with what would be right, and what a plan amounts to."""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.campaign.cells import Cell, cell_of_command
from harness.campaign.expand import cells_of, jobs_of, seeds_of, shard_of
from harness.campaign.gate import faults_asked
from harness.campaign.load import load, parse_seeds
from harness.campaign.plan import Plan
from harness.errors import UsageError
from harness.nemesis import FAULTS
from harness.nemesis.specs import parse_nemesis
from harness.test import Test, node_names


def plan(**options):
    return load(None, {"seeds": {"count": 3}, **options})


def mistakes(text, tmp_path, options=()):
    path = tmp_path / "night.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load(path, dict(options))
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_three_mistakes_are_all_named_with_their_paths_and_what_is_allowed(tmp_path):
    message = mistakes('[axes]\nenv = ["sim", "cloud"]\nrate = 0\ncolour = "red"\n[seeds]\ncount = 5\n', tmp_path)
    assert "axes.env[1]: cloud is no environment; choose from auto, docker, local, sim" in message
    assert "axes.rate[0]: must be greater than 0, not 0" in message
    assert "axes.colour: there is no such setting; choose from env, nodes," in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["seeds: missing", "seeds.count"]),
        ("seeds.count = 0", ["seeds.count", "greater than 0"]),
        ("seeds.range = '5..1'", ["5..1", "1..100"]),
        ("seeds.range = 'some'", ["some", "1..100"]),
        ("seeds.fresh = 5\nseeds.count = 5", ["exactly one", "count and fresh"]),
        ("seeds.count = 1\nbudget.wall_s = 0", ["budget.wall_s", "greater than 0"]),
        ("seeds.count = 1\nbudget.runs = 0", ["budget.runs", "greater than 0"]),
        ("seeds.count = 1\njobs = 0", ["jobs", "greater than 0"]),
        ("seeds.count = 1\nwhatever = 1", ["whatever", "axes", "seeds", "gate"]),
        ("seeds.count = 1\naxes.nemesis = 'gremlins'", ["axes.nemesis[0]", "gremlins", "partition"]),
        ("seeds.count = 1\naxes.mutant = 'Z9'", ["axes.mutant[0]", "Z9", "none", "Q1"]),
        ("seeds.count = 1\naxes.concurrency = 'n2'", ["axes.concurrency[0]", "n2", "2n"]),
        ("seeds.count = 1\naxes.workload = 'bank'", ["axes.workload[0]", "bank", "register"]),
        ("seeds.count = 1\naxes.env = []", ["axes.env", "at least 1"]),
        ("seeds.count = 1\naxes.nodes = [3, 3]", ["axes.nodes", "3", "twice"]),
        ("seeds.count = 1\nkeep.valid = 'some'", ["keep.valid", "all", "failures"]),
        ("seeds.count = 1\nname = '../x'", ["name"]),
        ("seeds.count = 1\ngate.thresholds = ['p9<1']", ["gate.thresholds[0]", "p99<500ms"]),
        ("seeds.count = 1\ngate.thresholds = ['p99<5%']", ["p99 is in us or ms or s or min"]),
        ("seeds.count = 1\ngate.max_rate = 2", ["gate.max_rate", "less than 1"]),
        ("seeds = 1", ["seeds"]),
        ("seeds.count = 1\naxes.env = 'ssh'", ["hosts: missing", "n1=admin@10.0.0.1:22"]),
        ("seeds.count = 1\nhosts = 'n1=a@b'", ["hosts: only ssh has machines"]),
        ("seeds.count = 99999999999999999999999", ["seeds", "1000000 runs"]),
        ("seeds.fresh = 99999999999999999999999", ["seeds", "1000000 runs"]),
        ("seeds.range = '1..100000000'", ["seeds", "1000000 runs"]),
        ("seeds.range = '9223372036854775808..9223372036854775809'", ["seeds", "is 9223372036854775807"]),
        ("seeds.count = 500001\naxes.nodes = [3, 5]", ["2 cells", "at most 500000 seeds"]),
        ("seeds.count =", ["not TOML"]),
    ],
)
def test_a_mistake_is_one_line_that_says_what_would_be_right(tmp_path, text, words):
    message = mistakes(text, tmp_path)
    assert all(word in message for word in words), message


def test_one_mistake_is_named_once_and_in_the_words_of_a_plan(tmp_path):
    assert mistakes("seeds.count = 1\nkeep.valid = 'some'", tmp_path).count("keep.valid") == 1
    text = "seeds.count = 1\naxes.nemesis = 'gremlins,kill:later,pause:x=1'"
    message = mistakes(text, tmp_path)
    assert "--nemesis" not in message
    assert all(word in message for word in ("gremlins", "kill:later: later", "pause:x=1: x"))


def test_the_most_runs_that_there_can_be(tmp_path):
    assert seeds_of(load(None, {"seeds": {"range": "9223372036854775807..9223372036854775807"}}), Random(0))
    assert load(None, {"seeds": {"count": 500_000}, "axes": {"nodes": [3, 5]}})


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="give the path of a plan"):
        load(tmp_path / "none.toml", {})


def test_options_win_over_the_file_and_replace_its_seeds(tmp_path):
    path = tmp_path / "My night.toml"
    path.write_text("jobs = 3\n[axes]\nnodes = [3, 5]\nrate = 10\n[seeds]\ncount = 5\n")
    found = load(path, {"axes": {"nodes": ["7"]}, "seeds": parse_seeds("4..6")})
    assert (found.name, found.jobs, found.axes.nodes, found.axes.rate) == ("my-night", 3, [7], [10.0])
    assert seeds_of(found, Random(0)) == [4, 5, 6]


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [1, 2, 3]), ("7..9", [7, 8, 9]), ("5..5", [5])], ids=["count", "range", "one"]
)
def test_seeds_as_they_are_written(text, seeds):
    assert seeds_of(load(None, {"seeds": parse_seeds(text)}), Random(0)) == seeds


def test_fresh_seeds_are_drawn_all_different():
    drawn = seeds_of(load(None, {"seeds": parse_seeds("fresh:50")}), Random(1))
    assert len(set(drawn)) == 50
    assert drawn != seeds_of(load(None, {"seeds": parse_seeds("fresh:50")}), Random(2))


def test_the_schema_accepts_what_the_plan_accepts_and_nothing_else():
    schema = Plan.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(plan().model_dump(mode="json", exclude_none=True), schema)
    for wrong in ({"seeds": {"count": 0}}, {"seeds": {"count": 1}, "colour": 1}, {}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


DOCUMENTS = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
PLANS = {
    **{path.name: path.read_text() for path in sorted((Path(__file__).parents[2] / "ready").glob("*.toml"))},
    **{
        f"{path.name} {number}": block.split("```")[0]
        for path in DOCUMENTS
        for number, block in enumerate(path.read_text().split("```toml\n")[1:], 1)
    },
}
"""The plans that we hand out, in files and in documents."""


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_that_is_handed_out_is_one_and_the_schema_accepts_it_as_it_is_written(name):
    written = tomllib.loads(PLANS[name])
    assert Plan.model_validate(written)
    jsonschema.validate(written, Plan.model_json_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": {}},
        {"seeds": {"count": 1, "fresh": 1}},
        {"seeds": {"count": None}},
        *(
            {"seeds": {"count": 1}, "axes": axes}
            for axes in ({"env": "cloud"}, {"env": ["sim", "cloud"]}, {"env": []}, {"env": ["sim", "sim"]})
        ),
        {"seeds": {"count": 1}, "axes": {"workload": "bank"}},
        {"seeds": {"count": 1}, "axes": {"mutant": "Z9"}},
        {"seeds": {"count": 1}, "axes": {"nodes": 0}},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_plan_refuses(wrong):
    with pytest.raises(ValidationError):
        Plan.model_validate(wrong)
    assert not jsonschema.Draft202012Validator(Plan.model_json_schema()).is_valid(wrong)


@pytest.mark.parametrize("concurrency", [10, "10", "2n", ["2n", 7]])
def test_the_schema_accepts_workers_as_a_number_and_as_text(concurrency):
    wanted = {"seeds": {"count": 1}, "axes": {"concurrency": concurrency}}
    assert Plan.model_validate(wanted)
    assert jsonschema.Draft202012Validator(Plan.model_json_schema()).is_valid(wanted)


def test_every_combination_is_a_cell_once():
    cells = cells_of(plan(axes={"env": ["sim", "local"], "nodes": [3, 5, 7], "mutant": ["none", "Q1"]}))
    assert len(cells) == len(set(cells)) == 12
    assert {cell.mutant for cell in cells} == {None, "Q1"}


def test_machines_are_handed_to_each_run_and_have_one_run_at_a_time():
    hosts = "n1=a@10.0.0.1,n2=a@10.0.0.2"
    found = plan(axes={"env": ["sim", "ssh"], "nodes": [3, 5]}, hosts=hosts, jobs=4)
    *simulated, machines = cells_of(found)
    assert [cell.hosts for cell in simulated] == [None, None]
    assert " ".join(machines.words()).startswith("--env ssh --workload register ")
    assert machines.words()[-2:] == ["--hosts", hosts]
    assert (found.at_a_time, plan(jobs=4).at_a_time) == (1, 4)
    assert cell_of_command(" ".join(["splitbrain run", *machines.words(), "--seed 11"])) == (machines, 11)


@pytest.mark.parametrize("mutant", [None, "Q1"])
def test_a_cell_is_read_back_from_the_command_that_a_run_names(mutant):
    test = Test(
        environment="sim", nodes=node_names(3), workload="register", nemesis=parse_nemesis("partition,kill", 2.0),
        time_limit_s=10.0, rate=20.0, concurrency=6, seed=11, mutant=mutant,
    )  # fmt: skip
    cell, seed = cell_of_command(test.command())
    assert (cell.env, cell.nodes, cell.rate, cell.mutant, seed) == ("sim", 3, 20.0, mutant, 11)
    assert list(faults_asked(cell)) == ["partition", "kill"]
    assert cell_of_command(" ".join(["splitbrain run", *cell.words(), "--seed 11"])) == (cell, 11)


@pytest.mark.parametrize("command", ["", "splitbrain run", "splitbrain run --env sim --seed x", "rm --env 1"])
def test_what_names_no_cell_and_seed_is_none(command):
    assert cell_of_command(command) is None


def test_no_fault_is_asked_for_by_none():
    assert list(faults_asked(Cell(env="sim", nemesis="none"))) == list(faults_asked(Cell(env="sim"))) == []


def test_all_asks_for_what_the_environment_can_do():
    everything = set(faults_asked(Cell(env="docker", nemesis="all")))
    assert everything == set(FAULTS)
    assert everything - set(faults_asked(Cell(env="sim", nemesis="all"))) == {"memory"}
    assert list(faults_asked(Cell(env="sim", nemesis="kill:leader,memory"))) == ["kill", "memory"]


# -- the order of jobs

CELLS = [Cell(env="sim", nodes=number) for number in range(1, 6)]
cells = st.integers(1, 5).map(lambda count: CELLS[:count])
seeds = st.lists(st.integers(0, 50), min_size=1, max_size=12, unique=True)
failures = st.lists(st.tuples(st.sampled_from(CELLS), st.integers(0, 60)), max_size=6)


@given(cells, seeds, failures)
def test_every_cell_gets_every_seed_once_and_what_failed_comes_first(cells, seeds, failed):
    jobs = jobs_of(cells, seeds, failed)
    here = list(dict.fromkeys((cell, seed) for cell, seed in failed if cell in cells))
    places = [(job.cell, job.seed) for job in jobs]
    assert places[: len(here)] == here
    assert len(places) == len(set(places))
    assert set(places) == {(cell, seed) for cell in cells for seed in seeds} | set(here)
    assert len({job.key for job in jobs}) == len(jobs)


@given(cells, seeds)
def test_a_budget_that_ends_early_has_covered_every_cell_as_often_as_any_other(cells, seeds):
    jobs = jobs_of(cells, seeds, ())
    for end in range(len(jobs) + 1):
        made = [sum(job.cell == cell for job in jobs[:end]) for cell in cells]
        assert max(made) - min(made) <= 1


@given(cells, seeds, st.lists(st.sampled_from(CELLS), max_size=3), st.integers(1, 6))
def test_shards_have_all_jobs_between_them_and_none_in_common_whatever_failed_where(cells, seeds, bad, count):
    failed = [(cell, seeds[0]) for cell in bad]
    shards = [
        # What failed before is known on each machine for itself.
        shard_of(jobs_of(cells, seeds, failed if index % 2 else ()), index, count)
        for index in range(1, count + 1)
    ]
    keys = [job.key for shard in shards for job in shard]
    assert sorted(keys) == sorted(job.key for job in jobs_of(cells, seeds, ()))


@given(cells, st.integers(1, 5))
def test_each_shard_has_a_part_of_every_cell(cells, count):
    jobs = jobs_of(cells, range(count), ())
    for index in range(1, count + 1):
        assert {job.cell for job in shard_of(jobs, index, count)} == set(cells)


# -- numbers that are none, and plans without measure


@pytest.mark.parametrize(
    "setting",
    [
        "seeds.count = true",
        "seeds.fresh = true",
        "time_limit_s = true",
        "jobs = true",
        "axes.nodes = true",
        "axes.nodes = [3, true]",
        "axes.rate = [true]",
        "axes.interval = true",
        "axes.concurrency = true",
        "budget.wall_s = true",
        "budget.runs = true",
        "limits.memory_mb = true",
        "keep.valid = true",
        "keep.disk_mb = true",
        "gate.max_rate = true",
        "gate.max_unknown = true",
        "gate.confidence = false",
        "gate.coverage.faults = false",
    ],
)
def test_a_truth_value_is_no_number(tmp_path, setting):
    count = "" if setting.startswith("seeds") else "seeds.count = 1\n"
    message = mistakes(count + setting, tmp_path)
    assert setting.partition(" ")[0] in message
    assert "is a truth value" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds.count = 1000000000000000000000000000000", ["1" + "0" * 30, "1000000 runs"]),
        ("seeds.count = 1\naxes.rate = 1e30", ["axes.rate", "1e+30", "1000000"]),
        ("seeds.count = 1\ntime_limit_s = 1e30", ["time_limit_s", "1e+30", "10000000"]),
        ("seeds.count = 1\ntime_limit_s = 1e6\naxes.rate = 1e6", ["axes.rate", "1e+12", "1e+08"]),
        ("seeds.count = 1000000\ntime_limit_s = 1e4\naxes.rate = 1e4", ["1e+14", "1e+13"]),
        ("seeds.count = 1\naxes.nodes = 1000000", ["axes.nodes", "1000"]),
        ("seeds.count = 1\naxes.concurrency = '%s'" % ("9" * 5000), ["axes.concurrency", "100000 workers"]),
        ("seeds.count = 1\naxes.interval = 1e-30", ["axes.interval", "0.001"]),
        ("seeds.count = 1\naxes.nemesis = 'kill:interval=1e-30'", ["axes.nemesis", "0.001"]),
        ("seeds.count = 1\njobs = 1000000000", ["jobs", "10000"]),
        ("seeds.count = 1\nlimits.memory_mb = 1%s" % ("0" * 30), ["limits.memory_mb"]),
        ("seeds.count = 1\naxes.rate = nan", ["axes.rate"]),
        ("seeds.count = 1\naxes.rate = inf", ["axes.rate"]),
        ("seeds.count = 1\nbudget.wall_s = inf", ["budget.wall_s"]),
        ("seeds.range = '1..%s'" % ("9" * 5000), ["seeds", "FIRST..LAST"]),
        ("seeds.count = 1%s" % ("0" * 5000), ["not TOML"]),
        ("seeds.count = 1\nname = {}1{}".format("[" * 5000, "]" * 5000), ["not TOML"]),
        ("seeds.count = 1\ngate.thresholds = ['p99<%ss']" % ("9" * 400), ["gate.thresholds[0]"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_plan_without_measure_is_refused_with_the_number_and_the_limit(tmp_path, text, words):
    message = mistakes(text, tmp_path)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert len(message) < 2000


def test_a_plan_that_is_no_file_of_a_plan_s_size_is_refused(tmp_path):
    with (tmp_path / "night.toml").open("wb") as file:
        file.truncate(1 << 40)
    for path in (tmp_path / "night.toml", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="give the path of a plan in TOML"):
            load(path, {})
