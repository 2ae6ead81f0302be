"""EDN, the notation of Jepsen's histories: text in, values out, form by form while lines come in.

Lives here: the notation, and which values are the same. As in Clojure a keyword, a symbol and a character equal no
text, 1 equals neither 1.0 nor 1M, sets have no order, and a list equals a vector. What the maps of a history mean is
`checkers.formats.jepsen_edn`'s.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import msgspec

from checkers.history import HistoryError
from checkers.limits import DEFAULT, Limits, make_room, too_deep
from checkers.values import freeze

DELIMITERS = r'\s,;"\[\](){}'
TOKEN = re.compile(
    r'[\s,]+|;[^\n]*|(?P<open>#\{|[\[({])|(?P<close>[\])}])|(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")'
    rf"|(?P<atom>(?:\#\#)?[^{DELIMITERS}\\#@^`~'][^{DELIMITERS}\\]*)|(?P<character>\\\S[^{DELIMITERS}\\]*)"
    rf"|(?P<discard>\#_)|(?P<tag>\#[^\W\d_][^{DELIMITERS}\\#]*)|(?P<bad>.)",
    re.DOTALL,
)
CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
WORDS: dict[str, object] = {"nil": None, "true": True, "false": False}
NUMBER = re.compile(r"[+-]?\d")
INTEGER = re.compile(r"([+-]?(?:0|[1-9]\d*))N?", re.ASCII)
HEXADECIMAL = re.compile(r"[+-]?0[xX][0-9a-fA-F]+N?")
FLOAT = re.compile(r"([+-]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?)(M?)", re.ASCII)
RATIO = re.compile(r"[+-]?\d+/\d+", re.ASCII)
INFINITE = {"##Inf": "inf", "##-Inf": "-inf"}
LINES_OF_ONE_FORM = 1000
DISCARD = "#_"


class EdnError(ValueError):
    """Text that is no EDN. The message is one line, without the place."""


class IncompleteError(EdnError):
    """The text ends inside a form."""


class Word(msgspec.Struct, frozen=True):
    """A keyword, symbol or character, or a tagged text or number, as EDN spells it; equal to no text."""

    text: str

    def __repr__(self) -> str:
        return self.text


class Float(float):
    """A floating-point number that equals no whole one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and float(self) == float(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = float.__hash__


class Number(msgspec.Struct, frozen=True):
    """A decimal (0.1M) or a ratio (1/2), which equals no number of another kind."""

    kind: str
    value: Decimal | Fraction

    def __repr__(self) -> str:
        return f"{self.value}{self.kind}"


class Set(frozenset[object]):
    """A set, shown in an order that does not depend on the process."""

    def __repr__(self) -> str:
        return f"#{{{' '.join(sorted(map(repr, self)))}}}"


class Map(msgspec.Struct, frozen=True):
    """A map where it must have a hash: in a set, or as the key of another."""

    items: frozenset[tuple[object, object]]

    def __repr__(self) -> str:
        return f"{{{', '.join(sorted(f'{key!r} {value!r}' for key, value in self.items))}}}"


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
        if reader.inside and number - reader.first >= LINES_OF_ONE_FORM:
            raise HistoryError(f"{source}:{reader.first}: a form that {LINES_OF_ONE_FORM} lines do not close")
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
    form under way began, `inside` whether there is one.
    """

    def __init__(self, around: bool = False, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self.first = 0
        self._may_open = around
        self._closed = False  # the vector around all forms
        self._base = 1
        self._stack: list[tuple[str, list[Any]]] = [("", [])]
        self._prefixes: list[tuple[int, str]] = []  # tags and discards that wait for a form, with its depth
        self._text = ""  # of a string that is not closed yet

    @property
    def inside(self) -> bool:
        return len(self._stack) > self._base or bool(self._text)

    def feed(self, text: str, line: int) -> Iterator[tuple[int, Any]]:
        """(first line, form) of each form that this text ends. Raises EdnError."""
        if self._text:
            text, self._text = self._text + text, ""
        stack = self._stack
        for match in TOKEN.finditer(text):
            kind = match.lastgroup
            if kind is None:
                continue
            token = match[0]
            if len(stack) == self._base:
                self.first = line
            if kind == "bad":
                if token != '"':
                    raise EdnError(f"unexpected {token!r}")
                self._text = text[match.start() :]
                return
            if self._closed and not self._in_discard(kind):
                raise EdnError(f"{token!r} after the bracket that closes the history")
            if kind == "close":
                self._close(token)
            elif kind == "open":
                self._open(token)
            elif kind == "discard" or kind == "tag":
                self._prefixes.append((len(stack), token))
            else:
                self._add(_text(token) if kind == "text" else _atom(token) if kind == "atom" else _character(token))
            if len(stack) == self._base and stack[-1][1]:
                self._may_open = False
                yield self.first, stack[-1][1].pop()

    def end(self) -> None:
        """Raises EdnError if something is still open."""
        if len(self._stack) > 1 or self._text:
            opened = self._stack[-1][0] or '"'
            raise IncompleteError(f"ends inside a form; close {'the string' if self._text else repr(opened)}")
        if self._prefixes:
            raise IncompleteError(f"ends after {self._prefixes[-1][1]}, which wants a form")

    def _in_discard(self, kind: str) -> bool:
        """Whether the token belongs to a form that is discarded, or begins a discard."""
        return kind == "discard" or len(self._stack) > 1 or any(prefix == DISCARD for _, prefix in self._prefixes)

    def _open(self, bracket: str) -> None:
        depth = len(self._stack)
        if depth > self._base + self._limits.nesting:  # the map of the operation counts for none
            raise EdnError(too_deep(self._limits))
        make_room(self._limits, depth)
        self._stack.append((bracket, []))
        if self._may_open and depth == 1 and bracket in "[(" and all(prefix != DISCARD for _, prefix in self._prefixes):
            self._may_open, self._base = False, 2
            self._prefixes.clear()

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
            if prefix == DISCARD:
                return
            # a record is its map, a tuple its vector; but #inst "2026" is not the text "2026"
            form = form if isinstance(form, dict | list) else Word(f"{prefix} {form!r}")
        self._stack[-1][1].append(form)


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


def _set(items: list[Any]) -> Set:
    found = Set(map(_hashable, items))
    if len(found) < len(items):
        raise EdnError("a set with an element twice")
    return found


def _hashable(form: object) -> object:
    """The form as it stands in a set or as a key."""
    if isinstance(form, dict):
        return Map(frozenset((key, _hashable(value)) for key, value in form.items()))
    return tuple(map(_hashable, form)) if isinstance(form, list) else freeze(form)


@lru_cache(maxsize=1 << 12)
def _atom(word: str) -> object:
    if word in WORDS:
        return WORDS[word]
    if NUMBER.match(word):
        return _number(word)
    if word.startswith("##"):
        if word in INFINITE:
            return Float(INFINITE[word])
        if word != "##NaN":
            raise EdnError(f"unexpected {word!r}")
    if word in (":", "/:") or word.startswith("::") or word.endswith(":"):
        raise EdnError(f"{word!r} is neither a keyword nor a symbol")
    return Word(word)


def _number(word: str) -> object:
    whole = INTEGER.fullmatch(word)
    if whole:
        try:
            return int(whole[1])
        except ValueError:
            raise EdnError(f"an integer of {len(word)} digits, which is too many") from None
    if HEXADECIMAL.fullmatch(word):
        return int(word.rstrip("N"), 16)
    broken = FLOAT.fullmatch(word)
    if broken:
        value, exact = broken.groups()
        return Number("M", Decimal(value)) if exact else Float(value)
    if RATIO.fullmatch(word):
        over, under = map(int, word.split("/"))
        if under:
            ratio = Fraction(over, under)
            return ratio.numerator if ratio.denominator == 1 else Number("", ratio)
    raise EdnError(f"{word!r} is no number")


def _character(token: str) -> Word:
    """The character, spelled by itself however it was spelled."""
    name = token[1:]
    if name in CHARACTERS:
        name = CHARACTERS[name]
    elif len(name) == 5 and ESCAPE.fullmatch(token):
        name = chr(int(name[1:], 16))
    if len(name) != 1:
        raise EdnError(f"{token} is no character")
    return Word(f"\\{name}")


def _text(quoted: str) -> str:
    text = quoted[1:-1]
    if "\\" not in text:
        return text
    # Java's texts are UTF-16, so two escapes may be one character
    return ESCAPE.sub(_escaped, text).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _escaped(found: re.Match[str]) -> str:
    escape = found[1]
    if escape in ESCAPES:
        return ESCAPES[escape]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    raise EdnError(f"a text with the unknown escape \\{escape}")
