"""Records and texts of unknown origin: what is read of them, and what they become in somebody else's syntax."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import escape, untrusted
from harness.untrusted import Absent, BadRecord, Count, RunPath, Word

ANYTHING = st.text(st.characters(codec=None), max_size=60)


class Thing(msgspec.Struct):
    name: Word
    count: Count = 0


def reason_of(path: Path) -> str:
    with pytest.raises(BadRecord) as caught:
        untrusted.load(path, Thing)
    assert str(caught.value).count("\n") == 0
    assert str(path) in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"name": "x"', "truncated"),
        (b"hello", "malformed"),
        (b'{"name": "../x"}', "name"),
        (b'{"name": "x", "count": true}', "int"),
        (b'{"name": "x", "count": 1' + b"0" * 400 + b"}", "count"),
        (b'{"name": "x", "count": -1}', "count"),
        (b'{"name": "x", "more": ' + b"[" * 101 + b"]" * 101 + b"}", "100 deep"),
        (b"[" * 1_000_000, "100 deep"),
        (b'{"name": "\xff"}', "UTF"),
    ],
)
def test_what_is_no_record_is_one_line(tmp_path, content, words):
    path = tmp_path / "thing.json"
    path.write_bytes(content)
    assert words.lower() in reason_of(path).lower()


def test_brackets_in_a_text_are_not_nesting(tmp_path):
    path = tmp_path / "thing.json"
    path.write_text('{"name": "x", "more": "\\"%s"}' % ("[{" * 1000))
    assert untrusted.load(path, Thing) == Thing("x")


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    assert "No such file" in reason_of(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    assert reason_of(tmp_path / "pipe") == "not a regular file"
    assert reason_of(tmp_path) == "not a regular file"
    (tmp_path / "link").symlink_to("/dev/zero")
    assert reason_of(tmp_path / "link") == "a symbolic link"
    with pytest.raises(Absent):
        untrusted.read(tmp_path / "none" / "below")


def test_no_more_is_read_than_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "thing.json"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    assert "larger than" in reason_of(path)
    path.write_text('{"name": "x"}')
    monkeypatch.setenv("SPLITBRAIN_MAX_RECORD_BYTES", "5")
    assert "larger than 5 bytes" in reason_of(path)


@pytest.mark.parametrize("text", ["..", ".", "", "a/b", "/a", "a\x00", "-x", "a\n", "a" * 129, "é"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Word)


@pytest.mark.parametrize("text", ["a", "a/../b", "../b", "a/..", "/a/b", "a/b/c", "a/", "a/b\x00", "a//b"])
def test_what_is_no_place_of_a_run_is_refused(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, RunPath)


def test_what_leads_out_is_not_inside(tmp_path):
    root = tmp_path / "root"
    (root / "kept").mkdir(parents=True)
    (tmp_path / "away" / "run").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path / "away")
    assert untrusted.inside(root, root / "kept") == root / "kept"
    for path in (
        root,
        root / "out",
        root / "out" / "run",
        root / ".." / "away",
        tmp_path / "away",
        root / "kept/../..",
    ):
        with pytest.raises(BadRecord):
            untrusted.inside(root, path)


# -- escapes


@given(ANYTHING)
def test_a_line_for_a_terminal_is_one_printable_line(text):
    shown = escape.terminal(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert not shown.lstrip().startswith("::")
    assert "##[" not in shown
    assert escape.terminal(shown) == shown
    shown.encode()


@given(ANYTHING)
def test_a_python_literal_is_the_text_and_a_docstring_stays_one(text):
    assert ast.literal_eval(escape.python(text)) == text
    (statement,) = ast.parse(f'"""{escape.docstring(text)}\n\nmore\n"""').body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Constant)


@given(ANYTHING)
def test_xml_holds_what_is_left(text):
    element = ElementTree.Element("a", text=escape.xml(text))
    assert ElementTree.fromstring(ElementTree.tostring(element)).tag == "a"


@given(ANYTHING)
def test_a_workflow_command_stays_one_line_and_ends_where_it_ends(text):
    command = f"::error title={escape.github_property(text)}::{escape.github(text)}"
    assert len(command.splitlines()) == 1
    title = command.removeprefix("::error title=").partition("::")[0]
    assert title == escape.github_property(text)
    assert "," not in title


@pytest.mark.parametrize("text", ["a b", "$(touch x)", "it's", "a\nb", "-rf", "\x1b[31m", "é`id`", ""])
def test_a_word_for_a_shell_is_one_word_in_one_line(text):
    quoted = escape.shell(text)
    assert len(quoted.splitlines()) <= 1
    said = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout
    assert said.decode() == text
    assert "\n" in text or "\x1b" in text or shlex.split(quoted) == [text]
