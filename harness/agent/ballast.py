"""A file that takes all that is free on a disk, so that nothing else fits.

Lives here: making and removing it, and how much is free. Must not live here: the disk, which is the node's own: that of
a machine is never filled.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NAME = "ballast"
_CHUNK = bytes(1 << 20)


def free_bytes(directory: Path) -> int | None:
    """How much is free on the disk that is mounted there; None if none is, and the directory is on somebody's disk."""
    if not os.path.ismount(directory):
        return None
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def fill(directory: Path) -> None:
    """Let nothing be free on the disk that is mounted there. Raises OSError, also if none is."""
    if free_bytes(directory) is None:
        raise OSError(errno.EINVAL, f"{directory} is not a disk of its own")
    descriptor = os.open(directory / _NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while True:
            os.write(descriptor, _CHUNK)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


def empty(directory: Path) -> None:
    """Give back what was taken."""
    (directory / _NAME).unlink(missing_ok=True)
