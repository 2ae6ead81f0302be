"""A night of runs: rows to order, and campaigns that take no time.

Lives here: what the tests of campaigns share. Must not live here: fixtures.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from checkers.stats import Statistics
from harness.campaign.cells import Cell
from harness.campaign.row import Outcome, Row
from harness.signature import Signature

CELL = Cell(env="sim", nodes=3, nemesis="partition,kill")
STALE = Signature("linearizable", "a version goes back", "read")
SHORT = ("--env", "sim", "--nodes", "3", "--nemesis", "partition,kill", "--interval", "0.4")
SHORT += ("--time-limit", "2", "--rate", "50")
"""Axes of runs that are valid and take half a second."""

BROKEN = (
    "--env",
    "sim",
    "--nemesis",
    "partition,kill,pause",
    "--interval",
    "1",
    "--time-limit",
    "10",
    "--rate",
    "100",
    "--mutant",
    "Q1",
)
"""Axes of runs that mostly are invalid."""

SEEN_BROKEN = 4
"""A seed under which `BROKEN` is invalid, as it is under the next."""


class Rows:
    """Makes rows: each its own run, a second after the one before; by default valid, with every fault attested."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, verdict: str = "valid", **fields: object) -> Row:
        number = next(self._numbers)
        defaults: dict[str, object] = {
            "run": f"night-1/{number:03d}",
            "campaign": "night-1",
            "job": f"{number:03d}",
            "cell": CELL,
            "seed": number,
            "verdict": Outcome(verdict),
            "ended": "crash" if verdict == "crash" else "ended",
            "reason": f"it is {verdict}",
            "signature": STALE if verdict == "invalid" else None,
            "began": 1000.0 + number,
            "seconds": 2.0,
            "version": "1.0",
            "command": f"splitbrain run --env sim --seed {number}",
            "operations": {"total": 100, "ok": 90, "fail": 8, "info": 2},
            "faults": {"partition": 2, "kill": 1},
            "leader_changes": 3,
            "statistics": figures(),
        }
        return Row(**{**defaults, **fields})  # type: ignore[arg-type]

    def many(self, count: int, verdict: str = "valid", **fields: object) -> list[Row]:
        return [self(verdict, **fields) for _ in range(count)]


def figures(**fields: object) -> Statistics:
    """Statistics of a run in which all went well."""
    good = Statistics(
        operations=100, rate=50.0, availability=0.98, p50_ms=2.0, p95_ms=8.0, p99_ms=20.0, max_ms=40.0, recovery_s=0.5
    )
    return msgspec.structs.replace(good, **fields)


def started(*words: object, **environment: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def the_campaign(store: Path) -> Path:
    """The one campaign of a store."""
    (definition,) = store.glob("*/campaign.json")
    return definition.parent


def summary(out: str) -> dict[str, object]:
    """The one object that a command with --json has printed."""
    assert out.count("\n") == 1, out
    return json.loads(out)
