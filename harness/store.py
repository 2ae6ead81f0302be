"""The store: a directory for each run, complete enough to be checked and read again by anybody.

    STORE/<name>/<time>/    test.json, history.jsonl, results.json, report.txt, <node>/node.log, <node>/trace.jsonl;
                            artefact.json if it failed
    STORE/current           the run that was started last, also while it runs
    STORE/latest            the run that ended last; STORE/<name>/latest, of that name

Lives here: paths, and writing whole files at once. Must not live here: what is in them. The layout is Jepsen's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import msgspec

from harness.errors import EnvironmentFailure, UsageError

HISTORY = "history.jsonl"
DEFINITION = "test.json"
RESULTS = "results.json"
ARTEFACT = "artefact.json"
REPORT = "report.txt"
"""What the files of a run are called."""

LINKS = frozenset({"latest", "current"})
"""Names of links to runs; where a store was copied they may be directories."""
_BEFORE_A_RUN = frozenset({"job.json", "output.txt"})
"""What a campaign puts into a run's directory before the run begins."""

Say = Callable[[str], None]


def is_link_name(name: str) -> bool:
    """Return whether a link has that name, or what once was in a link's place: in a store that was copied, a run."""
    return name.partition(".")[0] in LINKS


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where one run is kept."""

    store: Path
    path: Path

    @property
    def history(self) -> Path:
        return self.path / HISTORY

    @property
    def definition(self) -> Path:
        return self.path / DEFINITION

    @property
    def results(self) -> Path:
        return self.path / RESULTS

    @property
    def artefact(self) -> Path:
        """Of a run that failed: `harness.artefact`."""
        return self.path / ARTEFACT

    @property
    def report(self) -> Path:
        return self.path / REPORT

    def finish(self, say: Say = lambda notice: None) -> None:
        """Let the `latest` links point here, as far as that can be done; `say` is told what cannot."""
        _link(self.store / "latest", self.path, say)
        if self.store in self.path.parent.parents:
            _link(self.path.parent / "latest", self.path, say)


def save(path: Path, content: object) -> None:
    """Write a JSON file such that it is there whole or not at all, also after SIGKILL.

    Raises `EnvironmentFailure` if the disk will not take it.
    """
    text = msgspec.json.format(msgspec.json.encode(content), indent=2)
    try:
        replace_file(path, text + b"\n")
    except OSError as error:
        raise EnvironmentFailure(f"{path} cannot be written: {error.strerror}; what was kept stays") from error


def replace_file(path: Path, content: bytes) -> None:
    """Put a file there, whole, in the place of whatever has that name; of a link, not of what it leads to."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:
        file.write(content)
    temporary.replace(path)


def create(store: Path, name: str, now: datetime | None = None, say: Say = lambda notice: None) -> RunDirectory:
    """A new, empty run directory. Raises `UsageError` if the store cannot be written."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    if (store / name).is_symlink():
        raise UsageError(f"{store / name}: a symbolic link, and nothing is written through one; remove it")
    try:
        path = _make_unique(store.resolve() / name, stamp)
    except OSError as error:
        raise UsageError(f"--store {store}: {error.strerror}; name a directory that can be written") from error
    _link(store.resolve() / "current", path, say)
    return RunDirectory(store.resolve(), path)


def take(store: Path, path: Path) -> RunDirectory:
    """The run directory that somebody has chosen. Raises `UsageError` if anything is kept there, or nothing can be."""
    directory = RunDirectory(store.resolve(), path.resolve())
    if directory.definition.exists():
        raise UsageError(f"--directory {path}: a run is kept there already; name a directory that is empty or absent")
    try:
        directory.path.mkdir(parents=True, exist_ok=True)
        names = sorted({entry.name for entry in os.scandir(directory.path)} - _BEFORE_A_RUN)
        writable = os.access(directory.path, os.W_OK | os.X_OK)
    except OSError as error:
        raise UsageError(f"--directory {path}: {error.strerror}; name a directory that can be written") from error
    if names:
        raise UsageError(f"--directory {path}: it holds {names[0]}; name a directory that is empty or absent")
    if not writable:
        raise UsageError(f"--directory {path}: Permission denied; name a directory that can be written")
    return directory


def _make_unique(parent: Path, stamp: str) -> Path:
    """A directory that did not exist before: two runs may begin in one millisecond."""
    parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        try:
            (parent / (stamp + suffix)).mkdir()
        except FileExistsError:
            continue
        return parent / (stamp + suffix)
    raise FileExistsError(17, "a thousand runs began in one millisecond", str(parent))


def _link(link: Path, target: Path, say: Say) -> None:
    """Point a symbolic link at a run; by rename, so that a reader always finds one or the other.

    A link is a convenience, so no run fails over it. What is in its place and is no link, as in a store that was copied
    or came out of an archive, may be the only copy of a run: it is set aside.
    """
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(link) and not link.is_symlink():
            say(f"{link} was not a link: kept as {_set_aside(link)}")
        temporary.symlink_to(os.path.relpath(target, link.parent))
        temporary.replace(link)
    except OSError as error:
        say(f"{link} does not point to {target}: {error.strerror}")
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _set_aside(path: Path) -> Path:
    """Give it a name that nothing has, and return that."""
    names = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return path.rename(next(name for name in names if not os.path.lexists(name)))
