"""A file by which somebody outside makes a node's disk faulty, and a file beside it that says what came of it.

The setting is a `DiskSetting`: {"sync_delay_ms": 0, "sync_error": false, "full": false, "volatile": false}. An absent
file, or {}, is a sound disk. FILE.seen holds a `DiskSeen`: it is replaced whenever a counter changes and before the
write that changed it ends or fails, so that it can be read after the node has died of the fault; the next life of the
node goes on counting from there.
"""

import os
import select
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from raft_impl.settingfile import SenselessSettingError, SettingFile
from raft_impl.storage.faulty import DiskFaults, DiskSeen, DiskSetting, FaultyFiles
from raft_impl.storage.files import Files

_LOOK_MS = 20.0


def faulty_files(files: Files, path: Path) -> FaultyFiles:
    """Return `files` on the disk that the file at `path` describes. Raises OSError if FILE.seen cannot be written."""
    follower = _Follower(path)
    return FaultyFiles(files, DiskFaults(follower.current, _wait, follower.seen, follower.report))


class _Follower:
    def __init__(self, path: Path) -> None:
        self._file = SettingFile(path, DiskSetting)
        self._path = Path(f"{path}.seen")
        self._setting = DiskSetting()
        self.seen = _seen(self._path)
        self.report()

    def current(self) -> DiskSetting:
        """Return the setting in force. A senseless file changes nothing, and that is reported."""
        try:
            changed = self._file.poll()
        except SenselessSettingError as error:
            self._note_problem(str(error))
            return self._setting
        if changed is not None:
            self._setting = changed
            self._note_problem(None)
        return self._setting

    def _note_problem(self, problem: str | None) -> None:
        if problem != self.seen.problem:
            self.seen.problem = problem
            self.report()

    def report(self) -> None:
        beside = Path(f"{self._path}.new")
        beside.write_bytes(msgspec.json.encode(self.seen))
        os.replace(beside, self._path)


def _seen(path: Path) -> DiskSeen:
    try:
        return msgspec.json.decode(path.read_bytes(), type=DiskSeen)
    except (FileNotFoundError, msgspec.MsgspecError):
        return DiskSeen()


def _wait(delay_ms: Callable[[], float]) -> None:
    """Wait that long after now, but no longer once the delay is lifted.

    By `select`: of all the ways to wait, it is the one that works in every thread under libfaketime.
    """
    begin_ns = time.monotonic_ns()
    while (left_ms := delay_ms() - (time.monotonic_ns() - begin_ns) / 1e6) > 0:
        select.select((), (), (), min(left_ms, _LOOK_MS) / 1000)
