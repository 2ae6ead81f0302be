"""`splitbrain check`: exit codes, one-line errors, JSON and nothing else on stdout."""

import io
import json
import os
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


FIELDS = {"path", "verdict", "model", "guessed", "engine", "seconds", "operations", "reason"}


def test_json_is_all_there_is_on_stdout(good: Path, bad: Path) -> None:
    rows = json.loads(run(good, bad, "--json").stdout)["files"]
    assert [(row["path"], row["verdict"]) for row in rows] == [(str(good), "valid"), (str(bad), "invalid")]
    assert all(set(row) == FIELDS for row in rows)


@pytest.mark.parametrize(
    ("model", "f", "said", "init", "code"),
    [
        ("mutex", "acquire", None, "false", 0),
        ("mutex", "acquire", None, "true", 1),
        ("register", "read", True, "true", 0),
        ("register", "read", True, "1", 1),
        ("register", "read", [1, 2], "[1, 2]", 0),
        ("multi-register", "read", [["x", 1]], '{"x": 1}', 0),
        ("multi-register", "read", [["x", 2]], '[["x", 1]]', 1),
        ("multi-register", "read", [["x", 1]], "1", 254),
        ("counter", "read", 1, "0.5", 254),
        ("register", "read", 1, '{"x": 1}', 254),
    ],
)
def test_the_initial_value_is_what_its_json_says(
    tmp_path: Path, model: str, f: str, said: object, init: str, code: int
) -> None:
    path = tmp_path / "history.jsonl"
    events = [("invoke", None), ("ok", said)]
    jsonl.write(
        path, [Event(index=n, time=n, type=kind, process=0, f=f, value=value) for n, (kind, value) in enumerate(events)]
    )  # type: ignore[arg-type]
    ended = run(path, "--model", model, "--init", init)
    assert ended.exit_code == code
    assert ended.stderr.count("\n") == (code == 254)


def test_the_initial_value_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "read.jsonl"
    events = [
        Event(index=0, time=0, type="invoke", process=0, f="read"),
        Event(index=1, time=1, type="ok", process=0, f="read", value=5),
    ]
    jsonl.write(path, events)
    assert run(path, "--model", "register").exit_code == 1
    assert run(path, "--model", "register", "--init", "5").exit_code == 0


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
    "one index twice": (
        "{:index 5, :process 0, :type :invoke, :f :read}\n{:index 5, :process 0, :type :ok, :f :read}\n",
        (),
        "bad:2: index 5 is also that of line 1",
    ),
    "a model that raises": (
        INVOKE % ("add", '"x"') + OK % ("add", '"x"'),
        ("--model", "counter"),
        'bad:1: model counter stopped on [0: add "x" -> "x"]: it adds whole numbers, not \'x\'',
    ),
    "a value of another shape": (
        INVOKE % ("read", "null") + OK % ("read", "7"),
        ("--model", "multi-register"),
        "bad:1: model multi-register stopped on [0: read -> 7]: it takes [[name, value], ...], not 7",
    ),
    "an f with a line end": (
        (INVOKE % ("re\\nad", 1)),
        ("--model", "set"),
        "bad:1: model set has no operation 're\\nad'",
    ),
    "no model with an f with a line end": (INVOKE % ("re\\nad", 1), (), ""),
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
    assert f"splitbrain: {tmp_path}/{message}" in result.stderr or not message
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


def test_a_file_that_cannot_be_judged_does_not_keep_the_others_from_their_rows(
    good: Path, bad: Path, tmp_path: Path
) -> None:
    broken, missing = tmp_path / "broken", tmp_path / "missing"
    broken.write_text("{:process 0, :f :read}\n")
    result = run(good, broken, bad, missing, "--json")
    assert result.exit_code == 254
    assert result.stderr.startswith("splitbrain: 2 of 4 files could not be judged; the first: ")
    assert result.stderr.count("\n") == 1
    rows = json.loads(result.stdout)["files"]
    assert [row["verdict"] for row in rows] == ["valid", "error", "invalid", "error"]
    assert "broken:1: an operation with no :type" in rows[1]["reason"]
    assert "No such file" in rows[3]["reason"]
    table = run(good, broken)
    assert table.exit_code == 254
    assert table.stdout.splitlines()[-1] == "valid: 1 of 2 histories, 1 not judged"


def test_names_that_look_like_markup_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "[red]"
    folder.mkdir()
    for key in ("/foo", "[/foo]", "[a]", ":smile:"):
        steps = [("invoke", "put", "v"), ("ok", "put", "v"), ("invoke", "get", None), ("ok", "get", "x")]
        events = [
            Event(index=index, time=index, type=type_, process=0, f=f, key=key, value=value)  # type: ignore[arg-type]
            for index, (type_, f, value) in enumerate(steps)
        ]
        jsonl.write(folder / "k.jsonl", events)
        monkeypatch.chdir(tmp_path)
        result = run("[red]/k.jsonl", "[red]/k.jsonl")
        assert (result.exit_code, result.stderr) == (1, "")
        assert "[red]/k.jsonl" in result.stdout
        shown = "".join(result.stdout.split())
        assert f"[{key}]" in shown


def test_a_name_that_is_not_utf_8_is_shown_with_replacements(good: Path) -> None:
    odd = good.rename(os.fsdecode(os.fsencode(good.parent) + b"/odd\xff.jsonl"))
    environment = {**os.environ, "PYTHONUTF8": "1"}
    for more in ([], [str(odd)], ["--json"]):
        command = [sys.executable, "-m", "harness", "check", str(odd), *more]
        done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["files"][0]["path"].endswith("/odd\ufffd.jsonl")


def test_standard_input_and_a_pipe_are_read_once(good: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -m harness check"
    name = shlex.quote(str(good))
    for command in (f"{program} - < {name}", f"cat {name} | {program} -", f"{program} <(cat {name})"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "valid: the 2 operations have a linearization" in done.stdout


def test_what_never_returned_is_in_the_json(tmp_path: Path) -> None:
    path = tmp_path / "open.jsonl"
    events = [
        Event(index=0, time=0, type="invoke", process=0, f="write", value=1),
        Event(index=1, time=1, type="invoke", process=1, f="read"),
        Event(index=2, time=2, type="ok", process=1, f="read", value=1),
        Event(index=3, time=3, type="invoke", process=2, f="write", value=2),
    ]
    jsonl.write(path, events)
    (row,) = json.loads(run(path, "--json", "--explain").stdout)["files"]
    assert row["unfinished"] == [
        {"operation": "0: write 1 -> ?", "fate": "must", "line": 1},
        {"operation": "2: write 2 -> ?", "fate": "may", "line": 4},
    ]
    (row,) = json.loads(run(path, "--json").stdout)["files"]
    assert "unfinished" not in row


def test_a_multi_register_begins_with_a_map(tmp_path: Path) -> None:
    path = tmp_path / "multi.jsonl"
    events = [
        Event(index=0, time=0, type="invoke", process=0, f="read"),
        Event(index=1, time=1, type="ok", process=0, f="read", value=[["y", [1]]]),
    ]
    jsonl.write(path, events)
    assert run(path, "--model", "multi-register").exit_code == 1
    assert run(path, "--model", "multi-register", "--init", '{"y":[1]}').exit_code == 0
    assert run(path, "--model", "multi-register", "--init", '{"y":2}').exit_code == 1
    for wrong in (("--model", "multi-register", "--init", "5"), ("--init", '{"y":1}'), ("--init", '[{"y":1}]')):
        result = run(path, *wrong)
        assert (result.exit_code, result.stdout) == (254, "")
        assert result.stderr.startswith("splitbrain: ")
        assert result.stderr.count("\n") == 1


READ = "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value %s}\n"


def test_an_initial_value_is_one_of_the_history(tmp_path: Path) -> None:
    path = tmp_path / "read.edn"
    cases = [(":x", ":x", 0), ('":x"', ":x", 1), ("1", "1", 0), ("1.0", "1.0", 0), ("1", "1.0", 1), ("1.0", "1", 1)]
    for initial, read, code in cases:
        path.write_text(READ % read)
        assert run(path, "--model", "register", "--init", initial).exit_code == code, (initial, read)


def test_that_values_were_split_by_key_is_said_and_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "keyed.edn"
    path.write_text(READ.replace("nil", "[1 nil]") % "[1 :x]")
    assert run(path).stdout.startswith("keys: each value was taken as [key value], and each key checked apart; --keyed")
    assert json.loads(run(path, "--json").stdout)["files"][0]["note"].startswith("each value was taken as [key value]")
    assert "keys, in 2 of them: each value" in run(path, path).stdout
    assert "keys" not in run(path, "--keyed", "no").stdout
    path.write_text(READ.replace("nil", "[1 :x]") % "[1 :x]")
    result = run(path)
    assert (result.exit_code, result.stdout) == (254, "")
    assert result.stderr.endswith("say --keyed yes or --keyed no\n")
    assert run(path, "--keyed", "yes", "--init", ":x").exit_code == 0
    assert run(path, "--keyed", "no", "--init", ":x", "--model", "register").exit_code == 1


def test_bad_input_is_one_line_on_stderr_and_254(good: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(good.read_bytes()[:-3])
    cases = [
        (tmp_path / "missing",),
        (good, "--model", "magic"),
        (good, "--engine", "magic"),
        (good, "--init", "{"),
        (good, "--init", ":"),
        (good, "--init", "[" * 5000),
        (good, "--init", "[" * 1001 + "]" * 1001),
        (good, "--time-limit", "0"),
        (good, "--time-limit", "-1"),
        (good, "--time-limit", "nan"),
        (good, "--memory-limit", "-5"),
        (good, "--memory-limit", "0"),
        (good, "--keyed", "maybe"),
        (good, good, "--model", "magic"),
        (good, good, "--engine", "magic"),
        (good, "-"),
        (cut,),
    ]
    for arguments in cases:
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (254, "")
        assert result.stderr.startswith("splitbrain: ")
        assert result.stderr.count("\n") == 1
    assert run(cut, "--truncated-tail", "drop").exit_code == 0


def test_the_limits_of_a_check_hold_while_its_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text((INVOKE + OK).replace('"index":0,', "").replace('"index":1,', "") % (("write", 1) * 2) * 5_000)
    ended = run(path, "--memory-limit", "100000")
    assert ended.exit_code == 2
    assert "unknown: the memory budget of 100000 bytes is spent while " in ended.stdout
    (row,) = json.loads(run(path, "--time-limit", "1e-6", "--json").stdout)["files"]
    assert (row["verdict"], row["operations"]) == ("unknown", 0)
    assert "the time budget of 1e-06 s is spent while " in row["reason"]
    assert run(path, "--max-line", "10").stderr.endswith(
        "long.jsonl:1: a line of more than 10 bytes; break it up, or raise the limit (--max-line)\n"
    )
    assert run(path, "--max-nesting", "0").exit_code == 254
    assert run(path).exit_code == 0


def test_times_that_run_backwards_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "late.jsonl"
    jsonl.write(
        path,
        [
            Event(time=9_000_000, type="invoke", process=0, f="write", value=1),
            Event(time=1_000_000, type="ok", process=0, f="write", value=1),
        ],
    )
    note = "1 event is stamped more than 1 ms before an earlier one, up to 8.0 ms; "
    note += "the order of events is taken from the file, not from their times"
    assert f"times: {note}\n" in run(path).stdout
    (row,) = json.loads(run(path, "--json").stdout)["files"]
    assert row["note"] == note
    assert run(path, path).stdout.count(f"times, in {path}: {note}\n") == 2
