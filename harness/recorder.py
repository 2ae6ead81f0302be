"""The recorder: events become lines of `history.jsonl`, at once and for good.

Lives here: appending and flushing. Must not live here: what the events mean (that is `checkers.history`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from checkers.history import Event


class Recorder:
    """Appends each event to a file that is readable, line by line, also after this process was killed.

    An event is handed to the kernel before the next one is taken: SIGKILL loses none, at worst it cuts the last line.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._encode = msgspec.json.Encoder().encode
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self._file.write(self._encode(event) + b"\n")
        self.events.append(event)

    def close(self) -> None:
        self._file.close()
