"""The write-ahead log: term, vote and entries in one sequence of checked records over numbered segments.

Theory. One `append` makes one record, so a term, its vote and the entries that came with them are durable together or
not at all. A record is `length, crc32(length, body), body`; the first of each segment is a header that names the
node, the segment's number and the hard state so far. A segment is synced before the next one is made, therefore:

- every segment but the last must be whole, and numbers must not skip: else something durable was lost;
- in the last one, a bad record with no whole record after it is a *torn tail*: a write that was cut off before its
  sync, on which no promise was ever made. It is cut away, durably, before anything is written behind it;
- a bad record with a whole record after it is *corruption*: promises may rest on it. The node must not start.

What this cannot tell apart is damage to the very last synced record; no log that syncs in place can.
Nothing here knows of Raft's rules; a saved entry replaces what was saved at its index and after it.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import msgspec

from raft_impl.storage.files import File, Files
from raft_impl.types import Entry, HardState

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_RECORD_BYTES = 1 << 30
FORMAT = 1

_FRAME = struct.Struct(">II")
_LENGTH = struct.Struct(">I")
_NAME = re.compile(r"wal-(\d{8})\.log")


class Header(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The first record of a segment."""

    format: int
    node: str
    segment: int
    hard_state: HardState


class Batch(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """What one `append` saved."""

    hard_state: HardState | None
    entries: tuple[Entry, ...]


class Recovered(msgspec.Struct):
    """What the log held when it was opened, and how many bytes of torn tail were cut from it."""

    hard_state: HardState
    entries: list[Entry]
    cut_bytes: int = 0


class CorruptLogError(Exception):
    """The log holds damage that is not a torn tail; starting on it could break promises already made."""


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Header | Batch] = msgspec.msgpack.Decoder(Header | Batch)


def encode_record(record: Header | Batch) -> bytes:
    """Return a record with its frame."""
    body = _encoder.encode(record)
    return _FRAME.pack(len(body), _checksum(body)) + body


def _checksum(body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(_LENGTH.pack(len(body))))


def record_end(data: memoryview, offset: int) -> int | None:
    """Return where the record at `offset` ends, or None if none is there, whole and with a right checksum."""
    start = offset + _FRAME.size
    if start > len(data):
        return None
    length, checksum = _FRAME.unpack_from(data, offset)
    end = start + length
    if length == 0 or length > MAX_RECORD_BYTES or end > len(data) or _checksum(data[start:end]) != checksum:
        return None
    return int(end)


def _segment_name(number: int) -> str:
    return f"wal-{number:08d}.log"


class Wal:
    """An open write-ahead log. All calls but that of a sync target belong to one thread."""

    def __init__(self, files: Files, node: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open the log, cutting a torn tail; raises CorruptLogError or OSError. `recovered` is what it holds."""
        self._files = files
        self._node = node
        self._segment_bytes = segment_bytes
        self._number = 0
        self._size = 0
        self._directory_dirty = True
        self._file: File | None = None
        self.recovered = Recovered(HardState(), [])
        names = self._segment_names()
        for name in names:
            self._load(name, is_last=name == names[-1])
        self._hard_state = self.recovered.hard_state
        if self._size:
            self._file = files.open(names[-1])
        else:
            self._start_segment(names[-1] if names else None)
        self.sync_target()()  # what was read may be in the page cache only, and from now on it counts as durable

    # Writing

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Write one record. It is durable once a later sync target has returned."""
        if hard_state is not None:
            self._hard_state = hard_state
        self._write(Batch(hard_state, tuple(entries)))

    def sync_target(self) -> Callable[[], None]:
        """Return a function that makes everything appended until now durable, to be called in any thread, once.

        Only one may be unfinished at a time. A segment that is full is closed here.
        """
        if self._size >= self._segment_bytes:
            self._roll()
        sync_file = self._open_file().sync_target()
        if not self._directory_dirty:
            return sync_file
        self._directory_dirty = False
        sync_directory = self._sync_directory

        def sync_both() -> None:
            sync_file()
            sync_directory()

        return sync_both

    def _sync_directory(self) -> None:
        self._files.sync_directory()

    def close(self) -> None:
        """Release the file."""
        self._open_file().close()

    def _open_file(self) -> File:
        assert self._file is not None
        return self._file

    def _write(self, record: Header | Batch) -> None:
        data = encode_record(record)
        self._open_file().append(data)
        self._size += len(data)

    def _roll(self) -> None:
        """Go on in a new segment. The old one is made durable first: only the last may ever have a torn tail."""
        self._open_file().sync_target()()
        self._open_file().close()
        self._number += 1
        self._start_segment(None)

    def _start_segment(self, existing: str | None) -> None:
        name = _segment_name(self._number)
        self._file = self._files.open(name) if existing == name else self._files.create(name)
        self._size = 0
        self._directory_dirty = True
        self._write(Header(FORMAT, self._node, self._number, self._hard_state))

    # Recovery

    def _segment_names(self) -> list[str]:
        names = [name for name in self._files.names() if _NAME.fullmatch(name)]
        for number, name in enumerate(names):
            if name != _segment_name(number):
                raise CorruptLogError(f"segment {_segment_name(number)} is missing, but {name} is there")
        return names

    def _load(self, name: str, is_last: bool) -> None:
        data = memoryview(self._files.read(name))
        offset = 0
        for record, end in self._records(name, data):
            self._replay(name, record, at_start=offset == 0)
            offset = end
        if offset < len(data):
            self._check_torn(name, data, offset, is_last)
            self._files.truncate(name, offset)
            self.recovered.cut_bytes += len(data) - offset
        elif not offset and not is_last:
            raise CorruptLogError(f"{name} is empty, but a later segment exists")
        self._number = int(name[4:12])
        self._size = offset

    def _records(self, name: str, data: memoryview) -> Iterator[tuple[Header | Batch, int]]:
        offset = 0
        while (end := record_end(data, offset)) is not None:
            try:
                yield _decoder.decode(data[offset + _FRAME.size : end]), end
            except msgspec.MsgspecError as error:
                raise CorruptLogError(
                    f"{name} at byte {offset}: a whole record that cannot be read: {error}"
                ) from error
            offset = end

    def _check_torn(self, name: str, data: memoryview, offset: int, is_last: bool) -> None:
        if not is_last:
            raise CorruptLogError(f"{name} at byte {offset}: a bad record, but a later segment exists")
        for later in range(offset + 1, len(data) - _FRAME.size):
            if record_end(data, later) is not None:
                raise CorruptLogError(f"{name} at byte {offset}: a bad record, but a whole one follows at byte {later}")

    def _replay(self, name: str, record: Header | Batch, at_start: bool) -> None:
        if isinstance(record, Header) != at_start:
            raise CorruptLogError(f"{name}: a header must be the first record, and only that")
        if isinstance(record, Header):
            self._check_header(name, record)
        elif record.entries:
            self._replay_entries(name, record.entries)
        if record.hard_state is not None:
            self.recovered.hard_state = record.hard_state

    def _check_header(self, name: str, header: Header) -> None:
        if header.format != FORMAT:
            raise CorruptLogError(f"{name}: format {header.format}, this version reads format {FORMAT}")
        if header.node != self._node:
            raise CorruptLogError(f"{name} belongs to node {header.node}, not to {self._node}")
        if name != _segment_name(header.segment):
            raise CorruptLogError(f"{name}: its header says segment {header.segment}")

    def _replay_entries(self, name: str, entries: tuple[Entry, ...]) -> None:
        log = self.recovered.entries
        first = entries[0].index
        if not 1 <= first <= len(log) + 1:
            raise CorruptLogError(f"{name}: entry {first} follows entry {len(log)}")
        del log[first - 1 :]
        log.extend(entries)
