"""How often a node has been started: a number kept beside its log, so that one life's trace is told from another's."""

import os
from pathlib import Path


def next_boot(directory: Path) -> int:
    """Return the number of this start, 1 for the first, and keep it. Raises OSError, ValueError (damaged file)."""
    path = directory / "boot"
    boot = int(path.read_text()) + 1 if path.exists() else 1
    beside = directory / "boot.new"
    with beside.open("w") as file:
        file.write(f"{boot}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    return boot
