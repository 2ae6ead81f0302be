"""Our own format: history.jsonl, one event a line, plain or gzipped.

Lives here: reading it into a history and writing it. What an event is, and whether events pair up, is
`checkers.history`'s.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from checkers.formats.files import open_binary
from checkers.history import MISSING, Event, History, HistoryError

TruncatedTail = Literal["error", "drop"]
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
MOST_NESTED = 100  # lists in lists; what judges values calls itself for each


class Line(Event, frozen=True, kw_only=True, gc=False):
    """An event as a line may say it: null for an index or a time that is not known, and times with a fraction."""

    index: int | None = MISSING  # type: ignore[assignment]
    time: int | float | None = MISSING  # type: ignore[assignment]


def read(path: Path | str, *, truncated_tail: TruncatedTail = "error") -> History:
    """The history in that file; raises HistoryError naming file and line, or OSError.

    A last line without its newline was cut off in mid-write. That is an error, unless `truncated_tail` is "drop": it
    is then ignored, which is sound, since what was cut off is at worst a completion (its operation counts as unknown)
    or an invocation that nothing recorded could have seen.
    """
    with open_binary(path) as lines:
        return History.of_numbered_events(events(lines, str(path), truncated_tail), str(path))


def write(path: Path | str, events: Iterable[Event]) -> None:
    """Writes the events, one a line; a name that ends in .gz is gzipped."""
    opener = gzip.open if str(path).endswith(".gz") else open
    encode = msgspec.json.Encoder().encode
    with opener(path, "wb") as out:
        for event in events:
            out.write(encode(event) + b"\n")


def events(lines: Iterable[bytes], source: str, truncated_tail: TruncatedTail) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs; raises HistoryError for a line that is no event."""
    decode = msgspec.json.Decoder(Line).decode
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            if truncated_tail == "drop":
                return
            raise HistoryError(
                f"{source}:{number}: the last line is cut off; --truncated-tail drop checks what comes before it"
            )
        if line.isspace():
            continue
        if len(line) > 2 * MOST_NESTED and depth(line) > MOST_NESTED:
            raise HistoryError(f"{source}:{number}: lists more than {MOST_NESTED} deep; flatten the value")
        try:
            event = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HistoryError(
                f"{source}:{number}: not an event: {error}; one JSON object a line is expected"
            ) from None
        yield number, event


def depth(line: bytes) -> int:
    """How deep the brackets of a line are nested, at most; those in texts do not count."""
    if line.count(b"[") + line.count(b"{") <= MOST_NESTED:
        return 0
    depth = deepest = 0
    for byte in STRING.sub(b"", line):
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest
