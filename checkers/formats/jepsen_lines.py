"""Operations as Jepsen prints them: process, type, f, value and, where there is one, error, with tabs between them.

Lives here: the text of one operation, and that its value or its error may go on in more lines. Where it is found is
`checkers.formats.history_txt`'s and `checkers.formats.jepsen_log`'s. Lines that were copied from a terminal have blanks
instead of the tabs.
"""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from checkers.formats.edn import Reader
from checkers.formats.edn_atoms import EdnError, Word
from checkers.formats.jepsen_edn import Clients, name
from checkers.history import NEMESIS, Event, HistoryError
from checkers.limits import DEFAULT, Limits

Told = tuple[str, Any, str | None]  # f, value and error
OPERATION = re.compile(r"(\d+|:[^\s:]\S*)(\t| +):(invoke|ok|fail|info)(?:\t| +)(\S.*)", re.DOTALL)
LOOKS_LIKE_ONE = re.compile(r"\s*(?:\d+|:nemesis)\s+:(?:invoke|ok|fail|info)\b")
COMPLETE = (")", "]", "}", '"', "nil", "true", "false")  # ends of values that cannot go on
NO_VALUE = "it has no value; it may be cut off"
SHOWN = 60  # characters of a line in a message


class CutOffError(HistoryError):
    """The last line of a file has no end, so that there may have been more to it."""


class Record:
    """The lines of one operation, the first of which says what it is."""

    def __init__(self, line: int, text: str) -> None:
        self.first = line, text
        self.more: list[tuple[int, str]] = []
        self._size = 0

    def add(self, line: int, text: str, limits: Limits) -> None:
        """Takes one more line; no more are kept than a value may have."""
        if self._size <= limits.line_bytes:
            self.more.append((line, text))
            self._size += len(text) + 1


class Operations:
    """Makes events of the records of one file."""

    def __init__(self, source: str, limits: Limits = DEFAULT) -> None:
        self._source, self._limits = source, limits
        self._clients = Clients()
        self._more: Iterator[tuple[int, str]] = iter(())

    def event(self, record: Record, *, cut: bool = False) -> Event:
        """The event of a record, whose first line is an operation; raises HistoryError.

        `cut` says that the file ends in its last line, without the end of that line.
        """
        line, first = record.first
        found = OPERATION.fullmatch(first)
        assert found is not None, "the first line of a record is an operation"
        said, between, kind, told = found.groups()
        process = self._clients.process(int(said) if said.isdecimal() else name(said), kind)
        if process == NEMESIS:
            return Event(type="info", process=NEMESIS, f=NEMESIS)
        where, self._more = f"{self._source}:{line}", iter(record.more)
        try:
            f, value, error = self._tabbed(told) if between == "\t" else self._spaced(told, kind)
        except EdnError as mistake:
            raise HistoryError(f"{where}: {shown(first)}: {mistake}") from None
        ended = kind in ("fail", "info")
        if cut and not ended and error is None and not told.endswith(COMPLETE):
            raise CutOffError(f"{where}: the last line has no end; end it, or --truncated-tail drop leaves it out")
        if ended and error is None and isinstance(value, Word) and value.text.startswith(":"):
            value, error = None, name(value)  # so it was told before there were errors
        return Event(
            type=kind,  # type: ignore[arg-type]
            process=process,
            f=f,
            value=value,
            error=UNSET if error is None else error.removeprefix(":"),
        )

    def left(self) -> tuple[int, str] | None:
        """The first line of the last record that its value did not take, if there is one."""
        return next(self._more, None)

    def _tabbed(self, told: str) -> Told:
        f, *fields = told.split("\t")
        if not fields:
            raise EdnError(NO_VALUE)
        value, behind = self._value(fields[0])
        if behind.startswith("\t"):  # it ended in a later line, with the error
            fields[1:] = [behind[1:]]
        elif behind.strip():
            raise EdnError(f"{shown(fields[0])} is several values; an operation has one")
        return self._f(f), value, "\t".join(fields[1:]) if len(fields) > 1 else None

    def _spaced(self, told: str, kind: str) -> Told:
        f, _, text = told.partition(" ")
        if not text.strip():
            raise EdnError(NO_VALUE)
        value, behind = self._value(text)
        if behind.strip() and kind in ("invoke", "ok"):
            raise EdnError(f"{shown(text.strip())} is several values; an operation has one")
        return self._f(f), value, behind.strip() or None

    def _f(self, text: str) -> str:
        found, behind = self._value(text)
        if behind.strip() or found is None:
            raise EdnError(f"{shown(text)} is no name of an operation")
        return name(found)

    def _value(self, text: str) -> tuple[Any, str]:
        """The first form, which may go on in more lines, and what stands behind it in the line where it ends."""
        reader = Reader(limits=self._limits)
        while True:
            for _, form in reader.feed(text, 1):
                return form, text[reader.stop :]
            if reader.held > self._limits.line_bytes:
                raise EdnError(f"a value that {self._limits.line_bytes:,} characters do not close")
            _, following = next(self._more, (0, None))
            if following is None:
                reader.end()
                raise EdnError(NO_VALUE)
            text = f"\n{following}"
            if not is_text(text):
                raise EdnError("its value is not UTF-8 text")


def is_text(text: str) -> bool:
    """Whether the text was UTF-8 when it was read with its errors escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """The beginning of a line, for messages."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
