"""The bytes of a history: a file, plain, gzipped or packed by zstd, a pipe, or standard input.

Lives here: opening it once, since what comes through a pipe can be read only once; unpacking it; and the limits on what
is read: the length of a line, how much a packed file may grow, and the time that a pipe is waited for.
"""

import io
import os
import select
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from checkers.budget import Budget, Meter, SpentError
from checkers.history import HistoryError
from checkers.limits import DEFAULT, Limits, too_long

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP, ZSTD = b"\x1f", b"\x28\xb5\x2f\xfd"  # no text begins with 1F, so that one byte is enough
BLOCK = 1 << 18
UNPACKED_FREELY = 1 << 24  # bytes that a packed file may become whatever its ratio: small files pack well
ZSTD_PIECE, ZSTD_WINDOW = 256, 1 << 27  # bytes
NO_ZSTD = "packed by zstd, which takes the module zstandard: pip install zstandard, or unpack it"


class Lines(io.BufferedReader):
    """The content of a history file. What is iterated are its lines, none longer than the limit."""

    def __init__(self, raw: io.RawIOBase, source: str, limits: Limits, meter: Meter) -> None:
        super().__init__(raw, BLOCK)
        self._source, self._limits, self._meter, self._number = source, limits, meter, 0

    def __next__(self) -> bytes:
        line = self.readline(self._most + 1)
        if not line:
            raise StopIteration
        self._require(len(line))
        self._number += 1
        return line

    def _require_each(self, block: bytes) -> None:
        for number, line in enumerate(block.splitlines(keepends=True)):
            self._require(len(line), number)

    @property
    def _most(self) -> int:
        left = self._meter.bytes_left
        return self._limits.line_bytes if left is None else min(left, self._limits.line_bytes)

    def _require(self, size: int, lines: int = 0) -> None:
        """Raises if so many bytes of a line are too many, which comes after so many others."""
        where = f"{self._source}:{self._number + lines + 1}:"
        if size > self._limits.line_bytes:
            raise HistoryError(f"{where} {too_long(self._limits)}")
        if size > self._most:
            self._meter.spend(0, size)
            raise SpentError(f"{where} {self._meter.exhausted} while this line was read")

    def blocks(self) -> Iterator[bytes]:
        """The rest in blocks of whole lines; the last may lack its end."""
        rest: list[bytes] = []
        held = 0
        while block := self.read1(BLOCK):
            cut = block.rfind(b"\n") + 1
            if not cut:
                rest.append(block)
                held += len(block)
            else:
                whole = b"".join([*rest, block[:cut]])
                if len(whole) > self._most:
                    self._require_each(whole)
                yield whole
                self._number += whole.count(b"\n")
                rest, held = [block[cut:]], len(block) - cut
            self._require(held)
        if held:
            yield b"".join(rest)


@contextmanager
def open_binary(path: Path | str, *, limits: Limits = DEFAULT, meter: Meter | None = None) -> Iterator[Lines]:
    """The file opened for reading bytes, unpacked if its content is packed, without the mark that some editors write.

    Broken or unreasonable content raises HistoryError when it is reached, SpentError once the meter's time is over.
    """
    source, meter = str(path), meter or Meter(Budget())
    with _Waiting(path, source, meter) as raw:
        packed = io.BufferedReader(raw, BLOCK)
        begin = packed.peek(1)[:1]
        content: io.RawIOBase
        if begin == GZIP:
            content = _Unpacked(packed, source, limits, _gzip())
        elif begin == ZSTD[:1] and packed.peek(len(ZSTD))[: len(ZSTD)] == ZSTD:
            content = _Unpacked(packed, source, limits, _zstd(source))
        else:
            content = _Rest(packed)
        lines = Lines(content, source, limits, meter)
        if lines.peek(len(BYTE_ORDER_MARK))[: len(BYTE_ORDER_MARK)] == BYTE_ORDER_MARK:
            lines.read(len(BYTE_ORDER_MARK))
        yield lines


class _Waiting(io.RawIOBase):
    """The bytes as they are in the file; a pipe is waited for only as long as there is time."""

    def __init__(self, path: Path | str, source: str, meter: Meter) -> None:
        given = source == STANDARD_INPUT
        self._file = io.FileIO(0 if given else str(path), closefd=not given)
        self._source, self._meter, self._taken = source, meter, 0
        self._may_wait = not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        left = self._meter.seconds_left
        ready = not self._may_wait or left is None or select.select([self._file], [], [], left)[0]
        if not (ready and self._meter.read_clock()):
            self._meter.read_clock()
            why = self._meter.exhausted or "the time budget is spent"
            raise SpentError(f"{why} while {self._source} was read, after {self._taken:,} bytes")
        count = self._file.readinto(buffer) or 0
        self._taken += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Rest(io.RawIOBase):
    """What a buffered reader has not given yet."""

    def __init__(self, reader: "io.BufferedReader[Any]") -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._reader.readinto1(buffer)


class _Packed(NamedTuple):
    """A way to pack: its name, how many packed bytes are unpacked at once, what begins a member, and its error."""

    name: str
    piece: int
    member: Callable[[], Any]
    unpacked: Callable[[Any, bytes], bytes]
    error: type[Exception]


def _gzip() -> _Packed:
    """As zlib unpacks it, a block at once at most, whatever it is packed into."""
    member = partial(zlib.decompressobj, wbits=31)
    return _Packed("gzip", BLOCK, member, lambda made, data: made.decompress(data, BLOCK), zlib.error)


def _zstd(source: str) -> _Packed:
    """As zstandard unpacks it, which knows no bound, so that it is given very little at once."""
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        raise HistoryError(f"{source}: {NO_ZSTD}") from None
    member = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj
    return _Packed("zstd", ZSTD_PIECE, member, lambda made, data: made.decompress(data), zstandard.ZstdError)


class _Unpacked(io.RawIOBase):
    """The content of a packed file, member by member. Refuses one that grows out of all proportion, before it has."""

    def __init__(self, file: "io.BufferedReader[Any]", source: str, limits: Limits, packed: _Packed) -> None:
        self._file, self._source, self._limits, self._packed = file, source, limits, packed
        self._member: Any = None
        self._left = b""  # packed bytes that are not unpacked yet
        self._ready = b""
        self._taken = self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        while not self._ready:
            if not self._unpack():
                return 0
        count = min(len(target), len(self._ready))
        target[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _unpack(self) -> bool:
        """Unpacks a little more; false at the end."""
        if self._member is None and self._given:
            self._left = self._left.lstrip(b"\0")  # which may pad a member
        if not self._left:
            self._left = self._file.read1(BLOCK)
            if not self._left and self._member is not None:
                raise self._broken("it is cut off")
            return bool(self._left)
        if self._member is None:
            self._member = self._packed.member()
        piece, rest = self._left[: self._packed.piece], self._left[self._packed.piece :]
        try:
            self._ready = self._packed.unpacked(self._member, piece)
        except self._packed.error as error:
            raise self._broken(str(error)) from None
        unread = self._member.unused_data or self._member.unconsumed_tail
        self._left = unread + rest
        self._taken += len(piece) - len(unread)
        self._given += len(self._ready)
        if self._member.eof:
            self._member = None
        if self._given > UNPACKED_FREELY and self._given > self._limits.ratio * self._taken:
            times = f"it unpacks to more than {self._limits.ratio:,} times its size"
            raise HistoryError(f"{self._source}: {times}; unpack it yourself, or raise the limit (--max-ratio)")
        return True

    def _broken(self, why: str) -> HistoryError:
        name = self._packed.name
        return HistoryError(f"{self._source}: broken {name}: {why}; {name} -t says the same, fetch the file again")
