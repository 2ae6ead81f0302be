"""Output that cannot be written: the exit code is that of the verdict, or says that there is none; it is never 1."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DEADLINE_S = 60.0
RUN = ("run", "--env", "sim", "--nodes", "3", "--nemesis", "none", "--time-limit", "1", "--seed", "1")
INVALID = ("run", "--env", "sim", "--nodes", "1", "--nemesis", "partition", "--time-limit", "1", "--seed", "1")
GOOD = '{"type":"invoke","process":0,"f":"write","value":1}\n{"type":"ok","process":0,"f":"write","value":1}\n'
BAD = GOOD + '{"type":"invoke","process":0,"f":"read","value":null}\n{"type":"ok","process":0,"f":"read","value":2}\n'
WITHOUT_VERDICT = [("run", "--help"), ("--version",), ("nemesis",), ("runs",)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    lines = [f'{{"index":{i},"time":{i},{line[1:]}' for i, line in enumerate(BAD.splitlines())]
    (tmp_path / "bad.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "good.jsonl").write_text("\n".join(lines[:2]) + "\n")
    (tmp_path / "store").mkdir()
    return tmp_path


def shell(place: Path, words: tuple[str, ...], rest: str) -> subprocess.CompletedProcess[str]:
    """The command with its output led somewhere; PIPESTATUS has its own exit code."""
    command = shlex.join([sys.executable, "-P", "-m", "harness", *words])
    script = f"set -o pipefail; {command} {rest}; exit ${{PIPESTATUS[0]}}"
    variables = {**os.environ, "SPLITBRAIN_STATE": str(place / "state")}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=variables,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


COMMANDS = [
    (RUN, 0),
    ((*RUN, "--json"), 0),
    (INVALID, 2),
    (("check", "good.jsonl"), 0),
    (("check", "good.jsonl", "--json"), 0),
    (("check", "bad.jsonl"), 1),
    (("check", "good.jsonl", "good.jsonl"), 0),
    (("check", "bad.jsonl", "good.jsonl", "--json"), 1),
    (("check", "absent.jsonl"), 254),
    *((words, None) for words in WITHOUT_VERDICT),
]


@pytest.mark.parametrize(
    ("rest", "otherwise", "lines"),
    [
        ("| true", 141, 0),
        ("| head -c 1 >/dev/null", 141, 0),
        (">/dev/full", 255, 1),
        (">&-", 255, 1),
        ("2>&1 | true", 141, 0),
        (">&- 2>&-", 255, 0),
        (">/dev/full 2>/dev/full", 255, 0),
        (">/dev/null 2>&-", 0, 0),
        ("</dev/null >/dev/null 2>&- <&-", 0, 0),
    ],
)
@pytest.mark.parametrize(
    ("words", "code"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_lost_output_does_not_change_the_verdict(
    place: Path, words: tuple[str, ...], code: int | None, rest: str, otherwise: int, lines: int
) -> None:
    if rest.startswith("| head"):
        otherwise = None  # type: ignore[assignment]  # it may have written all before
    done = shell(place, words, rest)
    wanted = {code} if code is not None else {otherwise} if otherwise is not None else {0, 141}
    assert done.returncode in wanted, done
    assert "Traceback" not in done.stderr, done
    assert "Exception ignored" not in done.stderr, done
    told = [line for line in done.stderr.splitlines() if "standard output cannot be written" in line]
    if code != 254:
        assert len(told) == lines, done


def test_a_run_whose_output_nobody_reads_is_kept_whole(place: Path) -> None:
    assert shell(place, (*RUN, "--directory", "kept"), "2>&1 | true").returncode == 0
    assert json.loads((place / "kept" / "results.json").read_text())["verdict"] == "valid"
    assert (place / "kept" / "report.txt").read_text().splitlines()[-1].startswith("valid: ")


def test_a_closed_descriptor_is_not_taken_by_a_file_of_the_run(place: Path) -> None:
    """Else what is printed would go into it."""
    assert shell(place, (*RUN, "--directory", "kept"), ">&- 2>&- <&-").returncode == 0
    for file in (place / "kept").iterdir():
        if file.is_file() and file.suffix == ".jsonl":
            assert [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_text_that_the_locale_cannot_say_is_escaped(place: Path, locale: str) -> None:
    (place / "ümlaut.jsonl").write_text((place / "bad.jsonl").read_text().replace('"value":2', '"value":"é☃"'))
    variables = f"LC_ALL={locale} PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
    command = shlex.join([sys.executable, "-P", "-m", "harness", "check", "ümlaut.jsonl", "--graph", "why.svg"])
    for json_option in ("", "--json"):
        script = f"{variables} {command} {json_option}"
        done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 1, done
        assert b"Traceback" not in done.stderr
        if json_option:
            assert "é☃" in json.loads(done.stdout)["files"][0]["reason"]
        assert "é☃" in (place / "why.svg").read_text(encoding="utf-8")
        (place / "why.svg").unlink()
