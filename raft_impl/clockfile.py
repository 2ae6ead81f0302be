"""A file by which somebody outside sets a node's clock: {"offset_ms": 0, "rate": 1.0, "strobe_ms": 0}.

An absent file means a right clock. The setting holds since the file was last written, by the file's own time: whether
the node noticed at once, stood still meanwhile or was started later, it reads the same clock.
"""

import time
from pathlib import Path

import msgspec

from raft_impl.clock import NodeClock
from raft_impl.settingfile import SenselessSettingError, SettingFile


class _Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offset_ms: float = 0.0
    rate: float = 1.0
    strobe_ms: float = 0.0


class ClockFile:
    """Follows the file; cheap enough to be asked at every tick."""

    def __init__(self, path: Path, clock: NodeClock) -> None:
        self._file = SettingFile(path, _Setting)
        self._clock = clock

    def poll(self, true_now_ns: int) -> str | None:
        """Return what was done (for the log) if the file has changed, else None. A senseless file changes nothing."""
        try:
            setting = self._file.poll()
        except SenselessSettingError as error:
            return f"unchanged: {error}"
        if setting is None:
            return None
        self._clock.set(true_now_ns - self._age_ns(), setting.offset_ms, setting.rate, setting.strobe_ms)
        if self._file.written_ns is None:
            return "right again: the clock file is gone"
        return f"offset_ms {setting.offset_ms}, rate {setting.rate}, strobe_ms {setting.strobe_ms}"

    def _age_ns(self) -> int:
        """How long ago the file was written. The node's clock may count another base, so only the age carries over."""
        written_ns = self._file.written_ns
        return 0 if written_ns is None else max(0, time.time_ns() - written_ns)
