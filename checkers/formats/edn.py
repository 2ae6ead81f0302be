"""EDN, the notation of Jepsen's histories: text in, values out, form by form while lines come in.

Lives here: what atoms are put together to, as Clojure's reader does it. Sets have no order, and a list equals a vector.
Metadata is dropped. What the maps of a history mean is `checkers.formats.jepsen_edn`'s.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from checkers.formats.edn_atoms import EdnError, Word, atom, character, text
from checkers.history import HistoryError
from checkers.limits import DEFAULT, Limits, make_room, too_deep
from checkers.values import Map, freeze

DELIMITERS = r'\s,;"\[\](){}\\^'
TOKEN = re.compile(
    r'[\s,]+|;[^\n]*|(?P<open>#\{|[\[({])|(?P<close>[\])}])|(?P<text>#?"[^"\\]*+(?:\\.[^"\\]*+)*+")|(?P<begun>#?")'
    rf"|(?P<atom>(?:\#[#'])?[^{DELIMITERS}\#][^{DELIMITERS}]*)|(?P<character>\\.[^{DELIMITERS}]*)"
    rf"|(?P<prefix>\#_|\#?\^|\#:?[^\W\d_][^{DELIMITERS}\#]*)|(?P<object>\#<[^<>]*+(?:<[^<>]*+>[^<>]*+)*+>)|(?P<bad>.)",
    re.DOTALL,
)
TEXT_ENDS = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
PAIR = re.compile(r"independent|MapEntry$")
DISCARD, META, WITH_META = "#_", "^", "^ and its metadata"
NAMESPACED = "#:"


class IncompleteError(EdnError):
    """The text ends inside a form."""


class Set(frozenset[object]):
    """A set, shown in an order that does not depend on the process."""

    def __repr__(self) -> str:
        return f"#{{{' '.join(sorted(map(repr, self)))}}}"


class Pair(list[Any]):
    """A vector of two that was tagged as a pair, as `jepsen.independent` has them."""


def forms(lines: Iterable[bytes], source: str, limits: Limits = DEFAULT) -> Iterator[tuple[int, Any]]:
    """(first line, form) of every form of a file; a vector or list around all of them is looked through.

    Maps are dicts, vectors and lists are lists. Raises HistoryError.
    """
    reader = Reader(around=True, limits=limits)
    number = 0
    for number, raw in enumerate(lines, 1):
        try:
            yield from reader.feed(raw.decode(), number)
        except UnicodeDecodeError:
            raise HistoryError(f"{source}:{number}: not UTF-8 text") from None
        except EdnError as error:
            raise HistoryError(f"{source}:{number}: malformed EDN: {error}") from None
        if reader.held > limits.line_bytes:
            raise HistoryError(f"{source}:{reader.first}: a form that {limits.line_bytes:,} characters do not close")
    try:
        reader.end()
    except EdnError as error:
        raise HistoryError(f"{source}:{reader.first or number}: malformed EDN: the file {error}") from None


def read_all(text: str) -> list[Any]:
    """Every form in the text. Raises EdnError."""
    reader = Reader()
    found = [form for _, form in reader.feed(text, 1)]
    reader.end()
    return found


class Reader:
    """Takes text piece by piece, whole lines each, and gives the forms that it completes.

    `around` says that one vector or list may stand around all forms, as in a file. `first` is the line on which the
    form under way began, `held` how many characters have been read of it, `stop` where in its text the last one ended.
    """

    def __init__(self, around: bool = False, limits: Limits = DEFAULT) -> None:
        make_room(limits)
        self._limits = limits
        self.first = 0
        self.held = self.stop = 0
        self._may_open = around
        self._may_be_form = False  # the vector around all forms, as long as nothing in it has shown that it is that
        self._closed = False  # the vector around all forms
        self._base = 1
        self._stack: list[tuple[str, list[Any]]] = [("", [])]
        self._prefixes: list[tuple[int, str]] = []  # tags, discards and the like that wait for a form, with its depth
        self._pieces: list[str] = []  # of a string that is not closed yet

    def feed(self, piece: str, line: int) -> Iterator[tuple[int, Any]]:
        """(first line, form) of each form that this text ends. Raises EdnError."""
        stack, start = self._stack, 0
        if self._pieces:
            end = TEXT_ENDS.match(piece)
            self._pieces.append(piece if end is None else end[0])
            if end is not None:
                self._add(_text("".join(self._pieces)))
                self._pieces, self.stop = [], end.end()
                start = self.stop
                yield from self._completed()
        for match in TOKEN.finditer(piece, start) if not self._pieces else ():
            kind = match.lastgroup
            if kind is None:
                continue
            if len(stack) == self._base:
                self.first, self.held = line, 0
            if kind == "begun":
                self._pieces = [piece[match.start() :]]
                break
            self._take(kind, match[0])
            if len(stack) == self._base:
                self.stop = match.end()
                yield from self._completed()
        self.held = self.held + len(piece) if len(stack) > self._base or self._pieces else 0

    def _completed(self) -> Iterator[tuple[int, Any]]:
        found = self._stack[-1][1]
        if len(self._stack) == self._base and found:
            self._may_open = False
            yield self.first, found.pop()

    def _take(self, kind: str, token: str) -> None:
        if kind == "bad":
            raise EdnError(f"unexpected {token!r}")
        if self._closed and not self._in_discard(token):
            raise EdnError(f"{token!r} after the bracket that closes the history")
        if kind == "close":
            self._close(token)
        elif kind == "open":
            self._open(token)
        elif kind == "prefix":
            self._prefixes.append((len(self._stack), META if token.endswith(META) else token))
        elif kind == "text":
            self._add(_text(token))
        elif kind == "atom":
            self._add(atom(token))
        else:
            self._add(character(token) if kind == "character" else Word(token))

    def end(self) -> None:
        """Raises EdnError if something is still open."""
        if len(self._stack) > 1 or self._pieces:
            opened = self._stack[-1][0]
            raise IncompleteError(f"ends inside a form; close {'the string' if self._pieces else repr(opened)}")
        if self._prefixes:
            raise IncompleteError(f"ends after {self._prefixes[-1][1]}, which wants a form")

    def _in_discard(self, token: str) -> bool:
        """Whether the token belongs to a form that is discarded, or begins a discard."""
        return token == DISCARD or len(self._stack) > 1 or any(prefix == DISCARD for _, prefix in self._prefixes)

    def _open(self, bracket: str) -> None:
        depth = len(self._stack)
        if depth > self._base + self._limits.nesting:  # the map of the operation counts for none
            raise EdnError(too_deep(self._limits))
        self._stack.append((bracket, []))
        if self._may_open and depth == 1 and bracket in "[(" and not self._to_be_dropped():
            self._may_open, self._base, self._may_be_form = False, 2, True
            self._prefixes.clear()

    def _to_be_dropped(self) -> bool:
        return any(prefix in (DISCARD, META) for _, prefix in self._prefixes)

    def _close(self, bracket: str) -> None:
        depth = len(self._stack)
        opened, items = self._stack[-1]
        if CLOSES.get(opened) != bracket:
            raise EdnError(f"{bracket!r} closes {opened!r}" if opened else f"{bracket!r} closes nothing")
        if self._prefixes and self._prefixes[-1][0] == depth:
            raise EdnError(f"{bracket!r} after {self._prefixes[-1][1]}, which wants a form")
        self._stack.pop()
        if depth == self._base == 2:
            self._base, self._closed = 1, True
        elif opened == "{":
            self._add(_map(items))
        else:
            self._add(_set(items) if opened == "#{" else items)

    def _add(self, form: Any) -> None:  # noqa: ANN401 - whatever EDN can say
        """Puts a form where it belongs, or drops it; what stands before it, nearest first, is done to it."""
        depth = len(self._stack)
        while self._prefixes and self._prefixes[-1][0] == depth:
            _, prefix = self._prefixes.pop()
            if prefix == META:
                self._prefixes.append((depth, WITH_META))
                return
            if prefix == DISCARD:
                return
            if prefix != WITH_META:
                form = _tagged(prefix, form)
        if depth == 2 and self._may_be_form:
            self._may_be_form = False
            if not isinstance(form, dict | list):
                self._base = 1
        self._stack[-1][1].append(form)


def _text(quoted: str) -> object:
    """A text, or a regular expression, in which a backslash is one."""
    return Word(quoted) if quoted.startswith("#") else text(quoted)


def _tagged(tag: str, form: Any) -> Any:  # noqa: ANN401 - whatever EDN can say
    """A record is its map, a tuple its vector; but #inst "2026" is not the text "2026"."""
    if tag.startswith(NAMESPACED):
        if not isinstance(form, dict):
            raise EdnError(f"{tag} before {form!r}, where a map is wanted")
        return {_named(tag.removeprefix(NAMESPACED), key): value for key, value in form.items()}
    if isinstance(form, list) and len(form) == 2 and PAIR.search(tag):
        return Pair(form)
    return form if isinstance(form, dict | list) else Word(f"{tag} {form!r}")


def _named(namespace: str, key: object) -> object:
    """The key of a map with a namespace: a keyword or symbol that has none is in that one, those in _ are in none."""
    if type(key) is not Word or key.text[0] in "#\\":
        return key
    colon = ":" if key.text[0] == ":" else ""
    name = key.text.removeprefix(":")
    if name.startswith("_/"):
        return Word(colon + name[2:])
    return key if "/" in name else Word(f"{colon}{namespace}/{name}")


def _map(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise EdnError("a map with a key that has no value")
    found: dict[Any, Any] = {}
    for place in range(0, len(items), 2):
        key = items[place]
        if type(key) is not Word:
            key = _hashable(key)
        if key in found:
            raise EdnError(f"a map with the key {key!r} twice")
        found[key] = items[place + 1]
    return found


def _hashable(form: object) -> object:
    """The form as it stands in a set or as a key; what has been made to be that already is not gone through again."""
    if isinstance(form, Set | Map):
        return form
    return tuple(map(_hashable, form)) if isinstance(form, list) else freeze(form)


def _set(items: list[Any]) -> Set:
    found = Set(map(_hashable, items))
    if len(found) < len(items):
        raise EdnError("a set with an element twice")
    return found
