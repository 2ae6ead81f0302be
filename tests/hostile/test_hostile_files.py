"""Files of a store, each field of each set to what an enemy would write: nothing outside changes, and nobody crashes.

The fields are those of the declared types and those of the files as they are written, so a new one is covered when it
appears. SPLITBRAIN_HOSTILE=all tries every value in every field; else each field gets some of them, in turn.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from checkers.history import Event
from harness import ledger
from harness.artefact import Artefact
from harness.campaign.baseline import Baseline
from harness.campaign.directory import Assignment, Definition
from harness.campaign.row import Row
from harness.campaign.summary import Summary
from harness.cli import call
from harness.judge import Results
from harness.test import Test

WORKER = Path(__file__).with_name("worker.py")
EVERYTHING = os.environ.get("SPLITBRAIN_HOSTILE") == "all"
FEW = 3

deep: object = "x"
for _ in range(300):
    deep = [deep]

VALUES: list[object] = [
    "ROOT/outside/precious",
    "../../outside/precious",
    "../outside",
    "/etc/passwd",
    'x"""\nimport os; os.mkdir(\'ROOT/outside/made\')\n"""',
    "'); __import__('os').mkdir('ROOT/outside/made'); ('",
    "$(mkdir ROOT/outside/made); `mkdir ROOT/outside/made`",
    "a\n::error::b\r\n\x1b[31mred\x07\x00 \u2028\u202e ##[error]c %0A",
    "<script>alert(1)</script> | ]]> & [x](javascript:x)",
    "--store=ROOT/outside",
    "A" * 100_000,
    "",
    10**400,
    -(2**63),
    1.7e308,
    True,
    None,
    deep,
    [],
    {},
    {"../../outside/precious": {"../x": ["../y"]}},
    ["ROOT/outside/precious", "../outside"],
    "<delete>",
]

BROKEN_OFF = ["", "{", "[]", "null", '{"a":' * 5000, "\x00\xff", "[" * 100_000]

NO_RUN = ("--env", "sim", "--nodes", "3", "--nemesis", "none", "--time-limit", "1", "--rate", "30")
FAILS = ("--env", "sim", "--nodes", "3", "--time-limit", "6", "--rate", "400", "--interval", "2")
FAILS += ("--nemesis", "partition:leader", "--mutant", "Q1", "--seed", "1")

CAMPAIGN_COMMANDS = [
    ["gate", "ROOT/store/CAMPAIGN", "--store", "ROOT/store", "--report", "junit,json,markdown"],
    ["show", "ROOT/store/CAMPAIGN", "--store", "ROOT/store"],
    ["show", "ROOT/store/CAMPAIGN/000-1", "--store", "ROOT/store"],
    ["compare", "ROOT/store/CAMPAIGN", "ROOT/store/CAMPAIGN"],
    ["merge", "ROOT/store/CAMPAIGN", "--store", "ROOT/cwd/merged"],
    ["runs", "--store", "ROOT/store", "--reindex"],
]
RUN_COMMANDS = [
    ["show", "ROOT/store/run/1", "--store", "ROOT/store"],
    ["check", "ROOT/store/run/1", "--time-limit", "5"],
    ["export", "ROOT/store/run/1", "--pytest", "ROOT/cwd/test_it.py"],
    ["runs", "--store", "ROOT/store", "--reindex", "--json"],
]
RESUME = [["campaign", "ROOT/store/CAMPAIGN", "--resume", "--store", "ROOT/store", "--runs", "1"]]
REPLAY = [["replay", "ROOT/store/run/1", "--store", "ROOT/store"]]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """What each case gets a copy of: a campaign, a run that failed, a ledger, a catalogue, and what must not change."""
    root = tmp_path_factory.mktemp("hostile") / "template"
    store = root / "store"
    (root / "outside" / "precious").mkdir(parents=True)
    (root / "outside" / "precious" / "kept.txt").write_text("keep me")
    assert call(["campaign", "--name", "night", *NO_RUN, "--seeds", "1", "--keep", "all", "--store", str(store)]) == 0
    (campaign,) = store.glob("night-*")
    campaign.rename(store / "CAMPAIGN")
    (store / "catalogue.sqlite").unlink()
    call(["run", *FAILS, "--store", str(store)])
    (run,) = (path for path in store.glob("register-*/*") if not path.is_symlink())
    (store / "run").mkdir()
    run.rename(store / "run" / "1")
    for path in [*store.rglob("n[0-9]"), *store.rglob("latest"), *store.rglob("current")]:
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    shutil.rmtree(run.parent)
    call(["gate", str(store / "CAMPAIGN"), "--write-baseline", str(root / "store" / "baseline.json")])
    call(["runs", "--store", str(store)])
    (root / "state" / "ledger").mkdir(parents=True)
    lines = [
        ledger.Run("ssh", "store/x", {"hosts": [{"token": "0a1b2c3d", "host": {"node": "n1", "host": "10.0.0.1"}}],
                                      "access": {"identity": None, "known_hosts": None,
                                                 "accept_unknown_hosts": False}}),
        ledger.Entry(1, "kill", "n1", {"nodes": ["n1"]}),
        ledger.Strike(1),
    ]  # fmt: skip
    path = root / "state" / "ledger" / "ssh-1.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    path.chmod(0o600)
    return root


def places(document: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a JSON document, of a list the first two items."""
    if at:
        yield at
    if isinstance(document, dict):
        for name, inner in document.items():
            yield from places(inner, (*at, name))
    elif isinstance(document, list):
        for number, inner in enumerate(document[:2]):
            yield from places(inner, (*at, number))


def fields_of(kind: type[msgspec.Struct], document: object) -> list[tuple[str | int, ...]]:
    """The places of the document, and the fields of its type that it leaves out."""
    declared = [(field.encode_name,) for field in msgspec.structs.fields(kind)]
    return list(dict.fromkeys([*declared, *places(document)]))


KINDS = {
    "row": ("store/CAMPAIGN/000-1/row.json", Row, CAMPAIGN_COMMANDS),
    "job": ("store/CAMPAIGN/000-1/job.json", Assignment, CAMPAIGN_COMMANDS),
    "campaign": ("store/CAMPAIGN/campaign.json", Definition, CAMPAIGN_COMMANDS),
    "summary": ("store/CAMPAIGN/summary.json", Summary, CAMPAIGN_COMMANDS),
    "results of a campaign": ("store/CAMPAIGN/000-1/results.json", Results, CAMPAIGN_COMMANDS),
    "test of a campaign": ("store/CAMPAIGN/000-1/test.json", Test, CAMPAIGN_COMMANDS),
    "results": ("store/run/1/results.json", Results, RUN_COMMANDS),
    "test": ("store/run/1/test.json", Test, RUN_COMMANDS),
    "artefact": ("store/run/1/artefact.json", Artefact, RUN_COMMANDS),
    "history": ("store/run/1/history.jsonl", Event, RUN_COMMANDS),
    "ledger": ("state/ledger/ssh-1.jsonl", ledger.Run, [["heal"]]),
    "baseline": (
        "store/baseline.json",
        Baseline,
        [["gate", "ROOT/store/CAMPAIGN", "--baseline", "ROOT/store/baseline.json"]],
    ),
    "catalogue": (
        "store/catalogue.sqlite",
        Row,
        [
            ["runs", "--store", "ROOT/store"],
            ["campaign", *NO_RUN, "--seeds", "1", "--dry-run", "--store", "ROOT/store"],
        ],
    ),
    "resumed row": ("store/CAMPAIGN/000-1/row.json", Row, RESUME),
    "resumed job": ("store/CAMPAIGN/000-1/job.json", Assignment, RESUME),
    "resumed campaign": ("store/CAMPAIGN/campaign.json", Definition, RESUME),
    "replayed artefact": ("store/run/1/artefact.json", Artefact, REPLAY),
}
SLOW = ("resumed row", "resumed job", "resumed campaign", "replayed artefact")
LINES = {"history": [0, 1, 30], "ledger": [0, 1, 2]}


def cases(template: Path, kind: str) -> Iterator[dict[str, object]]:
    file, struct, commands = KINDS[kind]
    turn = count(sum(map(ord, kind)))
    few = 1 if kind in SLOW else FEW
    for line, document in documents(template, kind, file):
        for where in fields_of(struct, document):
            values = VALUES if EVERYTHING else [VALUES[next(turn) % len(VALUES)] for _ in range(few)]
            for value in values:
                yield {"file": file, "line": line, "where": where, "value": value, "commands": commands}
    for text in BROKEN_OFF if kind not in SLOW else BROKEN_OFF[:1]:
        yield {"file": file, "line": 0, "where": [], "value": None, "text": text, "commands": commands}


def documents(template: Path, kind: str, file: str) -> list[tuple[int, object]]:
    """What is tampered with: the one document of a file, or some of its lines."""
    if kind == "catalogue":
        return [(0, json.loads((template / "store/CAMPAIGN/000-1/row.json").read_text()))]
    if kind not in LINES:
        return [(0, json.loads((template / file).read_text()))]
    lines = (template / file).read_text().splitlines()
    return [(number, json.loads(lines[number])) for number in LINES[kind]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_no_field_of_a_file_reaches_beyond_the_store(template, tmp_path, kind):
    tried = list(cases(template, kind))
    root = tmp_path / "case"
    text = "".join(json.dumps(case).replace("ROOT", str(root)) + "\n" for case in tried)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("GITHUB_ACTIONS", None)
    done = subprocess.run(
        [sys.executable, WORKER, template, root], input=text, env=environment, capture_output=True, text=True,
        timeout=3000, check=False,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(tried), f"{tried[len(answers)]}: {done.stderr[-3000:]}"
    wrong = [problem for case, answer in zip(tried, answers, strict=True) for problem in problems(case, answer)]
    assert not wrong, "\n".join(wrong[:30]) + f"\n{len(wrong)} of {len(tried)}"


def problems(case: dict[str, object], answer: dict[str, object]) -> Iterator[str]:
    """What is wrong with what a case did."""
    shown = f"{case['file']} {case['where']} = {str(case.get('text', case['value']))[:60]!r}"
    if not answer["outside"]:
        yield f"{shown}: what is outside has changed"
    ends = answer["ends"]
    assert isinstance(ends, list)
    for end in ends:
        where = f"{shown}: {end['words'][0]}"
        if end["seen"]:
            yield f"{where}: {end['seen']}"
        if end["code"] not in (0, 1, 2, 254):
            yield f"{where}: exit code {end['code']}: {end['err'][-800:]}"
        if end["code"] == 254 and (end["out"] or end["err"].count("\n") != 1):
            yield f"{where}: not one line: {end['out'][:200]} {end['err'][:600]}"
        for line in (end["out"] + end["err"]).split("\n"):
            if re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e]|##\\[", line) or line.lstrip().startswith("::"):
                yield f"{where}: prints {line[:200]!r}"
            if len(line) > 300_000:
                yield f"{where}: prints a line of {len(line)} characters"


HOSTILE_TEXTS = [value for value in VALUES if isinstance(value, str) and value]


@pytest.mark.parametrize("environment", ["sim", "docker"])
@pytest.mark.parametrize("where", [("version",), ("failure", "rule"), ("failure", "checker"), ("failure", "shape")])
def test_what_is_exported_holds_literals_and_nothing_else(template, tmp_path, where, environment, monkeypatch):
    """An artefact's texts that may be anything are in the exported test, and are text there."""
    run = tmp_path / "run"
    shutil.copytree(template / "store" / "run" / "1", run)
    for name in ("artefact.json", "test.json"):
        (run / name).write_text(
            (run / name).read_text().replace('"environment": "sim"', f'"environment": "{environment}"')
        )
    plain = exported(run, tmp_path / "plain.py")
    for number, value in enumerate(HOSTILE_TEXTS):
        artefact = json.loads((run / "artefact.json").read_text())
        inner = artefact
        for name in where[:-1]:
            inner = inner[name]
        inner[where[-1]] = value[:200].replace("ROOT", str(tmp_path))
        (tmp_path / "artefact.json").write_text(json.dumps(artefact))
        hostile = tmp_path / f"hostile{number}"
        shutil.copytree(run, hostile)
        shutil.copy(tmp_path / "artefact.json", hostile)
        tree = exported(hostile, tmp_path / f"test_{number}.py")
        assert shape(tree) == shape(plain), value
    assert not (tmp_path / "outside").exists()


def exported(run: Path, path: Path) -> ast.Module:
    assert call(["export", str(run), "--pytest", str(path)]) == 0
    return ast.parse(path.read_text(encoding="utf-8"))


def shape(tree: ast.Module) -> str:
    """The code without its literal texts: docstring and reason may say anything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)
