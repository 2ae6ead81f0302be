"""Trace records to a file, one JSON object a line, written before the messages that depend on them leave."""

import os
from pathlib import Path

import msgspec

from raft_impl.trace import TraceRecord


class TraceFile:
    """A trace sink that collects records until it is flushed. Survives a killed process, as far as it was flushed."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._records: list[TraceRecord] = []
        self._encoder = msgspec.json.Encoder()

    def __call__(self, record: TraceRecord) -> None:
        self._records.append(record)

    def flush(self) -> None:
        """Write what was collected."""
        if not self._records:
            return
        view = memoryview(self._encoder.encode_lines(self._records))
        self._records.clear()
        while view:
            view = view[os.write(self._descriptor, view) :]
