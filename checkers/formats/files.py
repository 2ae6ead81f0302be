"""The bytes of a history: a file, plain or gzipped, a pipe, or standard input.

Lives here: opening it once, since what comes through a pipe can be read only once, and what is told of gzip that is
broken.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from checkers.history import HistoryError

STANDARD_INPUT = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP = b"\x1f"  # no text begins with it, so that one byte is enough, and a pipe may give no more at first


@contextmanager
def open_binary(path: Path | str) -> Iterator[BinaryIO]:
    """The file opened for reading bytes, unzipped if its content is gzip, without the mark that some editors write.

    Broken gzip raises HistoryError when its bytes are reached.
    """
    try:
        with _opened(path) as raw:
            lines = gzip.GzipFile(fileobj=raw) if raw.peek(1)[:1] == GZIP else raw
            if lines.peek(len(BYTE_ORDER_MARK))[: len(BYTE_ORDER_MARK)] == BYTE_ORDER_MARK:
                lines.read(len(BYTE_ORDER_MARK))
            yield cast(BinaryIO, lines)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise HistoryError(f"{path}: broken gzip: {error}; gunzip -t says the same, fetch the file again") from None


def _opened(path: Path | str) -> BufferedReader:
    if str(path) == STANDARD_INPUT:
        return open(0, "rb", closefd=False)
    return open(path, "rb")
