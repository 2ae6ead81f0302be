"""Our own format: history.jsonl, one event a line, plain or gzipped.

Lives here: reading it into a history and writing it. What an event is, and whether events pair up, is
`checkers.history`'s.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from checkers.formats.files import open_binary
from checkers.formats.json_events import leniently
from checkers.history import MISSING, Event, History, HistoryError
from checkers.limits import DEFAULT, Limits, make_room, too_deep
from checkers.recording import Recording

TruncatedTail = Literal["error", "drop"]


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
        recording = Recording(str(path))
        for numbers, found in batches(lines.blocks(), str(path), truncated_tail):
            recording.add(numbers, found)
        return History.of_recording(recording)


def write(path: Path | str, events: Iterable[Event]) -> None:
    """Writes the events, one a line; a name that ends in .gz is gzipped."""
    opener = gzip.open if str(path).endswith(".gz") else open
    encode = msgspec.json.Encoder().encode
    with opener(path, "wb") as out:
        for event in events:
            out.write(encode(event) + b"\n")


def events(lines: Iterable[bytes], source: str, truncated_tail: TruncatedTail) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs; raises HistoryError for a line that is no event."""
    for numbers, found in batches(lines, source, truncated_tail):
        yield from zip(numbers, found, strict=True)


def batches(
    blocks: Iterable[bytes], source: str, truncated_tail: TruncatedTail, limits: Limits = DEFAULT
) -> Iterator[tuple[Sequence[int], Sequence[Event]]]:
    """The events of each block of whole lines and the lines that they are on; raises HistoryError for what is none."""
    decoder = msgspec.json.Decoder(Line)
    number = 1
    make_room(limits)
    for block in filter(None, blocks):
        if not block.endswith(b"\n"):
            block, tail = block[: block.rfind(b"\n") + 1], number + block.count(b"\n")
            if truncated_tail == "error":
                _one_by_one(decoder, block, number, source, limits)
                raise HistoryError(
                    f"{source}:{tail}: the last line is cut off; --truncated-tail drop checks what comes before it"
                )
        count = block.count(b"\n")
        try:
            found = decoder.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = []
        if len(found) == count:
            yield range(number, number + count), found
        else:
            yield _one_by_one(decoder, block, number, source, limits)
        number += count


def _one_by_one(
    decoder: "msgspec.json.Decoder[Line]", block: bytes, first: int, source: str, limits: Limits
) -> tuple[list[int], list[Event]]:
    """The same of lines some of which are blank, or no events: the first of these raises HistoryError."""
    numbers: list[int] = []
    found: list[Event] = []
    for number, line in enumerate(block.split(b"\n"), first):
        if not line or line.isspace():
            continue
        try:
            found.append(_decoded(decoder, line))
        except RecursionError:
            raise HistoryError(f"{source}:{number}: {too_deep(limits)}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise HistoryError(
                f"{source}:{number}: not an event: {error}; one JSON object a line is expected"
            ) from None
        numbers.append(number)
    return numbers, found


def _decoded(decoder: "msgspec.json.Decoder[Line]", line: bytes) -> Event:
    """The event of a line; that of one that has keywords, or a key or an error that is no text, as well."""
    try:
        return decoder.decode(line)
    except msgspec.ValidationError:
        event = leniently(msgspec.json.decode(line), Line)
        if event is None:
            raise
        return event
