"""The integer loops in both ways to run them, each loaded once."""

import functools

from checkers.loops import Loops

__all__ = ["Loops", "compiled", "interpreted"]


@functools.cache
def interpreted() -> Loops:
    """Return the loops as they stand: nothing to load, and slower."""
    return Loops()


@functools.cache
def compiled() -> Loops | None:
    """Return the loops compiled, None where numba is not installed. Half a second to load, some seconds once."""
    try:
        import numba  # noqa: F401
        import numpy  # noqa: F401
    except ImportError:
        return None
    from checkers.machine_code import Compiled

    return Compiled()
