"""Jepsen's `history.txt`: an operation a line, `0	:invoke	:read	nil`, with an error behind it if there was one.

Lives here: which lines go together. Errors are printed as they are, and so is what the nemesis says: either may go on
in more lines. The lines carry no times: their order is that of the events.
"""

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from checkers.formats.jepsen_lines import LOOKS_LIKE_ONE, OPERATION, CutOffError, Operations, Record, shown
from checkers.formats.jsonl import TruncatedTail
from checkers.history import Event, HistoryError
from checkers.limits import DEFAULT, Limits

FORM = "0\\t:invoke\\t:read\\tnil"


def events(
    lines: Iterable[bytes], source: str, truncated_tail: TruncatedTail, limits: Limits = DEFAULT
) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs. Raises HistoryError."""
    operations = Operations(source, limits)
    record: Record | None = None
    whole = True
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise HistoryError(f"{source}:{number}: not UTF-8 text") from None
        whole = text.endswith("\n")
        text = text.rstrip("\r\n")
        if OPERATION.match(text):
            if record:
                yield record.first[0], _event(operations, record, source)
            record = Record(number, text)
        elif record and not LOOKS_LIKE_ONE.match(text):
            record.add(number, text, limits)
        elif text.strip():
            raise _none(source, number, text)
    if not record:
        return
    try:
        yield record.first[0], _event(operations, record, source, cut=not whole)
    except CutOffError:
        if truncated_tail == "error":
            raise


def _event(operations: Operations, record: Record, source: str, *, cut: bool = False) -> Event:
    """The event; only an error and what the nemesis says may have more lines than the value takes."""
    event = operations.event(record, cut=cut)
    if event.type in ("invoke", "ok") and event.error is UNSET:
        while left := operations.left():
            if left[1].strip():
                raise _none(source, *left)
    return event


def _none(source: str, line: int, text: str) -> HistoryError:
    return HistoryError(f"{source}:{line}: {shown(text)} is not an operation such as `{FORM}`")
