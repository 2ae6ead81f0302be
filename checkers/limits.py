"""What is read of a file at most, so that none can exhaust the machine before it is judged.

Lives here: the limits, which every reader is given, and what it says of a file that goes past one.
"""

import sys
from dataclasses import dataclass

MEBI = 1 << 20
FRAMES_A_LEVEL, FRAMES_AT_LEAST = 8, 2000  # of recursion, that judging and showing a nested value takes


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one file.

    `line_bytes`: of a line. `nesting`: of lists in lists, of a value. `ratio`: how many times its size a compressed
    file may have once it is unpacked.
    """

    line_bytes: int = 64 * MEBI
    nesting: int = 1000
    ratio: int = 1000


DEFAULT = Limits()


def make_room(limits: Limits) -> None:
    """Lets Python recurse as deep as values may be nested. It stays so: who holds such a value may show it later."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES_AT_LEAST + FRAMES_A_LEVEL * limits.nesting))


def too_deep(limits: Limits) -> str:
    """What to say of a value that is nested too deep."""
    return f"lists more than {limits.nesting:,} deep; flatten it, or raise the limit (--max-nesting)"


def too_long(limits: Limits) -> str:
    """What to say of a line that is too long."""
    return f"a line of more than {limits.line_bytes:,} bytes; break it up, or raise the limit (--max-line)"
