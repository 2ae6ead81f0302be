"""The digest of a run: equal for two runs if, and hardly ever unless, everything in them happened alike.

Lives here: how lines become one number. Must not live here: which lines, or what it means that two digests differ
(`harness.replay`).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

_BYTES = 16


class Digest:
    """A rolling digest over lines, in the order in which they are added. O(bytes): 0.2 us a line of a trace.

    Lines are what files hold, as bytes: so nothing of one process (identities, the order of sets) can get in unless it
    got into the files.
    """

    def __init__(self) -> None:
        self._state = blake2b(digest_size=_BYTES)
        self.add: Callable[[bytes], None] = self._state.update
        """Take in a line, which ends in a newline: so that no two sequences of lines are one."""

    def text(self) -> str:
        """The digest of all lines so far, in hexadecimal."""
        return self._state.hexdigest()
