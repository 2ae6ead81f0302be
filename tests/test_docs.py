"""Every command in the documents exists as it is written, and those that are quick and need nothing are carried out."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from harness.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUICK_S = 30.0
"""Simulated seconds that take no longer than a test may."""

_BLOCK = re.compile(r"^```(?:sh|console|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:splitbrain|make|python -m) [^`]+)`")
_PLACEHOLDER = re.compile(r"\.\.\.|\b[A-Z][A-Z_]+\b|[\[\]|<>]")


@dataclass(frozen=True)
class Line:
    """A command as a document has it; what a placeholder stands for is not known, so it cannot be carried out."""

    document: Path
    text: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document.name}: {self.text}"

    @property
    def complete(self) -> bool:
        return _PLACEHOLDER.search(" ".join(self.words[1:])) is None


def lines_of(document: Path) -> Iterator[Line]:
    text = document.read_text()
    blocks = [block.replace("\\\n", " ").splitlines() for block in _BLOCK.findall(text)]
    for line in [*(line for block in blocks for line in block), *_INLINE.findall(text)]:
        command = re.sub(r"\s+", " ", line.strip().removeprefix("$ ")).removeprefix(".venv/bin/")
        if command.startswith(("splitbrain ", "make ", "python -m ")):
            words = shlex.split(re.split(r"[;&>]|\|\s", command)[0], comments=True)
            yield Line(document, command, tuple(words))


LINES = list(dict.fromkeys(line for document in DOCUMENTS for line in lines_of(document)))


def named(command: str) -> list[Line]:
    return [line for line in LINES if line.words[0] == command]


def options_of(command: typer.core.TyperCommand) -> set[str]:
    return {"--help", *(option for parameter in command.params for option in parameter.opts)}


COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("line", named("splitbrain"), ids=str)
def test_the_command_and_its_options_exist(line):
    _, name, *rest = line.words
    if name == "--help":
        return
    assert name in COMMANDS
    given = {word.split("=")[0] for word in rest if word.startswith("--")}
    assert given <= options_of(COMMANDS[name])


@pytest.mark.parametrize("line", named("make"), ids=str)
def test_the_target_exists(line):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in line.words[1:] if "=" not in word and word.islower()} <= set(targets)


@pytest.mark.parametrize("line", named("python"), ids=str)
def test_the_module_exists(line):
    assert importlib.util.find_spec(line.words[2].split(".")[0]) is not None


def test_a_node_has_every_option_that_is_named():
    done = subprocess.run([sys.executable, "-m", "raft_impl", "--help"], capture_output=True, text=True, timeout=30)
    lines = [line for line in named("python") if line.words[2] == "raft_impl"]
    assert lines
    for line in lines:
        assert all(word.split("=")[0] in done.stdout for word in line.words if word.startswith("--")), line


def quick(line: Line) -> bool:
    """Whether it can be carried out here: it asks for help, or it is a short simulation, or it checks what one left."""
    words = line.words
    if "--help" in words:
        return True
    if not line.complete or "--env" not in words or words[words.index("--env") + 1] != "sim":
        if words[1] in ("runs", "gate", "show", "compare"):
            return line.complete and len(words) > 2  # what they look at was run before, further up in the document
        return words[1] == "check" and words[-1].startswith("store/") and line.complete
    return "--time-limit" in words and float(words[words.index("--time-limit") + 1]) <= QUICK_S


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_what_is_quick_can_be_done_as_it_is_written(document, tmp_path):
    """In the order of the document and in one directory, as a reader would; a verdict is no failure of the command."""
    for line in named("splitbrain"):
        if line.document == document and quick(line):
            command = [sys.executable, "-m", "harness", *line.words[1:]]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode in (0, 1, 2), f"{line}\n{done.stderr}"
            assert done.stdout


README = ROOT / "README.md"
_NOT_HERE = re.compile(r"make (demo|test|setup)|--env (auto|docker|ssh)|python -m raft_impl")
"""What takes a cluster or minutes, or has been done: the tests run in what `make setup` has made."""


@pytest.mark.slow
def test_the_readme_can_be_followed_as_it_is_written(tmp_path):
    """By a shell that knows of splitbrain what the README has told it, and in one directory."""
    environment = Path(sys.prefix)
    if not (environment / "bin" / "activate").exists():
        pytest.skip(f"{environment} was not made by `make setup`")
    (tmp_path / ".venv").symlink_to(environment)
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SPLITBRAIN_STATE": str(tmp_path / "state")}
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    entering = next(line for line in lines if "activate" in line)
    before, after = lines[: lines.index(entering)], lines[lines.index(entering) + 1 :]
    assert all(line.startswith("make ") for line in before), "nothing of ours is on the path yet"
    todo = [line for line in after if _NOT_HERE.search(line) is None]
    assert len(todo) > 10
    for line in todo:
        done = subprocess.run(
            ["sh", "-c", f"{entering} && {line}"],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in (0, 1, 2), f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.stdout, line


def test_nothing_is_installed_by_the_name_of_splitbrain_alone():
    """On a public index that name is not ours."""
    files = [*DOCUMENTS, ROOT / "action.yml", ROOT / "Makefile"]
    files += [path for name in ("ready", "scripts", ".github", "harness") for path in (ROOT / name).rglob("*")]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file() and path.suffix != ".pyc"}
    named = re.compile(r"\b(?:pip|uv|pipx)\b[^\n]*\binstall\b[^\n]*\bsplitbrain\b(?!/)(?!\[\w+\] @)[^\n]*")
    assert {str(path): named.findall(text) for path, text in texts.items() if named.search(text)} == {}


def test_the_readme_names_every_command():
    """By itself or, where there is a target for it, by that."""
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"splitbrain {name}" not in text and f"make {name}" not in text] == []


def test_there_is_something_to_check():
    assert LINES
