"""splitbrain's harness: runs a test against a system, breaks things meanwhile, and says what its clients saw."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def _version() -> str:
    """The version, and in a checkout its commit, so that what was recorded says which of two commits made it."""
    try:
        released = version("splitbrain")
    except PackageNotFoundError:
        # Run from a checkout that was never installed: say so rather than name a version that it may not be.
        released = "unknown"
    root = Path(__file__).resolve().parent.parent
    commit = _commit(root) if (root / ".git").exists() else None
    return f"{released}+g{commit}" if commit else released


def _commit(root: Path) -> str | None:
    """Such as `1a2b3c4`, or `1a2b3c4.dirty` if files have been changed since; None if git cannot say."""
    # Without locks: many runs may ask at once, and a user may be committing.
    command = ["git", "--no-optional-locks", "-C", str(root), "describe", "--always", "--dirty=.dirty", "--exclude=*"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()


__version__ = _version()
