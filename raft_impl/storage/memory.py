"""A directory in memory that fails the way disks do.

Written data survives a killed process. A loss of power keeps what was synced, drops file names that were not synced,
and keeps of the unsynced rest a prefix that may end in the middle of a write, possibly with a garbled last sector.
All randomness is handed in, so that a simulation can be repeated.
"""

import errno
import random
from collections.abc import Callable

SECTOR_BYTES = 512


class _Content:
    __slots__ = ("data", "name_durable", "synced")

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0
        self.name_durable = False


class _MemoryFile:
    def __init__(self, files: "MemoryFiles", content: _Content) -> None:
        self._files = files
        self._content = content

    def append(self, data: bytes) -> None:
        self._files.admit(len(data))
        self._content.data += data

    def sync_target(self) -> Callable[[], None]:
        content, size = self._content, len(self._content.data)

        def sync() -> None:
            self._files.check_sync()
            content.synced = max(content.synced, min(size, len(content.data)))

        return sync

    def close(self) -> None:
        """Nothing to release."""


class MemoryFiles:
    """A faulty directory. Set `sync_error` to make every sync fail, `capacity_bytes` to make the disk full."""

    def __init__(self) -> None:
        self.sync_error: OSError | None = None
        self.capacity_bytes: int | None = None
        self._contents: dict[str, _Content] = {}

    # Files

    def names(self) -> list[str]:
        return sorted(self._contents)

    def read(self, name: str) -> bytes:
        return bytes(self._contents[name].data)

    def create(self, name: str) -> _MemoryFile:
        if name in self._contents:
            raise FileExistsError(errno.EEXIST, "file exists", name)
        self._contents[name] = _Content()
        return self.open(name)

    def open(self, name: str) -> _MemoryFile:
        return _MemoryFile(self, self._contents[name])

    def truncate(self, name: str, size: int) -> None:
        content = self._contents[name]
        del content.data[size:]
        content.synced = len(content.data)

    def sync_directory(self) -> None:
        self.check_sync()
        for content in self._contents.values():
            content.name_durable = True

    # Faults

    def admit(self, size: int) -> None:
        """Raise ENOSPC if `size` more bytes do not fit."""
        used = sum(len(content.data) for content in self._contents.values()) if self.capacity_bytes is not None else 0
        if self.capacity_bytes is not None and used + size > self.capacity_bytes:
            raise OSError(errno.ENOSPC, "no space left on device")

    def check_sync(self) -> None:
        """Raise the error that syncs are set to fail with."""
        if self.sync_error is not None:
            raise self.sync_error

    def power_loss(self, rng: random.Random, tear: bool = True) -> int:
        """Lose what was not synced; return the number of bytes lost. Without `tear`, all of it goes."""
        lost = 0
        for name in sorted(self._contents):
            content = self._contents[name]
            before = len(content.data)
            if not content.name_durable and not (tear and rng.random() < 0.5):
                del self._contents[name]
                lost += before
                continue
            self._lose_tail(content, rng, tear)
            lost += before - len(content.data)
        return lost

    def _lose_tail(self, content: _Content, rng: random.Random, tear: bool) -> None:
        unsynced = len(content.data) - content.synced
        kept = rng.randint(0, unsynced) if tear else 0
        del content.data[content.synced + kept :]
        if kept and rng.random() < 0.25:
            garbled = rng.randint(1, min(kept, SECTOR_BYTES))
            content.data[-garbled:] = rng.randbytes(garbled)
        content.synced = len(content.data)
        content.name_durable = True

    def flip_bit(self, name: str, bit: int) -> None:
        """Corrupt a stored byte, as a failing medium does."""
        self._contents[name].data[bit // 8] ^= 1 << (bit % 8)
