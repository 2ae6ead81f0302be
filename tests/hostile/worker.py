"""A process that runs command lines on files that were tampered with, and reports what it did to the machine.

Lives here: the audit hook, the copy of the store that each case gets, and applying one change to one file. Must not
live here: which cases there are, or what is right.

It reads cases as JSON, a line each, and answers each with a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "shutil.rmtree", "shutil.move", "sqlite3.connect",
}  # fmt: skip
_RUNS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"}


class Watch:
    """Notes what is written, removed or executed while it is on. `allowed` are the directories that may change."""

    def __init__(self) -> None:
        self.on = False
        self.allowed: tuple[str, ...] = ()
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and isinstance(flags, int) and flags & _WRITES:
                self._changed(event, path)
        elif event in _CHANGES:
            for path in arguments[:2] if event in ("os.rename", "os.link", "shutil.move") else arguments[:1]:
                if isinstance(path, str | bytes):
                    self._changed(event, path)
        elif event in _RUNS and not _makes_a_run(event, arguments):
            self.seen.append(f"{event} {arguments[:2]}")

    def _changed(self, event: str, path: str | bytes) -> None:
        whole = os.path.abspath(os.fsdecode(path))
        text = os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))
        if os.fsdecode(path) != os.devnull and not any(f"{text}/".startswith(f"{one}/") for one in self.allowed):
            self.seen.append(f"{event} {os.fsdecode(path)!r}")


def _makes_a_run(event: str, arguments: tuple[object, ...]) -> bool:
    words = arguments[1] if event == "subprocess.Popen" else ()
    return isinstance(words, list) and words[:1] == ["setpriv"] and "harness" in words


WATCH = Watch()
DELETE = "<delete>"


def put(document: object, where: list[str | int], value: object) -> object:
    """The document with that value in that place; or without the place."""
    if not where:
        return value
    first, rest = where[0], where[1:]
    if isinstance(document, dict):
        if not rest and value == DELETE:
            return {name: inner for name, inner in document.items() if name != first}
        return {**document, first: put(document.get(first), rest, value)}
    if isinstance(document, list) and isinstance(first, int):
        return [put(inner, rest, value) if place == first else inner for place, inner in enumerate(document)]
    return document


def tamper(root: Path, case: dict[str, object]) -> None:
    """Change one place of one file: of a JSON document, of a line of one, or of a row in the catalogue."""
    path, where, value = root / str(case["file"]), case["where"], case["value"]
    assert isinstance(where, list)
    if case.get("text") is not None:
        path.write_text(str(case["text"]))
    elif path.suffix == ".sqlite":
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            run, row = connection.execute("SELECT run, row FROM rows ORDER BY run LIMIT 1").fetchone()
            changed = json.dumps(put(json.loads(row), where, value)).encode()
            connection.execute("UPDATE rows SET row = ? WHERE run = ?", [changed, run])
    elif path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        number = int(str(case["line"]))
        lines[number] = json.dumps(put(json.loads(lines[number]), where, value))
        path.write_text("\n".join(lines) + "\n")
    else:
        path.write_text(json.dumps(put(json.loads(path.read_text()), where, value)))


def snapshot(root: Path) -> list[tuple[str, int, bytes]]:
    """Everything below a directory."""
    found = []
    for path in sorted(root.rglob("*")):
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found.append((str(path.relative_to(root)), path.lstat().st_mode, content))
    return found


def run_case(template: Path, root: Path, case: dict[str, object]) -> dict[str, object]:
    """Run the case's command lines on a fresh copy of everything."""
    from harness.cli import call

    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, symlinks=True)
    for name in ("cwd", "tmp", "state/ledger"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if not str(case["file"]).startswith("state"):
        shutil.rmtree(root / "state" / "ledger")
    os.environ["TMPDIR"] = tempfile.tempdir = str(root / "tmp")
    os.environ["SPLITBRAIN_STATE"] = str(root / "state")
    os.chdir(root / "cwd")
    tamper(root, case)
    before = snapshot(root / "outside")
    WATCH.allowed = tuple(str((root / name).resolve()) for name in ("store", "cwd", "tmp", "state"))
    ends = []
    commands = case["commands"]
    assert isinstance(commands, list)
    for words in commands:
        WATCH.seen = []
        with captured(root / "tmp") as output:
            WATCH.on = True
            try:
                code = call([str(word).replace("ROOT", str(root)) for word in words])
            finally:
                WATCH.on = False
        out, err = output
        ends.append({"words": words, "code": code, "out": out, "err": err, "seen": WATCH.seen})
    return {"ends": ends, "outside": snapshot(root / "outside") == before}


@contextlib.contextmanager
def captured(directory: Path):
    """What is written to stdout and to stderr meanwhile, also by others than Python."""
    texts = ["", ""]
    files = [(directory / name).open("w+b") for name in ("out", "err")]
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    for number, file in enumerate(files, 1):
        os.dup2(file.fileno(), number)
    try:
        yield texts
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, (file, before) in enumerate(zip(files, kept, strict=True), 1):
            os.dup2(before, number)
            os.close(before)
            file.seek(0)
            texts[number - 1] = file.read().decode(errors="replace")
            file.close()


def main() -> None:
    from harness.environments import engine
    from harness.environments.ssh_connection import SshConnection
    from harness.errors import EnvironmentFailure

    async def unreachable(self: object) -> None:
        raise EnvironmentFailure("it cannot be reached")

    # Nothing here may reach another machine, or an engine that happens to answer.
    engine.unavailable = lambda: "there is no engine here"
    SshConnection.connect = unreachable  # type: ignore[method-assign]
    template, root = (Path(word).resolve() for word in sys.argv[1:3])
    answers = os.fdopen(os.dup(1), "w")
    sys.addaudithook(WATCH)
    for line in sys.stdin:
        answers.write(json.dumps(run_case(template, root, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
