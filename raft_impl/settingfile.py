"""A file by which somebody outside sets something of a node while it runs: JSON, replaced by rename.

Nothing is watched by a timer: whoever follows a setting asks when it is used, which costs one `stat`.
"""

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

_T = TypeVar("_T")


class SenselessSettingError(Exception):
    """The file holds no setting; the sentence says which file, and what is wrong with it."""


class SettingFile(Generic[_T]):
    """Follows one file. `kind` is its type, a struct whose fields all have defaults: those are also the absent file."""

    def __init__(self, path: Path, kind: type[_T]) -> None:
        self.path = path
        self.written_ns: int | None = None
        """When the file was last written, by CLOCK_REALTIME; None while there is none."""
        self._decoder = msgspec.json.Decoder(kind)
        self._default = kind()
        self._seen: tuple[int, int] | None = None

    def poll(self) -> _T | None:
        """Return the setting if the file has changed since the last call, else None.

        Raises SenselessSettingError, once for each change that makes no sense.
        """
        seen = self._signature()
        if seen == self._seen:
            return None
        self._seen = seen
        self.written_ns = seen[1] if seen is not None else None
        if seen is None:
            return self._default
        try:
            return self._decoder.decode(self.path.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SenselessSettingError(f"{self.path}: {error}") from error

    def _signature(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns
