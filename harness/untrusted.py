"""Records that are read back: of runs, campaigns, artefacts, ledgers and catalogues, as anybody may have left them.

Lives here: how such a file is opened, how much of it is read, how it becomes a value, and which names and paths may be
taken from it. Must not live here: what a record means.

A store is copied, downloaded from CI, unpacked from somebody's bug report. So a record may say anything, and is given
no more trust than a request from the network: it is a regular file of bounded size and nesting, it is decoded into a
declared type whose fields bound their values, and where something is on disk follows from the directory that was
scanned, never from what a file says.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from harness.errors import UsageError
from harness.escape import short

T = TypeVar("T")

MOST_BYTES = 64 << 20
"""Of one record. A row is about 1 kB, the results of a long run about 1 MB."""

MOST_NESTED = 100
"""Lists and objects in each other. No record of ours has more than ten."""

_VARIABLE = "SPLITBRAIN_MAX_RECORD_BYTES"

WORD: Final = r"\A[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}\Z"
Word = Annotated[str, msgspec.Meta(pattern=WORD)]
"""A name that is safe in a path, in a label and on a command line: of a node, an environment, a mutant."""

PART: Final = r"(?!\.{1,2}(?:/|\Z))[^/\x00]{1,255}"
RunPath = Annotated[str, msgspec.Meta(pattern=rf"\A{PART}/{PART}\Z")]
"""A run's directory relative to its store, such as `night-1/003-17`."""

LARGEST = (1 << 63) - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Integer = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
"""What the catalogue, and every other reader of JSON, can hold."""

Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
"""Seconds since the epoch, up to the year 5138."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class BadRecord(UsageError):  # noqa: N818 - as its base class
    """A file that is there and is not what it should be. `reason` leaves out which file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{short(str(path), 500)}: {reason}")
        self.reason = reason


class NotOfThatShape(BadRecord):
    """It is JSON, but not what it should be: perhaps another version's."""


class Absent(BadRecord):
    """There is no such file."""


def read(path: Path, *, most: int | None = None, follow: bool = False) -> bytes:
    """The content of a regular file. Raises `Absent`, or `BadRecord` if it is another kind of thing or too large.

    A symbolic link is no record, since no run makes one; `follow` is for a path that the user has named.
    """
    limit = _limit() if most is None else most
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise Absent(path, "No such file or directory") from None
    except OSError as error:
        raise BadRecord(path, _is_link(path) or f"cannot be read: {error.strerror}") from None
    except ValueError as error:  # a NUL in the name
        raise BadRecord(path, str(error)) from None
    try:
        content = _content(descriptor, limit + 1)
    except OSError as error:
        raise BadRecord(path, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if content is None:
        raise BadRecord(path, "not a regular file")
    if len(content) > limit:
        raise BadRecord(path, f"larger than {limit} bytes, the most that is read of such a file; see {_VARIABLE}")
    return content


def require_file(path: Path, *, follow: bool = False) -> None:
    """Raises `Absent`, or `BadRecord` if it is not a regular file: for what is then read by someone else."""
    try:
        mode = path.stat(follow_symlinks=follow).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise Absent(path, "No such file or directory") from None
    except (OSError, ValueError) as error:
        raise BadRecord(path, f"cannot be read: {error}") from None
    if not stat.S_ISREG(mode):
        raise BadRecord(path, _is_link(path) or "not a regular file")


def decode(path: Path, content: bytes, kind: type[T]) -> T:
    """The JSON text as a value of that type. Raises `BadRecord`; `path` is for the message."""
    return decode_with(path, content, msgspec.json.Decoder(kind))


def decode_with(path: Path, content: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The same by a decoder: also of one of several types."""
    if not content.strip():
        raise BadRecord(path, "empty, its content was truncated")
    if _nesting(content) > MOST_NESTED:
        raise BadRecord(path, f"nested more than {MOST_NESTED} deep")
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise NotOfThatShape(path, short(str(error))) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(path, short(str(error))) from None


def load(path: Path, kind: type[T]) -> T:
    """The JSON file as a value of that type. Raises `BadRecord`, of which `Absent` is one kind."""
    return decode(path, read(path), kind)


def inside(root: Path, path: Path) -> Path:
    """The path, which lies below `root` when all links are followed. Raises `BadRecord` if it does not.

    Also if it is a link itself: to delete or to write there would be to do so elsewhere.
    """
    if path.is_symlink():
        raise BadRecord(path, "a symbolic link, and nothing is changed through one")
    real, home = path.resolve(), root.resolve()
    if real == home or not real.is_relative_to(home):
        raise BadRecord(path, f"not inside of {short(str(root), 500)}")
    return path


def is_text(name: str) -> bool:
    """Whether the name of a file is text, and not bytes that no encoding explains."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _content(descriptor: int, most: int) -> bytes | None:
    """At most so many bytes of a regular file; None if it is another kind of thing."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(most)


def _is_link(path: Path) -> str | None:
    return "a symbolic link" if path.is_symlink() else None


def _limit() -> int:
    given = os.environ.get(_VARIABLE)
    if given is None:
        return MOST_BYTES
    if not re.fullmatch(r"[1-9][0-9]{0,14}", given):
        raise UsageError(f"{_VARIABLE}={short(given)}: give a number of bytes, such as {MOST_BYTES}")
    return int(given)


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _nesting(content: bytes) -> int:
    """How deep the brackets outside of strings are nested; it stops counting beyond the limit."""
    if content.count(b"[") + content.count(b"{") <= MOST_NESTED:
        return 0
    depth = deepest = 0
    for byte in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MOST_NESTED:
            break
    return deepest
