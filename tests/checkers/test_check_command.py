"""`splitbrain check`: exit codes, one-line errors, JSON and nothing else on stdout."""

import io
import json
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkers import Event
from checkers.formats import jsonl
from harness.cli import call


@dataclass(frozen=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Ended:
    """`splitbrain check` with these arguments."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = call(["check", *map(str, arguments)])
    return Ended(code, out.getvalue(), err.getvalue())


def history(path: Path, read: int) -> Path:
    """A write of 1 and then a read of that value."""
    steps = [("invoke", "write", 1), ("ok", "write", 1), ("invoke", "read", None), ("ok", "read", read)]
    events = [
        Event(index=index, time=index, type=type_, process=0, f=f, key="x", value=value)  # type: ignore[arg-type]
        for index, (type_, f, value) in enumerate(steps)
    ]
    jsonl.write(path, events)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return history(tmp_path / "good.jsonl", 1)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return history(tmp_path / "bad.jsonl", 2)


def test_the_exit_code_is_the_verdict_and_the_last_line_says_it(good: Path, bad: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for path, code, verdict in [(good, 0, "valid"), (bad, 1, "invalid"), (empty, 2, "unknown")]:
        result = run(path)
        assert result.exit_code == code
        assert result.stdout.splitlines()[-1].startswith(f"{verdict}: ")


def test_a_run_directory_is_checked_by_its_history(tmp_path: Path) -> None:
    history(tmp_path / "history.jsonl", 1)
    assert run(tmp_path).exit_code == 0


def test_of_many_files_the_worst_wins(good: Path, bad: Path) -> None:
    result = run(good, bad)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "invalid: 1 of 2 histories"


def test_json_is_all_there_is_on_stdout(good: Path, bad: Path) -> None:
    rows = json.loads(run(good, bad, "--json").stdout)["files"]
    assert [(row["path"], row["verdict"]) for row in rows] == [(str(good), "valid"), (str(bad), "invalid")]
    assert all(set(row) == {"path", "verdict", "engine", "seconds", "operations", "reason"} for row in rows)


def test_the_initial_value_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "read.jsonl"
    events = [
        Event(index=0, time=0, type="invoke", process=0, f="read"),
        Event(index=1, time=1, type="ok", process=0, f="read", value=5),
    ]
    jsonl.write(path, events)
    assert run(path).exit_code == 1
    assert run(path, "--init", "5").exit_code == 0


INVOKE = '{"index":0,"time":0,"type":"invoke","process":0,"f":"%s","value":%s}\n'
OK = '{"index":1,"time":1,"type":"ok","process":0,"f":"%s","value":%s}\n'
MISTAKES = {
    "malformed EDN": ("{:process 0, :type [:ok}\n", (), "bad:1: malformed EDN"),
    "an op with no :type": ("{:process 0, :f :read, :value nil}\n", (), "bad:1: an operation with no :type"),
    "two open invocations": (
        "{:process 0, :type :invoke, :f :read}\n" * 2,
        (),
        "bad:2: process 0 invokes read while its read of line 1 is still open",
    ),
    "a completion of another f": (
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :write}\n",
        (),
        "bad:2: process 0 completes write (ok) but line 1 invoked read",
    ),
    "times that run backwards": (
        "{:time 5, :process 0, :type :invoke, :f :read}\n{:time 4, :process 0, :type :ok, :f :read}\n",
        (),
        "bad:2: time runs backwards, from 5 to 4",
    ),
    "a value without a hash": (INVOKE % ("write", '{"a":1}'), (), "bad:1: value {'a': 1} cannot be hashed"),
    "a model that raises": (
        INVOKE % ("add", '"x"') + OK % ("add", '"x"'),
        ("--model", "counter"),
        "bad:1: model counter raised TypeError on [0: add 'x' -> ok]: ",
    ),
    "a value of another shape": (
        INVOKE % ("read", "null") + OK % ("read", "7"),
        ("--model", "multi-register"),
        "bad:1: model multi-register raised ModelError on [0: read -> 7]: multi-register takes [[name, value], ...]",
    ),
    "an f that the model lacks": (INVOKE % ("pop", "1"), ("--model", "set"), "bad:1: model set has no operation 'pop'"),
    "a cas without its pair": (INVOKE % ("cas", "1"), (), "bad:1: cas takes [old, new], not 1"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_is_one_line_with_its_place(name: str, tmp_path: Path) -> None:
    text, options, message = MISTAKES[name]
    path = tmp_path / "bad"
    path.write_text(text)
    result = run(path, *options)
    assert (result.exit_code, result.stdout) == (254, "")
    assert f"splitbrain: {tmp_path}/{message}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_engine_is_named_with_its_reason(good: Path, bad: Path) -> None:
    assert run(good).stdout.splitlines()[0] == "engine: walk, since the order of the returns is a linearization"
    assert (
        run(bad).stdout.splitlines()[0] == "engine: walk, since no two operations overlap, so there is one order only"
    )
    assert "engine: search, since it was asked for" in run(good, "--engine", "search").stdout


def test_a_violation_is_drawn_and_a_valid_history_is_not(good: Path, bad: Path, tmp_path: Path) -> None:
    picture = tmp_path / "why.svg"
    assert run(good, "--graph", picture).exit_code == 0
    assert not picture.exists()
    assert run(good, bad, "--graph", picture).exit_code == 1
    assert picture.read_text().startswith("<svg ")


def test_standard_input_and_a_pipe_are_read_once(good: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -m harness check"
    name = shlex.quote(str(good))
    for command in (f"{program} - < {name}", f"cat {name} | {program} -", f"{program} <(cat {name})"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "valid: the 2 operations have a linearization" in done.stdout


def test_bad_input_is_one_line_on_stderr_and_254(good: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(good.read_bytes()[:-3])
    cases = [
        (tmp_path / "missing",),
        (good, "--model", "magic"),
        (good, "--engine", "magic"),
        (good, "--init", "{"),
        (cut,),
    ]
    for arguments in cases:
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (254, "")
        assert result.stderr.startswith("splitbrain: ")
        assert result.stderr.count("\n") == 1
    assert run(cut, "--truncated-tail", "drop").exit_code == 0
