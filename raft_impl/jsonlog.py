"""What a server says for people and scripts: one JSON object a line, flushed as it is written."""

import time
from typing import TextIO

import msgspec


class JsonLog:
    """Writes events to a stream. Meant for a few events a second, not for every message."""

    def __init__(self, stream: TextIO, node: str) -> None:
        self._stream = stream
        self._node = node

    def event(self, name: str, **fields: object) -> None:
        """Write one line: wall time in nanoseconds, node, event, and whatever belongs to it."""
        line = {"time_ns": time.time_ns(), "node": self._node, "event": name, **fields}
        self._stream.write(msgspec.json.encode(line).decode() + "\n")
        self._stream.flush()
