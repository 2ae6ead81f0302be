"""Signatures: by what two failures are told to be the same bug.

Lives here: from a failed check's reason and window to (checker, violated rule, shape of the core). Pure. Must not live
here: what is done about a failure, or which ones are known.

A signature leaves out everything that chance decides: keys, values, times, processes, which operation of several had
seen the newer value. So one bug is one row, however often it shows. The price is that two bugs which look alike from
outside, such as two causes of stale reads, are one row as well.
"""

from __future__ import annotations

import re

import msgspec

_ROW = re.compile(
    r"^  (?P<mark>[> ]) +-?[\d.]+ \.\. +(?:-?[\d.]+|open)  \S+: (?P<f>\S+)"
    r"(?: \[(?P<key>[^\]]*)\])?(?: (?P<argument>.*?))?"
    r" -> (?P<outcome>.*?)(?: @(?P<version>\d+))?$"
)
"""A line of a violation's window, as `checkers.result` prints it. What has no key but a list has that for a key."""

_CHANCE = re.compile(r"\([^()]*\)|'[^']*'|\"[^\"]*\"|\b[a-z]*\d[\w.]*\b|\bkey \S+")


class Signature(msgspec.Struct, frozen=True, order=True):
    """Which check failed, which rule of its was violated, and the shape of the smallest window that shows it."""

    checker: str
    rule: str
    shape: str = ""

    def __str__(self) -> str:
        return f"{self.checker}: {self.rule}" + (f" ({self.shape})" if self.shape else "")


class _Seen(msgspec.Struct, frozen=True):
    """One operation of a window: its kind, and which value it saw or wrote at which version."""

    kind: str
    value: str
    version: int | None
    blocked: bool


def signature_of(checker: str, reason: str, detail: str) -> Signature:
    """The signature of a check that came out as invalid, from its reason and its window."""
    window = [_seen(match) for line in detail.splitlines() if (match := _ROW.match(line))]
    blocked = next((one for one in window if one.blocked), None)
    if blocked is None:
        return Signature(checker, without_chance(reason))
    others = [one for one in window if not one.blocked]
    if any(one.version == blocked.version and one.value != blocked.value for one in others if one.version is not None):
        return Signature(checker, "two values under one version", blocked.kind)
    if blocked.version is not None and len(others) == 1 and others[0].version is not None:
        direction = "back" if blocked.version < others[0].version else "ahead"
        return Signature(checker, f"a version goes {direction}", blocked.kind)
    kinds = sorted({one.kind for one in others})
    return Signature(checker, "no order explains it", " after ".join([blocked.kind, ", ".join(kinds)]).strip())


def _seen(match: re.Match[str]) -> _Seen:
    said, _, saw = match["outcome"].partition(", saw ")
    kind = match["f"] if said == "ok" or match["f"] == "read" else f"{match['f']} {said}"
    given = match["argument"] or (match["key"] if match["f"] == "cas" else None) or "null"
    argument = given.strip("()[]").rpartition(", ")[2]  # of a cas the second, which it wrote
    value = saw or (argument if said == "ok" else said)
    version = None if match["version"] is None else int(match["version"])
    return _Seen(kind, value, version, match["mark"] == ">")


def without_chance(reason: str) -> str:
    """The reason without its numbers, names of nodes, quotations and asides: what all runs of one cause share."""
    return re.sub(r"[\s,;:]+", " ", _CHANCE.sub("", reason)).strip()
