"""Temporary directories that are removed even when their owner was killed.

Lives here: making one, and removing those whose owner is gone. Must not live here: what is kept in them.

The owner holds a lock on its directory (flock), which the kernel releases however the owner dies. So whoever can take
the lock may remove the directory; process ids, which mean nothing across namespaces, are not needed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path


class Scratch:
    """A locked temporary directory in $TMPDIR, else in /var/tmp: /tmp is often a tmpfs, where a sync proves nothing."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=_parent()))
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the directory with everything in it; raises OSError if something resists."""
        shutil.rmtree(self.path)
        os.close(self._descriptor)


def remove_abandoned(prefix: str) -> list[Path]:
    """The directories of dead owners, now removed. Those of the living and of other users are left alone."""
    return [path for path in sorted(Path(_parent()).glob(f"{prefix}*")) if _remove_if_abandoned(path)]


def _remove_if_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone already, not a directory, or not ours to read
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not any(path.iterdir()):  # perhaps just made and not locked yet
            return False
        shutil.rmtree(path)
    except BlockingIOError:  # its owner lives
        return False
    finally:
        os.close(descriptor)
    return True


def _parent() -> str:
    return os.environ.get("TMPDIR", "/var/tmp")
