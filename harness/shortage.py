"""What it looks like when there is no more memory.

Lives here: telling that from other crashes, by the words that whoever ran short of it has left. Must not live here:
what follows from it.
"""

from __future__ import annotations

OUT_OF_MEMORY = "out of memory"

_WORDS = (
    *("MemoryError", "Cannot allocate memory", "cannot allocate", "bad_alloc"),
    *("failed to map segment", "LLVM ERROR: out of memory"),
)


def is_shortage(text: str) -> bool:
    """Whether that traceback, or the end of that output, is of something that ran out of memory."""
    return any(word in text for word in _WORDS)
