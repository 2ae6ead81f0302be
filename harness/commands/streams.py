"""Standard output and standard error that may break without ending the command.

Responsible for what becomes of the output: a pipe that was closed by its reader, a full disk, a descriptor that was
never open. Whatever cannot be written is dropped, so that a run still comes to its end and its results are kept; what
broke is remembered, and decides the exit code where there is no verdict to tell.

Not responsible for what is printed (`terminal`).
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING

from harness import exit_codes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Descriptor(io.RawIOBase):
    """A file descriptor that takes everything. `failure` is the first error of what could not be written."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view) and self.failure is None:
            try:
                written += os.write(self._descriptor, view[written:])
            except BlockingIOError:  # somebody else who has it wants it so
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.failure = error
        return len(view)


class Streams:
    """The standard streams of this process, made anew. One that is not open reports so once it is written to."""

    def __init__(self) -> None:
        _open_the_missing()
        self._output, self._errors = _Descriptor(1), _Descriptor(2)
        sys.stdout = _text(self._output, line_buffering=self._output.isatty())
        sys.stderr = _text(self._errors, line_buffering=True)

    def finish(self, code: int, decided: bool) -> int:
        """The exit code, once everything has been written: `code`, unless output is lost that said what it does not.

        A command that has decided something, or has failed, ends with its code whatever becomes of its output.
        """
        sys.stdout.flush()
        failure = self._output.failure
        gone = failure is not None and failure.errno == errno.EPIPE
        if failure is not None and not gone:
            print(f"splitbrain: standard output cannot be written: {failure.strerror}", file=sys.stderr)
        sys.stderr.flush()
        if failure is None or decided or code != 0:
            return code
        return exit_codes.PIPE_CLOSED if gone else exit_codes.CRASH


def _open_the_missing() -> None:
    """Open what is closed of descriptors 0 to 2, or the next file would take its number, and output go there.

    They are opened the wrong way round: reading and writing still fail with `Bad file descriptor`.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def _text(descriptor: _Descriptor, line_buffering: bool) -> io.TextIOWrapper:
    """In the encoding of the locale; a character that it does not have is escaped."""
    encoding = getattr(sys.__stdout__ or sys.__stderr__, "encoding", None)
    binary = io.BufferedWriter(descriptor)
    return io.TextIOWrapper(binary, encoding=encoding, errors="backslashreplace", line_buffering=line_buffering)
