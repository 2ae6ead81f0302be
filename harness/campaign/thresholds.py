"""Thresholds on what users feel, such as `p99<500ms`.

Lives here: their grammar, and whether a row keeps one. Pure. Must not live here: what follows for a gate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.campaign.row import Row

_METRICS = {
    "p50": ("p50_ms", "time"),
    "p95": ("p95_ms", "time"),
    "p99": ("p99_ms", "time"),
    "max": ("max_ms", "time"),
    "recovery": ("recovery_s", "time"),
    "availability": ("availability", "share"),
    "rate": ("rate", "rate"),
}
"""By name, the field of `checkers.stats.Statistics`, and which units its bound may have."""

_UNITS = {
    "time": {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0},
    "share": {"%": 0.01, "": 1.0},
    "rate": {"/s": 1.0, "": 1.0},
}
_SYNTAX = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(\S*)\s*")
_WANTED = (
    f"write METRIC<NUMBER UNIT, such as p99<500ms, availability>99% or recovery<10s; metrics: {', '.join(_METRICS)}"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound on one figure of every conclusive run. Times are compared in seconds."""

    text: str
    metric: str
    above: bool
    inclusive: bool
    bound: float

    def asks(self, row: Row) -> bool:
        """Whether the run can have that figure at all: without a fault there is nothing to recover from."""
        return self.metric != "recovery" or bool(row.faults)

    def kept(self, row: Row) -> bool | None:
        """Whether the run keeps it; None if it does not have that figure."""
        figure = self.figure(row)
        if figure is None:
            return None
        if figure == self.bound:
            return self.inclusive
        return (figure > self.bound) == self.above

    def figure(self, row: Row) -> float | None:
        """The run's own figure, in the unit of the bound."""
        field, _ = _METRICS[self.metric]
        value: float | None = getattr(row.statistics, field, None)
        return value if value is None or not field.endswith("_ms") else value / 1e3

    def show(self, row: Row) -> str:
        """The run's figure for people."""
        figure = self.figure(row)
        if figure is None:
            return "not known"
        kind = _METRICS[self.metric][1]
        if kind == "time":
            return f"{1e3 * figure:.1f} ms" if figure < 1 else f"{figure:.2f} s"
        return f"{100 * figure:.2f} %" if kind == "share" else f"{figure:.1f}/s"

    def worst(self, rows: list[Row]) -> Row:
        """The run that is furthest on the wrong side, or nearest to it. All must have the figure."""
        return (min if self.above else max)(rows, key=lambda row: self.figure(row) or 0.0)


def parse_threshold(text: str) -> Threshold:
    """The threshold that the text says. Raises ValueError with what would be right."""
    match = _SYNTAX.fullmatch(text)
    if match is None or match[1] not in _METRICS:
        raise ValueError(f"{text}: {_WANTED}")
    metric, comparison, number, unit = match.groups()
    units = _UNITS[_METRICS[metric][1]]
    if unit not in units:
        raise ValueError(f"{text}: {metric} is in {' or '.join(unit or 'a plain number' for unit in units)}")
    bound = float(number) * units[unit]
    return Threshold(re.sub(r"\s", "", text), metric, comparison[0] == ">", comparison.endswith("="), bound)
