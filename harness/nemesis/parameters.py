"""Numbers as people write them: `2s`, `50ms`, `20%`, `1mbit`, `256M`.

Lives here: what units there are and how they are read and written. Must not live here: what a number is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

_MS: Mapping[str, float] = {"s": 1000, "ms": 1, "": 1000}
_SHARE: Mapping[str, float] = {"%": 0.01, "": 1}
_KBIT: Mapping[str, float] = {"kbit": 1, "mbit": 1000, "gbit": 1_000_000}
_MEGABYTES: Mapping[str, float] = {"M": 1, "G": 1024}
_FACTOR: Mapping[str, float] = {"x": 1, "": 1}
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)([a-zA-Z%]*)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number: its unit, what it may be, and an example of how it is written."""

    unit: Mapping[str, float]
    example: str
    least: float = 0.0
    most: float = 1e12

    @property
    def usual(self) -> float:
        """The number of the example, which is what a fault takes that draws none."""
        return self.read(self.example)

    def read(self, text: str) -> float:
        """The number in the unit it is kept in (milliseconds, a share, kbit, megabytes). Raises ValueError."""
        match = _NUMBER.fullmatch(text)
        if match is None or match[2] not in self.unit:
            raise ValueError(f"{text} is not a number such as {self.example}")
        value = float(Decimal(match[1]) * _exactly(self.unit[match[2]]))
        if not self.least <= value <= self.most:
            raise ValueError(f"{text} is out of range; something like {self.example} would be right")
        return value

    def write(self, value: float) -> str:
        """The text that `read` reads back."""
        suffix, factor = next((suffix, factor) for suffix, factor in self.unit.items() if factor <= 1)
        return f"{_exactly(value) / _exactly(factor):f}{suffix}"


def plain(value: float) -> str:
    """The number with all its digits and no exponent, so that it is read back as it was."""
    return f"{_exactly(value):f}"


def _exactly(value: float) -> Decimal:
    """The shortest decimal fraction that stands for the number."""
    return Decimal(repr(value)).normalize()


def time_ms(example: str, least: float = 0.0, most: float = 1e12) -> Parameter:
    """A time, kept in milliseconds; without a unit it means seconds."""
    return Parameter(_MS, example, least, most)


def share(example: str, most: float = 1.0) -> Parameter:
    """A part of all, kept as a number between 0 and 1."""
    return Parameter(_SHARE, example, 0.0, most)


def rate_kbit(example: str) -> Parameter:
    return Parameter(_KBIT, example, 1.0)


def size_megabytes(example: str) -> Parameter:
    return Parameter(_MEGABYTES, example, 1.0)


def factor(example: str, least: float, most: float) -> Parameter:
    return Parameter(_FACTOR, example, least, most)
