"""A directory on a disk that fails as it is told to: slow or failing syncs, no space, writes that a power loss takes.

Theory. The layer stands between the write-ahead log and any `Files`. While the disk is volatile, appended data is held
here, in the memory of the process, and goes down only at its sync; a new file's name goes down only at
`sync_directory`, and with it what was synced of the file. So SIGKILL takes exactly what a loss of power would take, on
any machine. A disk may write early: once it is not volatile any more, when a file is closed, and before anything is
read, all that is held goes down.

Appends and syncs come from two threads. The lock is held while data moves, never while a sync is waited for.
"""

import errno
from collections.abc import Callable
from threading import RLock

import msgspec

from raft_impl.storage.files import File, Files


class DiskSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with a disk; without arguments, nothing."""

    sync_delay_ms: float = 0.0
    """Each sync takes that much longer."""
    sync_error: bool = False
    """Each sync fails, and makes nothing durable."""
    full: bool = False
    """Each append fails, and writes nothing."""
    volatile: bool = False
    """What is not synced dies with the process."""


class DiskSeen(msgspec.Struct):
    """What was done to a node's writes, in all its lives: the evidence that a fault bit."""

    delayed: int = 0
    """Syncs that were made to wait."""
    failed: int = 0
    """Syncs that failed."""
    refused: int = 0
    """Appends that failed."""
    held: int = 0
    """Appends that were held back until their sync."""
    held_bytes: int = 0
    """What is held back now. After a SIGKILL: what went with the process, at the least."""
    lost_bytes: int = 0
    """What was held back when an earlier life ended."""
    problem: str | None = None
    """Why the setting in force is not the one that was asked for."""


class DiskFaults:
    """What is wrong now and what was done about it, for all files of one disk in one life of a node.

    `current()` gives the setting, and is asked at every use. `report()` is called after every change of `seen` and
    before the use that caused it ends. `wait(delay_ms)` waits as long as `delay_ms()` says, which may change meanwhile.
    """

    def __init__(
        self,
        current: Callable[[], DiskSetting],
        wait: Callable[[Callable[[], float]], None],
        seen: DiskSeen,
        report: Callable[[], None],
    ) -> None:
        self.lock = RLock()
        self.current = current
        self._wait = wait
        self._seen = seen
        self._report = report
        if seen.held_bytes:
            seen.lost_bytes, seen.held_bytes = seen.lost_bytes + seen.held_bytes, 0
            report()

    def refuse(self) -> None:
        """Take note of an append for which there is no space."""
        self._seen.refused += 1
        self._report()

    def check_sync(self) -> None:
        """Wait if the disk is slow; then raise EIO if syncs fail."""
        with self.lock:
            if self.current().sync_delay_ms > 0:
                self._seen.delayed += 1
                self._report()
        self._wait(self._delay_ms)
        with self.lock:
            if self.current().sync_error:
                self._seen.failed += 1
                self._report()
                raise OSError(errno.EIO, "input/output error (injected)")

    def hold(self, size: int) -> None:
        """Take note of an append that is held back."""
        self._seen.held += 1
        self._seen.held_bytes += size
        self._report()

    def release(self, size: int) -> None:
        """Take note that so much of what was held is about to go down."""
        self._seen.held_bytes -= size
        self._report()

    def _delay_ms(self) -> float:
        with self.lock:
            return self.current().sync_delay_ms


class _FaultyFile:
    """A file of which only a first part may be there yet: below (`_file`), then synced but nameless, then unsynced."""

    def __init__(self, faults: DiskFaults, name: str, file: File | None, create: Callable[[], File]) -> None:
        self.name = name
        self.closed = False
        self._faults = faults
        self._file = file
        self._create = create
        self._nameless = bytearray()
        self._unsynced = bytearray()
        self._appended = 0

    @property
    def has_name(self) -> bool:
        return self._file is not None

    def append(self, data: bytes) -> None:
        with self._faults.lock:
            setting = self._faults.current()
            if setting.full:
                self._faults.refuse()
                raise OSError(errno.ENOSPC, "no space left on device (injected)")
            if setting.volatile:
                self._faults.hold(len(data))
                self._unsynced += data
            else:
                self._put(self.write_down(), data)
            self._appended += len(data)

    def sync_target(self) -> Callable[[], None]:
        with self._faults.lock:
            size = self._appended
            target = self._file.sync_target() if self._file is not None and not self._unsynced else None

        def sync() -> None:
            self._faults.check_sync()
            with self._faults.lock:
                run = target if target is not None else self._pass_down(size)
            run()

        return sync

    def _pass_down(self, size: int) -> Callable[[], None]:
        """Let go what was appended up to `size`; return what makes it durable."""
        held = len(self._unsynced)
        passed = max(0, held - (self._appended - size))
        data = bytes(self._unsynced[:passed])
        del self._unsynced[:passed]
        if self._file is None:
            self._nameless += data
            return _nothing
        if data:
            self._faults.release(passed)
            self._put(self._file, data)
        return self._file.sync_target()

    def appear(self) -> Callable[[], None]:
        """Get a name, with all that was synced; return what makes that durable."""
        if self._file is not None:
            return _nothing
        self._file = self._create()
        if self._nameless:
            self._faults.release(len(self._nameless))
            self._put(self._file, bytes(self._nameless))
            self._nameless.clear()
        return self._file.sync_target()

    def _put(self, file: File, data: bytes) -> None:
        """Append it to the file below, on a disk that may be full in truth."""
        try:
            file.append(data)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._faults.refuse()
            raise

    def write_down(self) -> File:
        """Let go all that is held; return the file below."""
        if self._file is None:
            self.appear()
        assert self._file is not None
        if self._unsynced:
            self._pass_down(self._appended)
        return self._file

    def close(self) -> None:
        with self._faults.lock:
            self.write_down().close()
            self.closed = True


def _nothing() -> None:
    """What is left to sync of a file that nobody will find."""


class FaultyFiles:
    """Any `Files`, on a disk that may be faulty."""

    def __init__(self, files: Files, faults: DiskFaults) -> None:
        self._files = files
        self._faults = faults
        self._open: list[_FaultyFile] = []

    def names(self) -> list[str]:
        self._write_down()
        return self._files.names()

    def read(self, name: str) -> bytes:
        self._write_down()
        return self._files.read(name)

    def create(self, name: str) -> File:
        with self._faults.lock:
            if not self._faults.current().volatile:
                self._write_down()
                return self._opened(name, self._files.create(name))
            if name in [*self._files.names(), *(file.name for file in self._open if not file.has_name)]:
                raise FileExistsError(errno.EEXIST, "file exists", name)
            return self._opened(name, None)

    def open(self, name: str) -> File:
        with self._faults.lock:
            self._write_down()
            return self._opened(name, self._files.open(name))

    def truncate(self, name: str, size: int) -> None:
        self._write_down()
        self._files.truncate(name, size)

    def sync_directory(self) -> None:
        self._faults.check_sync()
        with self._faults.lock:
            targets = [file.appear() for file in self._open if not file.closed]
        for target in targets:
            target()
        self._files.sync_directory()

    def _opened(self, name: str, file: File | None) -> _FaultyFile:
        opened = _FaultyFile(self._faults, name, file, lambda: self._files.create(name))
        self._open = [*(file for file in self._open if not file.closed), opened]
        return opened

    def _write_down(self) -> None:
        with self._faults.lock:
            for file in self._open:
                if not file.closed:
                    file.write_down()
