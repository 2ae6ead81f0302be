"""splitbrain's harness: runs a test against a system, breaks things meanwhile, and says what its clients saw."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("splitbrain")
except PackageNotFoundError:
    # Run from a checkout that was never installed: say so rather than name a version that it may not be.
    __version__ = "unknown"
