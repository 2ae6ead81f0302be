"""The ledger: what a run has made and broken and must put right again, written down before it is done.

Lives here: the files, and what a reader learns from them. Must not live here: putting anything right (`harness.heal`).

    STATE/ledger/NAME.jsonl     the run, then an entry for each fault, then a line for each that was struck

A line is on the disk before the fault is in force. The file is locked as long as its writer lives, however it dies: so
whoever can take the lock may put things right, and nobody else may. STATE is $SPLITBRAIN_STATE, else
$XDG_STATE_HOME/splitbrain, else ~/.local/state/splitbrain.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from harness import untrusted
from harness.errors import EnvironmentFailure, UsageError
from harness.untrusted import BadRecord, Count, Word

Text = Annotated[str, msgspec.Meta(max_length=10_000)]

_NOT_PRIVATE = "others can write it, so it says nothing that may be acted upon: remove it"


class Run(msgspec.Struct, frozen=True, tag="run", tag_field="line"):
    """Whose ledger it is. `machines` is what the environment needs to find its things again, as JSON."""

    environment: Word
    directory: Text
    machines: Mapping[str, object]


class Entry(msgspec.Struct, frozen=True, tag="entry", tag_field="line"):
    """A fault that is, or may be, in force. `resolved` is its undo: what `Fault.undo` needs."""

    number: Count
    fault: Text
    told: Text
    resolved: Mapping[str, object]


class Strike(msgspec.Struct, frozen=True, tag="strike", tag_field="line"):
    """That fault is gone."""

    number: Count


Line = Run | Entry | Strike
_decoder = msgspec.json.Decoder(Line)


def state_directory() -> Path:
    """Return where what outlives runs is kept. Raises `UsageError` for somebody who has no home."""
    if given := os.environ.get("SPLITBRAIN_STATE"):
        return Path(given).absolute()
    try:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise UsageError(f"no ledger can be kept ({str(error).rstrip('.').lower()}): {_REMEDY}") from error
    return Path(home).absolute() / "splitbrain"


def unavailable() -> str | None:
    """Return why no ledger can be kept, in one line; None if one can. Tries it, and leaves nothing."""
    try:
        directory = state_directory() / "ledger"
    except UsageError as error:
        return str(error)
    made: list[Path] = []
    try:
        for path in [*reversed(directory.parents), directory]:
            if not path.exists():
                path.mkdir()
                made.append(path)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return _reason(directory, error)
    finally:
        for path in reversed(made):
            with suppress(OSError):  # somebody else keeps a ledger there meanwhile
                path.rmdir()
    return None


def _reason(directory: Path, error: OSError) -> str:
    return f"no ledger can be kept in {directory} ({error.strerror}): {_REMEDY}"


_REMEDY = "set SPLITBRAIN_STATE to a directory that can be written"


class FileLedger:
    """The ledger of one run. Raises `UsageError` if none can be kept there: without it no fault may be applied."""

    def __init__(self, run: Run) -> None:
        directory = state_directory() / "ledger"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor, self.path = _locked_file(directory, f"{run.environment}-")
            self._write(run)
            _sync_directory(directory)
        except OSError as error:
            raise UsageError(_reason(directory, error)) from error
        self._next = 1

    def enter(self, fault: str, resolved: Mapping[str, object], told: str) -> int:
        """See `nemesis.life.Ledger`. Raises `EnvironmentFailure` if it cannot be written."""
        number, self._next = self._next, self._next + 1
        try:
            self._write(Entry(number, fault, told, resolved))
        except OSError as error:
            raise EnvironmentFailure(f"the ledger {self.path} cannot be written: {error.strerror}") from error
        return number

    def strike(self, number: int) -> None:
        """See `nemesis.life.Ledger`. Where it cannot be written the entry stays; undoing it again harms nobody."""
        with suppress(OSError):
            self._write(Strike(number))

    def close(self, clean: bool) -> None:
        """Give it up; without anything left to put right, remove it. Nothing is written to it afterwards."""
        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):  # then it is found by whoever heals, who has nothing to do
            if clean:
                self.path.unlink(missing_ok=True)
        os.close(descriptor)

    def _write(self, line: Line) -> None:
        """Append it, durably. What was written of a line that does not fit is taken back: nothing behind it is read."""
        text = msgspec.json.encode(line) + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
                os.lseek(self._descriptor, size, os.SEEK_SET)
            raise


def _locked_file(directory: Path, prefix: str) -> tuple[int, Path]:
    """A new file that nobody else can put right."""
    while True:
        descriptor, path = tempfile.mkstemp(prefix=prefix, suffix=".jsonl", dir=directory)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor, Path(path)
        os.close(descriptor)  # before it was locked somebody who heals took it for abandoned, and removes it


def _sync_directory(directory: Path) -> None:
    """Make the names in it durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class NoLedger:
    """For what vanishes with the process that made it."""

    def __init__(self) -> None:
        self._next = 0

    def enter(self, fault: str, resolved: Mapping[str, object], told: str) -> int:
        """See `nemesis.life.Ledger`."""
        self._next += 1
        return self._next

    def strike(self, number: int) -> None:
        """See `nemesis.life.Ledger`."""

    def close(self, clean: bool) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A ledger whose run is gone: what it had made, and the faults that were in force."""

    path: Path
    run: Run
    open: tuple[Entry, ...]

    def remove(self) -> None:
        """All that it held has been put right. Raises `EnvironmentFailure`."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentFailure(f"{self.path} cannot be removed: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A ledger, or a directory of them, that says nothing to us; its runs may be gone, or live."""

    path: Path
    reason: str

    @classmethod
    def because(cls, path: Path, error: OSError) -> Unreadable:
        """Most often it is another user's."""
        return cls(path, f"it cannot be read ({error.strerror}); whose it is can run `splitbrain heal`")


@contextmanager
def abandoned() -> Iterator[list[Abandoned | Unreadable]]:
    """The ledgers of runs that are gone, which nobody else can put right meanwhile; and what cannot be read."""
    descriptors: list[int] = []
    found: list[Abandoned | Unreadable] = []
    try:
        paths, found = _ledgers()
        for path in paths:
            try:
                descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
                fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
                reason = _foreign(descriptors[-1])
                found += [Unreadable(path, reason)] if reason is not None else _read(path)
            except BadRecord as error:
                found.append(Unreadable(path, error.reason))
            except (FileNotFoundError, BlockingIOError):  # its run has just ended, or lives
                continue
            except OSError as error:
                found.append(Unreadable.because(path, error))
        yield found
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def left_in(directory: Path) -> list[str]:
    """Return the runs in that directory that are gone and have not been taken down."""
    with abandoned() as ledgers:
        runs = [ledger.run.directory for ledger in ledgers if isinstance(ledger, Abandoned)]
    return [run for run in runs if Path(run).is_relative_to(directory)]


def _ledgers() -> tuple[list[Path], list[Abandoned | Unreadable]]:
    """The files, and the directory if it cannot be read. Who has no home has no ledgers."""
    try:
        directory = state_directory() / "ledger"
    except UsageError:
        return [], []
    try:
        return sorted(directory.glob("*.jsonl")) if directory.is_dir() else [], []
    except OSError as error:
        return [], [Unreadable.because(directory, error)]


def _foreign(descriptor: int) -> str | None:
    """Why the file is not one that a run of ours has written; None if it may be."""
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        return "not a regular file"
    if told.st_uid != os.geteuid():
        return "it is another user's; whose it is can run `splitbrain heal`"
    return _NOT_PRIVATE if told.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None


def _read(path: Path) -> list[Abandoned | Unreadable]:
    """The ledger; nothing if it was never begun, since then nothing was done. Raises `BadRecord`."""
    content = untrusted.read(path)
    if b"\n" not in content:
        path.unlink(missing_ok=True)
        return []
    lines: list[Line] = []
    for text in content.splitlines():
        try:
            lines.append(untrusted.decode_with(path, text, _decoder))
        except BadRecord:  # the last line of a writer that was killed: what it announces was not done
            break
    if not lines or not isinstance(lines[0], Run):
        return [Unreadable(path, "another version of splitbrain wrote it: use the one that made it")]
    struck = {line.number for line in lines if isinstance(line, Strike)}
    entries = tuple(line for line in lines if isinstance(line, Entry) and line.number not in struck)
    return [Abandoned(path, lines[0], entries)]
