"""Jepsen's histories: EDN maps, as Knossos prints them (one a line) and as Jepsen 0.3 writes `history.edn`.

Lives here: a reader of the part of EDN that histories use, and what its maps mean as events. Keywords become text with
their colon, except as :f, :type and :process; values of `jepsen.independent` ([key value]) are taken apart.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, get_args

from msgspec import UNSET
from msgspec.structs import replace

from checkers.history import NEMESIS, Event, EventType, HistoryError

TOKEN = re.compile(
    r'[\s,]+|;[^\n]*|#_|(?P<open>#\{|[\[({])|(?P<close>[\])}])|(?P<text>"(?:[^"\\]|\\.)*")|#(?P<tag>[a-zA-Z][\w./-]*)'
    r"|(?P<atom>[^\s,;\"\[\](){}]+)"
)
CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
WORDS: dict[str, object] = {"nil": None, "true": True, "false": False}
LINES_OF_ONE_MAP = 1000
LOOK = 1000  # events looked at before it is decided what their values are
MISSING = object()


class IncompleteError(Exception):
    """The text ends inside a form."""


def events(lines: Iterable[bytes], source: str) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs; position in the file stands in for a missing :time or :index. Raises HistoryError."""
    for number, (line, form) in enumerate(_forms(lines, source)):
        if not isinstance(form, dict):
            raise HistoryError(
                f"{source}:{line}: {form!r} is not an operation; a map such as {{:type :invoke, ...}} is"
            )
        yield line, _event(form, number, f"{source}:{line}")


def keyed(found: Iterator[tuple[int, Event]], source: str) -> Iterator[tuple[int, Event]]:
    """The events with [key value] taken apart, if all client values are such pairs: `jepsen.independent` wrote them.

    The first `LOOK` events decide, so that no more are ever held; a later one that is no pair raises HistoryError.
    """
    first = list(islice(found, LOOK))
    if not _all_pairs([event for _, event in first if event.process != NEMESIS]):
        yield from first
        yield from found
        return
    for line, event in chain(first, found):
        if event.process == NEMESIS:
            yield line, event
        elif _is_pair(event):
            yield line, replace(event, key=event.value[0], value=event.value[1])
        else:
            where = f"{source}:{line}: value {event.value!r}"
            raise HistoryError(f"{where} is no [key value], as those before are; give all operations a key or none")


def _all_pairs(clients: Sequence[Event]) -> bool:
    """Whether all have a pair for a value, and not only because they are cas, whose value is a pair anyway."""
    telling = any(event.f != "cas" for event in clients)
    return telling and all(event.key is None and _is_pair(event) for event in clients)


def _is_pair(event: Event) -> bool:
    return isinstance(event.value, list) and len(event.value) == 2 and isinstance(event.value[0], int | str)


def _event(form: dict[Any, Any], number: int, where: str) -> Event:
    """The event that a map says."""
    for name in (":type", ":f", ":process"):
        if name not in form:
            raise HistoryError(f"{where}: an operation with no {name}; every operation has :type, :f and :process")
    kind = str(form[":type"]).removeprefix(":")
    if kind not in get_args(EventType):
        raise HistoryError(f"{where}: :type {form[':type']}; it is one of :invoke, :ok, :fail, :info")
    process = form[":process"]
    time, index = form.get(":time", number), form.get(":index", number)
    if not isinstance(time, int) or not isinstance(index, int):
        raise HistoryError(f"{where}: :time {time!r} and :index {index!r} must be whole numbers")
    error = form.get(":error", MISSING)
    return Event(
        index=index,
        time=time,
        type=kind,  # type: ignore[arg-type]
        process=process if isinstance(process, int) else str(process).removeprefix(":"),
        f=str(form[":f"]).removeprefix(":"),
        key=form.get(":key"),
        value=form.get(":value"),
        error=UNSET if error is MISSING else str(error),
    )


def _forms(lines: Iterable[bytes], source: str) -> Iterator[tuple[int, Any]]:
    """(first line, form) of every top-level form; a vector or list around all of them is looked through."""
    pending, first = "", 0
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise HistoryError(f"{source}:{number}: not UTF-8 text") from None
        if not pending:
            first = number
            text = text.lstrip(" \t\n,[(") if number == 1 else text
        pending += text
        try:
            yield from ((first, form) for form in read_all(pending))
        except IncompleteError:
            if number - first >= LINES_OF_ONE_MAP:
                raise HistoryError(f"{source}:{first}: a map that {LINES_OF_ONE_MAP} lines do not close") from None
            continue
        except ValueError as error:
            raise HistoryError(f"{source}:{first}: malformed EDN: {error}") from None
        pending = ""
    if pending.strip():
        raise HistoryError(f"{source}:{first}: malformed EDN: the file ends inside a form; close it")


def read_all(text: str) -> list[Any]:
    """Every form in the text: maps as dicts, vectors, lists and sets as lists. Raises IncompleteError or ValueError.

    A closing bracket that nothing opened ends the vector around the whole file, so it is passed over at top level.
    """
    stack: list[tuple[str, list[Any]]] = [("", [])]
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            if text[position] == '"':
                raise IncompleteError
            raise ValueError(f"unexpected {text[position]!r}")
        position = match.end()
        if match["open"]:
            stack.append((match["open"], []))
        elif match["close"]:
            _close(match["close"], stack)
        elif match["text"]:
            stack[-1][1].append(_unescaped(match["text"]))
        elif match["atom"]:
            stack[-1][1].append(_atom(match["atom"]))
    if len(stack) > 1:
        raise IncompleteError
    return stack[0][1]


def _close(bracket: str, stack: list[tuple[str, list[Any]]]) -> None:
    opened, items = stack.pop()
    if not opened and bracket in "])":
        stack.append((opened, items))
        return
    if CLOSES.get(opened) != bracket:
        raise ValueError(f"{bracket!r} closes nothing" if not opened else f"{bracket!r} closes {opened!r}")
    if opened != "{":
        stack[-1][1].append(items)
        return
    if len(items) % 2:
        raise ValueError("a map with a key that has no value")
    keys = [tuple(key) if isinstance(key, list) else key for key in items[::2]]
    stack[-1][1].append(dict(zip(keys, items[1::2], strict=True)))


def _atom(word: str) -> object:
    if word in WORDS:
        return WORDS[word]
    if word[0] in "+-0123456789":
        try:
            return int(word.rstrip("N"))
        except ValueError:
            return float(word.rstrip("M"))
    return word


def _unescaped(quoted: str) -> str:
    text = quoted[1:-1]
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text) if "\\" in text else text
