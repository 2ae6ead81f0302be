"""The atoms of EDN: numbers, characters, texts, keywords and symbols, as Clojure's reader takes them.

Lives here: how an atom is spelled, and what it equals. As in Clojure a keyword, a symbol and a character equal no text,
and 1 equals neither 1.0 nor 1M.
"""

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

import msgspec

ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
CODED = re.compile(r"u([0-9a-fA-F]{4})|o([0-7]{1,3})")
WORDS: dict[str, object] = {"nil": None, "true": True, "false": False}
NUMBER = re.compile(r"[+-]?\d", re.ASCII)
INTEGER = re.compile(
    r"([+-]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|(?P<radix>[1-9]\d?)[rR](?P<digits>[0-9A-Za-z]+)|0(?P<o>[0-7]+)|(?P<d>0|[1-9]\d*))N?",
    re.ASCII,
)
FLOAT = re.compile(r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(M?)", re.ASCII)
RATIO = re.compile(r"([+-]?\d+)/(\d+)", re.ASCII)
SYMBOLIC: dict[str, str] = {"##Inf": "inf", "##-Inf": "-inf"}
MOST_DIGITS = 2500  # of a number; Python shows none of more than 4,300 decimal ones
LARGEST_OCTAL = 0o377


class EdnError(ValueError):
    """Text that is no EDN. The message is one line, without the place."""


class Word(msgspec.Struct, frozen=True):
    """A keyword, symbol, character or regular expression, or a tagged text or number, as EDN spells it; no text."""

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


@lru_cache(maxsize=1 << 12)
def atom(word: str) -> object:
    """What stands without brackets or quotes. Raises EdnError."""
    if word in WORDS:
        return WORDS[word]
    if NUMBER.match(word):
        return _number(word)
    if word.startswith("##"):
        if word in SYMBOLIC:
            return Float(SYMBOLIC[word])
        if word != "##NaN":
            raise EdnError(f"unexpected {word!r}")
    if word in (":", "/:") or word.startswith("::") or word.endswith(":"):
        raise EdnError(f"{word!r} is neither a keyword nor a symbol")
    return Word(word)


def _number(word: str) -> object:
    if len(word) > MOST_DIGITS:
        raise EdnError(f"a number of {len(word)} digits, which is too many")
    whole = INTEGER.fullmatch(word)
    if whole:
        return _integer(word, whole)
    broken, ratio = FLOAT.fullmatch(word), RATIO.fullmatch(word)
    if broken and not (word.lstrip("+-").isdecimal()):  # 08 is no octal, and no decimal either
        return _float(*broken.groups())
    if ratio and int(ratio[2]):
        found = Fraction(int(ratio[1]), int(ratio[2]))
        return found.numerator if found.denominator == 1 else Number("", found)
    raise EdnError(f"{word!r} is no number")


def _integer(word: str, found: re.Match[str]) -> int:
    digits, base = found["d"], 10
    for name, its in (("x", 16), ("o", 8), ("digits", int(found["radix"] or 0))):
        if found[name] is not None:
            digits, base = found[name], its
    try:
        return int(found[1] + digits, base)
    except ValueError:
        raise EdnError(f"{word!r} is no number") from None


def _float(digits: str, exact: str) -> object:
    if not exact:
        return Float(digits)
    try:
        return Number("M", Decimal(digits))
    except InvalidOperation:
        raise EdnError(f"{digits}M is out of range") from None


def character(token: str) -> Word:
    """The character, spelled by itself however it was spelled. Raises EdnError."""
    name = token[1:]
    coded = CODED.fullmatch(name)
    if name in CHARACTERS:
        name = CHARACTERS[name]
    elif coded:
        code = int(coded[1], 16) if coded[1] else int(coded[2], 8)
        if 0xD800 <= code <= 0xDFFF or (coded[2] and code > LARGEST_OCTAL):
            raise EdnError(f"{token} is no character")
        name = chr(code)
    if len(name) != 1:
        raise EdnError(f"{token} is no character")
    return Word(f"\\{name}")


def text(quoted: str) -> str:
    """The text between the quotes. Raises EdnError."""
    found = quoted[1:-1]
    if "\\" not in found:
        return found
    # Java's texts are UTF-16, so two escapes may be one character
    return ESCAPE.sub(_escaped, found).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _escaped(found: re.Match[str]) -> str:
    escape = found[1]
    if escape in ESCAPES:
        return ESCAPES[escape]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape[0] in "01234567" and int(escape, 8) <= LARGEST_OCTAL:
        return chr(int(escape, 8))
    raise EdnError(f"a text with the unknown escape \\{escape}")
