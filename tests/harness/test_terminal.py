"""What is printed: text from files is text, commands can be copied, and names are whole."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.terminal import Terminal

DEADLINE_S = 60.0
HOSTILE = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "two\nlines",
    "two\r\nlines",
    "two\x0blines\x0cand\x85more\u2028and\u2029more",
    "::error::told to the runner",
    "  ::set-output name=x::y",
    "##[error]told to the runner",
    "\u202eright to left",
    "nul\x00byte",
    "[bold]markup[/bold] :smile: kill:one [link=https://example.org]",
    "\ud800 alone",
    "tab\tand backspace\x08\x7f",
]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")


def harmless(printed: str, lines: int | None = None) -> None:
    assert CONTROL.search(printed) is None, repr(printed)
    assert not [line for line in printed.split("\n") if line.lstrip().startswith("::") or "##[" in line], repr(printed)
    if lines is not None:
        assert printed.count("\n") == lines, repr(printed)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_text_is_printed_as_one_harmless_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    for show in (terminal.say, terminal.error, lambda text: terminal.lines([text])):
        show(text)
        printed = capsys.readouterr()
        harmless(printed.out + printed.err, 1)
        if text.isprintable() and "::" not in text and "##[" not in text:
            assert text in printed.out + printed.err
    terminal.table(["name", "why"], [[text, text]], whole=["name"])
    harmless(capsys.readouterr().out, 2)


@pytest.mark.parametrize("text", HOSTILE[:-2], ids=ascii)
def test_json_is_equal_and_harmless(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(json=True).document({text: [text]})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {text: [text]}
    harmless(printed, 1)


def test_a_table_in_a_pipe_has_a_line_a_row_and_everything_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    row = ["x" * 300, "store/" + "y" * 300, "z " * 300]
    Terminal().table(["a", "run", "why"], [row], whole=["run"])
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2
    assert all(cell.strip() in printed for cell in row)


def on_a_terminal(command: list[str], columns: int, directory: Path) -> str:
    """What the command writes to a terminal of that width."""
    ours, its = pty.openpty()
    variables = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(command, cwd=directory, env=variables, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        printed = b""
        while select.select([ours], [], [], DEADLINE_S)[0]:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # nobody has the other end any more
                break
            printed += piece
        process.wait(DEADLINE_S)
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


SPLITBRAIN = [sys.executable, "-P", "-m", "harness"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_on_a_terminal_the_name_of_a_run_and_its_command_are_whole(columns: int, tmp_path: Path) -> None:
    store = tmp_path / ("deep/" * 12) / "store"
    words = ["run", "--env", "sim", "--nodes", "3", "--nemesis", "kill:one,pause:one", "--time-limit", "2"]
    printed = on_a_terminal([*SPLITBRAIN, *words, "--seed", "1", "--store", str(store)], columns, tmp_path)
    (directory,) = re.findall(r"^run directory  (.*)$", printed, re.MULTILINE)
    assert Path(directory).is_dir()
    (command,) = re.findall(r"^to run again   (.*)$", printed, re.MULTILINE)
    assert "kill:one" in command
    assert shlex.split(command) == json.loads((Path(directory) / "results.json").read_text())["command"].split()
    listed = on_a_terminal([*SPLITBRAIN, "runs", "--store", str(store)], columns, tmp_path)
    assert str(Path(directory).relative_to(store)) in listed


def test_the_command_after_an_export_can_be_copied(tmp_path: Path) -> None:
    words = ["run", "--env", "sim", "--nodes", "3", "--time-limit", "2", "--seed", "1", "--directory", "run"]
    assert subprocess.run([*SPLITBRAIN, *words], cwd=tmp_path, capture_output=True, timeout=DEADLINE_S).returncode in (
        0,
        2,
    )
    for name in ("test_a b'c.py", "test_$(touch x).py", "-test_dash.py"):
        done = subprocess.run(
            [*SPLITBRAIN, "export", "run", f"--pytest={name}"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        command = shlex.split(done.stdout.rpartition("run it with: ")[2])
        assert command[0] == "pytest"
        assert (tmp_path / command[1]).samefile(tmp_path / name)
        assert not command[1].startswith("-")


def test_keys_from_a_history_are_not_acted_upon(tmp_path: Path) -> None:
    key = "[bold]\x1b[31m\n::error::x :kill:one"
    events = [("invoke", "write", 1), ("ok", "write", 1), ("invoke", "read", None), ("ok", "read", 2)]
    (tmp_path / "h.jsonl").write_text(
        "".join(
            json.dumps({"index": i, "time": i, "type": kind, "process": 0, "f": f, "key": key, "value": value}) + "\n"
            for i, (kind, f, value) in enumerate(events)
        )
    )
    for words in (["h.jsonl"], ["h.jsonl", "h.jsonl"], ["--json", "h.jsonl"], ["h.jsonl", "--explain"]):
        done = subprocess.run(
            [*SPLITBRAIN, "check", *words], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S
        )
        assert done.returncode == 1
        harmless(done.stdout + done.stderr)
        assert "[bold]" in done.stdout
        assert ":kill:one" in done.stdout


def test_a_name_of_a_file_is_not_acted_upon(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SPLITBRAIN, "check", "\n::error::x\x1b[31m"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.returncode, done.stdout) == (254, "")
    harmless(done.stderr, 1)
