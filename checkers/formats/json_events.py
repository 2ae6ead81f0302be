"""Events as JSON that is not one object a line: an array of them, or objects over several lines.

Lives here: where one event ends and the next begins, and what such events may have that our own do not: keywords with
their colon, errors of any shape, keys that are no texts. What an event is stands in `checkers.history`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from checkers.history import MISSING, NEMESIS, Event, HistoryError
from checkers.limits import DEFAULT, Limits, too_deep

TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]|[^\s,"\[\]{}]+|"', re.DOTALL)
TEXT_ENDS = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
EXPECTED = "an array of JSON objects is expected, each an event"
KNOWN = ("index", "time", "type", "process", "f", "key", "value", "error", "version", "actual")


def events(lines: Iterable[bytes], source: str, limits: Limits = DEFAULT) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs. Raises HistoryError."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for line, text in _objects(lines, source, limits):
        where = f"{source}:{line}"
        try:
            found = decode(text)
        except RecursionError:
            raise HistoryError(f"{where}: {too_deep(limits)}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise HistoryError(f"{where}: not an event: {error}; {EXPECTED}") from None
        yield line, event(found, where)


def event(found: dict[str, Any], where: str) -> Event:
    """The event that an object says. Fields that events do not have are passed over. Raises HistoryError."""
    process = _plain(found.get("process"))
    if process == NEMESIS:
        return Event(type="info", process=NEMESIS, f=NEMESIS, **_place(found))
    for name in ("type", "process", "f"):
        if found.get(name) is None:
            raise HistoryError(f"{where}: not an event: it has no {name}; every event has type, process and f")
    error = found.get("error")
    said = {name: found[name] for name in ("version", "actual") if name in found}
    return Event(
        **_place(found),
        type=_plain(found["type"]),
        process=process,
        f=_plain(found["f"]),
        key=found.get("key"),
        value=found.get("value"),
        error=UNSET if error is None else error if isinstance(error, str) else str(error),
        **said,
    )


def leniently(found: object, kind: type[Event]) -> Event | None:
    """The event that an object says without its colons, whatever its key and its error are; None if there is none."""
    if not isinstance(found, dict):
        return None
    key, error = found.get("key"), found.get("error")
    said = {name: _plain(value) if name in ("type", "process", "f") else value for name, value in found.items()}
    said |= {"key": None, "error": error if isinstance(error, str) else str(error)}
    if error is None:
        del said["error"]
    try:
        return replace(msgspec.convert(said, kind), key=key)
    except msgspec.ValidationError:
        return None


def _place(found: dict[str, Any]) -> dict[str, Any]:
    return {"index": found.get("index", MISSING), "time": found.get("time", MISSING)}


def _plain(value: Any) -> Any:  # noqa: ANN401 - the history says what it may be
    """A keyword without its colon."""
    return value.removeprefix(":") if isinstance(value, str) else value


def _objects(lines: Iterable[bytes], source: str, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """(line, text) of each object; an array around all of them is looked through. Raises HistoryError."""
    splitter = _Splitter(source, limits)
    number = 1
    for number, line in enumerate(lines, 1):
        yield from splitter.feed(line, number)
    splitter.end(number)


class _Splitter:
    """Finds the objects in JSON, without a look at what is in them."""

    def __init__(self, source: str, limits: Limits) -> None:
        self._source, self._limits = source, limits
        self._depth = 0  # within an object
        self._around = self._over = self._in_text = False
        self._first, self._pieces, self._held = 0, list[bytes](), 0

    def feed(self, line: bytes, number: int) -> Iterator[tuple[int, bytes]]:
        """The objects that end in this line."""
        start, at = 0, 0
        if self._in_text:
            end = TEXT_ENDS.match(line)
            at = len(line) if end is None else end.end()
            self._in_text = end is None
        for match in TOKEN.finditer(line, at):
            token = match[0]
            if not self._depth:
                if self._outside(token, number):
                    self._depth, self._first, start = 1, number, match.start()
            elif token == b'"':
                self._in_text = True
                break
            elif token in (b"{", b"["):
                self._depth += 1
                if self._depth > self._limits.nesting + 1:
                    raise HistoryError(f"{self._source}:{self._first}: {too_deep(self._limits)}")
            elif token in (b"}", b"]"):
                self._depth -= 1
                if not self._depth:
                    yield self._first, b"".join([*self._pieces, line[start : match.end()]])
                    self._pieces, self._held = [], 0
        if self._depth:
            self._keep(line[start:])

    def _outside(self, token: bytes, number: int) -> bool:
        """Whether an object begins; raises HistoryError for what may not stand between objects."""
        if token == b"{" and not self._over:
            return True
        if token == b"[" and not self._around and not self._first:
            self._around = True
        elif token == b"]" and self._around and not self._over:
            self._over = True
        else:
            shown = token[:40].decode(errors="replace")
            raise HistoryError(f"{self._source}:{number}: {shown!r} between events; {EXPECTED}")
        return False

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > self._limits.line_bytes:
            most = f"{self._limits.line_bytes:,} bytes do not close"
            raise HistoryError(f"{self._source}:{self._first}: an object that {most}")

    def end(self, number: int) -> None:
        """Raises HistoryError if something is still open."""
        if self._depth or (self._around and not self._over):
            what = f"the object of line {self._first}" if self._depth else "the array"
            raise HistoryError(f"{self._source}:{number}: the file ends inside {what}; it may be cut off")
