"""Replays: a recorded failure again, and what follows from how often it came back.

Lives here: which test that is, where two runs first differ, how failures are counted. Must not live here: running
anything, or what is printed (`harness.commands.replay`).

The simulator makes the same run again from the definition: its digest must come out equal, else nothing was replayed.
On real nodes timing is never the same twice. There the recorded schedule is issued again, some number of times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

import msgspec

import harness
from checkers.result import Verdict
from harness.artefact import Artefact, failure_of
from harness.bound import upper_bound
from harness.environments.sim.environment import SimEnvironment
from harness.escape import short
from harness.judge import Results
from harness.signature import Signature
from harness.store import HISTORY
from harness.test import Test, with_schedule
from harness.untrusted import BadRecord, require_file

GOOD, BAD, CANNOT_TELL = 0, 1, 125
"""What `git bisect run` takes for an answer."""

_OF_ONE_PLACE = ("clock", "base_image", "subnet", "hosts", "identity", "known_hosts", "accept_unknown_hosts")
"""Of a definition, what means nothing in another environment."""

_CONFIDENCE = 0.95
_LONGEST_LINE = 1 << 20


def repeats(artefact: Artefact, environment: str) -> bool:
    """Whether a run there is the recorded run itself, and not another one under the same faults."""
    return environment == artefact.definition.environment == SimEnvironment.name


def definition_of(artefact: Artefact, environment: str, number: int, aim_anew: bool = False) -> Test:
    """The definition of the replay of that number, from 0.

    In the simulator only seeds tell replays apart: the first has the recorded one, the next those that follow it. With
    `aim_anew` a fault that wanted the leader hits whoever leads now, instead of the node that led then.
    """
    seed = artefact.seed + (number if environment == SimEnvironment.name else 0)
    test = msgspec.structs.replace(artefact.definition, seed=seed, version=harness.__version__)
    if repeats(artefact, environment):
        return test
    schedule = tuple(
        msgspec.structs.replace(window, resolved=None if aim_anew else window.resolved) for window in artefact.schedule
    )
    if environment != test.environment:
        usual = {field.name: field.default for field in msgspec.structs.fields(Test) if field.name in _OF_ONE_PLACE}
        test = msgspec.structs.replace(test, environment=environment, **usual)
    return with_schedule(test, schedule)


# -- the same run ------------------------------------------------------------------------------------------------------


class Difference(msgspec.Struct, frozen=True):
    """Where two files of runs first differ: the number of the line from 0, which in a history is an event's index.

    A line is None where its file has ended.
    """

    file: str
    index: int
    recorded: str | None
    replayed: str | None

    def __str__(self) -> str:
        where = f"event {self.index}" if self.file == HISTORY else f"{self.file}, line {self.index + 1}"
        recorded, replayed = (line or "(there is no such line)" for line in (self.recorded, self.replayed))
        return f"they differ first at {where}:\n  recorded {recorded}\n  replayed {replayed}"


def first_difference(recorded: Path, replayed: Path) -> Difference | None:
    """Where two run directories first differ: in their histories, else in what their nodes traced. None if nowhere.

    None too if the recorded history is not there.
    """
    names = [HISTORY, *sorted(str(file.relative_to(recorded)) for file in recorded.glob("*/trace.jsonl"))]
    for name in names:
        if _is_there(recorded / name) and (found := _difference(recorded / name, replayed / name, name)):
            return found
    return None


def _difference(recorded: Path, replayed: Path, name: str) -> Difference | None:
    if not _is_there(replayed):
        return Difference(name, 0, None, None)
    with recorded.open("rb") as old, replayed.open("rb") as new:
        for index, (was, now) in enumerate(zip_longest(_lines(old), _lines(new))):
            if was != now:
                return Difference(name, index, _text(was), _text(now))
    return None


def _is_there(path: Path) -> bool:
    try:
        require_file(path)
    except BadRecord:
        return False
    return True


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines, a very long one in pieces."""
    return iter(lambda: file.readline(_LONGEST_LINE), b"")


def _text(line: bytes | None) -> str | None:
    return None if line is None else short(line.decode(errors="replace").rstrip("\n"), 2000)


# -- how often ---------------------------------------------------------------------------------------------------------


class Tally(msgspec.Struct, frozen=True):
    """How many of the conclusive replays failed as `failure` says, and what that tells of the rate.

    `other` failed in another way; without a `failure` to compare to, there is no other way. `low` and `high` are the
    ends of the exact interval (Clopper and Pearson, 1934) of 95 % confidence. Replays of which nothing is known count
    nowhere but in `unknown`.
    """

    failure: Signature | None
    failed: int
    other: int
    conclusive: int
    unknown: int
    low: float
    high: float

    def __str__(self) -> str:
        if not self.conclusive:
            return f"nothing is known: none of {self.unknown} replays came to a verdict"
        how = f" as recorded ({self.failure})" if self.failure else ""
        others = f", {self.other} in another way" if self.other else ""
        unknown = f"; of {self.unknown} more nothing is known" if self.unknown else ""
        rate = f"between {self.low:.1%} and {self.high:.1%} of all would, with 95 % confidence"
        return f"{self.failed} of {self.conclusive} replays failed{how}{others}{unknown}: {rate}"


def tally(failure: Signature | None, outcomes: Sequence[Results]) -> Tally:
    """The tally of these replays of a run that failed that way."""
    same = [same_failure(failure, failure_of(results)) for results in outcomes if results.verdict == Verdict.INVALID]
    conclusive = sum(results.verdict != Verdict.UNKNOWN for results in outcomes)
    low, high = interval(sum(same), conclusive)
    return Tally(failure, sum(same), len(same) - sum(same), conclusive, len(outcomes) - conclusive, low, high)


def same_failure(recorded: Signature | None, found: Signature | None) -> bool:
    """Whether both are violations of one rule. Every failure is the same as none: there is nothing to compare it to."""
    if recorded is None or found is None:
        return found is not None
    return (recorded.checker, recorded.rule) == (found.checker, found.rule)


def interval(failed: int, runs: int, confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval for the rate of which so many failures of so many runs are a sample."""
    if runs == 0:
        return 0.0, 1.0
    one_sided = (1 + confidence) / 2
    return 1 - upper_bound(runs - failed, runs, one_sided), upper_bound(failed, runs, one_sided)


def bisect_code(failure: Signature | None, outcomes: Sequence[Results]) -> int:
    """What `git bisect run` is to be told: 1 if the recorded check fails, 0 if all is valid, 125 if neither is known.

    The check is enough: what one bug looks like may change from version to version.
    """
    found = [failed for results in outcomes if (failed := failure_of(results)) is not None]
    if any(failure is None or one.checker == failure.checker for one in found):
        return BAD
    valid = bool(outcomes) and all(results.verdict == Verdict.VALID for results in outcomes)
    return GOOD if valid else CANNOT_TELL
