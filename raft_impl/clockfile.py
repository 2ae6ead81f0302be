"""A file by which somebody outside sets a node's clock: {"offset_ms": 0, "rate": 1.0}, replaced by rename.

An absent file means a right clock. The offset is relative to the true time at the moment the node notices the file;
left out, the clock goes on from where it is.
"""

import os
from pathlib import Path

import msgspec

from raft_impl.clock import NodeClock


class _Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offset_ms: float | None = None
    rate: float = 1.0


class ClockFile:
    """Watches the file; cheap enough to be asked at every tick."""

    def __init__(self, path: Path, clock: NodeClock) -> None:
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int] | None = None

    def poll(self, true_now_ns: int) -> str | None:
        """Return what was done (for the log) if the file has changed, else None. A senseless file changes nothing."""
        seen = self._signature()
        if seen == self._seen:
            return None
        self._seen = seen
        if seen is None:
            self._clock.set(true_now_ns, offset_ms=0, rate=1)
            return "right again: the clock file is gone"
        try:
            setting = msgspec.json.decode(self._path.read_bytes(), type=_Setting)
        except (OSError, msgspec.MsgspecError) as error:
            return f"unchanged: {self._path}: {error}"
        self._clock.set(true_now_ns, setting.offset_ms, setting.rate)
        return f"offset_ms {setting.offset_ms}, rate {setting.rate}"

    def _signature(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns
