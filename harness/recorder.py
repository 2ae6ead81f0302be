"""The recorder: events become lines of `history.jsonl`, at once and for good.

Lives here: appending, flushing, and reading back. Must not live here: what the events mean (that is
`checkers.history`). Nothing is kept in memory: a run may last for hours.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from checkers.history import Event
from harness.digest import Digest
from harness.errors import EnvironmentFailure


class Recorder:
    """Appends each event to a file that is readable, line by line, also after this process was killed.

    An event is handed to the kernel before the next one is taken: SIGKILL loses none, at worst it cuts the last line.
    """

    def __init__(self, path: Path, digest: Digest | None = None) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._encode = msgspec.json.Encoder().encode
        self._digest = digest
        self._size = 0

    def record(self, event: Event) -> None:
        """Append it. Raises `EnvironmentFailure` if it cannot be written whole; what there is of it is taken back."""
        line = self._encode(event) + b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(0, "no more space for it")
        except OSError as error:
            with suppress(OSError):  # then the last line is cut off, as after SIGKILL
                os.ftruncate(self._file.fileno(), self._size)
            raise EnvironmentFailure(f"{self._path} cannot be written: {error.strerror}") from error
        self._size += len(line)
        if self._digest is not None:
            self._digest.add(line)

    def mark(self) -> int:
        """A place to read from: the events that are recorded from now on."""
        return self._size

    def events(self, mark: int = 0) -> list[Event]:
        """The events that were recorded since the mark, or all of them, from the file."""
        with self._path.open("rb") as file:
            file.seek(mark)
            return [_decode(line) for line in file]

    def close(self) -> None:
        self._file.close()


_decode = msgspec.json.Decoder(Event).decode
