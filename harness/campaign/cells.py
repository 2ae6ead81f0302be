"""Cells and jobs: a cell is one combination of a plan's axes, a job is a cell with a seed.

Lives here: their names, and the command-line words that make them runs. Pure. Must not live here: which of them a plan
has (`expand`), or running them.
"""

from __future__ import annotations

import shlex
from itertools import pairwise

import msgspec

from harness.untrusted import Integer

_WORDS = {
    "env": "--env",
    "nodes": "--nodes",
    "workload": "--workload",
    "nemesis": "--nemesis",
    "concurrency": "--concurrency",
    "rate": "--rate",
    "interval": "--interval",
    "time_limit": "--time-limit",
    "mutant": "--mutant",
    "hosts": "--hosts",
}
"""The fields of a cell, and the option of `splitbrain run` that each becomes."""


class Cell(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One combination of a plan's axes. What is None is left to `splitbrain run`."""

    env: str
    nodes: Integer | None = None
    workload: str | None = None
    nemesis: str | None = None
    concurrency: str | None = None
    rate: float | None = None
    interval: float | None = None
    time_limit: float | None = None
    mutant: str | None = None
    hosts: str | None = None

    def words(self) -> list[str]:
        """The options of `splitbrain run` that make runs of this cell."""
        given = [(option, getattr(self, name)) for name, option in _WORDS.items()]
        return [word for option, value in given if value is not None for word in (option, plain(value))]

    def __str__(self) -> str:
        """The cell in one line: `sim nodes=5 nemesis=partition,kill`."""
        rest = [(name, getattr(self, name)) for name in _WORDS if name != "env"]
        return " ".join([self.env, *(f"{name}={plain(value)}" for name, value in rest if value is not None)])


class Job(msgspec.Struct, frozen=True):
    """A run that is to be made: the cell with that number, under that seed. Its key is unique in its campaign."""

    number: int
    cell: Cell
    seed: int

    @property
    def key(self) -> str:
        return f"{self.number:03d}-{self.seed}"


def plain(value: object) -> str:
    """A value as a person would write it on a command line."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def cell_of_command(command: str) -> tuple[Cell, int] | None:
    """The cell and seed of a `splitbrain run` command line; None if it is not one that says them."""
    try:
        given = dict(pairwise(shlex.split(command)))
        fields = {name: given[option] for name, option in _WORDS.items() if option in given}
        return msgspec.convert(fields, Cell, strict=False), msgspec.convert(given["--seed"], Integer, strict=False)
    except (ValueError, KeyError):  # of which msgspec's are, too
        return None
