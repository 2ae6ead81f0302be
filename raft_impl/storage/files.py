"""One directory of append-only files, and nothing more: all that the write-ahead log asks of an operating system.

`DirectoryFiles` is the real thing. `MemoryFiles` (in `memory`) is a disk that loses what was not synced, for the
simulator and the tests. Whatever is written survives the death of the process; only what was synced survives the loss
of power.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class File(Protocol):
    """A file open for appending."""

    def append(self, data: bytes) -> None:
        """Write all of `data` at the end. Raises OSError; what was written then is unknown."""

    def sync_target(self) -> Callable[[], None]:
        """Return a function that makes all that was appended until now durable; it may be called in another thread.

        The function raises OSError when the disk fails. Then nothing may be assumed about what is durable, and trying
        again proves nothing: the kernel may have dropped the dirty pages.
        """

    def close(self) -> None:
        """Release the file without syncing it."""


class Files(Protocol):
    """A flat directory. Names of new files become durable with `sync_directory` only."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""

    def read(self, name: str) -> bytes:
        """Return a file's whole content."""

    def create(self, name: str) -> File:
        """Return a new, empty file; raises FileExistsError."""

    def open(self, name: str) -> File:
        """Return an existing file, open for appending."""

    def truncate(self, name: str, size: int) -> None:
        """Cut a file down to `size` bytes, durably."""

    def sync_directory(self) -> None:
        """Make the names of files created until now durable."""


class _RealFile:
    def __init__(self, path: Path, flags: int) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o644)

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync_target(self) -> Callable[[], None]:
        return lambda: os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class DirectoryFiles:
    """A real directory, held under a lock so that no two processes write to it.

    Raises OSError when the directory cannot be made, read or locked (BlockingIOError: another process holds it).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self._path.iterdir())

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def create(self, name: str) -> File:
        return _RealFile(self._path / name, os.O_CREAT | os.O_EXCL)

    def open(self, name: str) -> File:
        return _RealFile(self._path / name, 0)

    def truncate(self, name: str, size: int) -> None:
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_directory(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._descriptor)
