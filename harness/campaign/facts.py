"""What a run directory says: from its files, of whatever version, to the facts of a row.

Lives here: the one place that reads `results.json` and `test.json`, tolerantly, since they outlive the code that wrote
them. Must not live here: how the run was started, or judging it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from checkers import formats
from checkers.history import Event
from checkers.result import Verdict, merge
from checkers.stats import Statistics, Window, statistics
from harness import untrusted
from harness.campaign.row import Outcome
from harness.nemesis.fault import believed
from harness.nemesis.schedule import begin_of, paired
from harness.shortage import OUT_OF_MEMORY
from harness.signature import Signature, signature_of
from harness.store import DEFINITION, HISTORY, RESULTS
from harness.untrusted import BadRecord, Count, Integer

T = TypeVar("T")

_Second = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class _Check(msgspec.Struct, frozen=True):
    verdict: Verdict
    reason: str = ""
    detail: str = ""


class SavedFault(msgspec.Struct, frozen=True):
    """A window of a fault. Seconds since the start; it is `proved` if something attests that it had its effect."""

    fault: str
    asked: object = None
    resolved: object = None
    begin: _Second | None = None
    end: _Second | None = None
    evidence: object = None
    effect: object = None
    lost: str | None = None

    @property
    def proved(self) -> bool:
        return believed(self.evidence) and self.lost is None


class SavedResults(msgspec.Struct, frozen=True):
    """`results.json`."""

    verdict: Verdict
    reason: str
    checks: Mapping[str, _Check] = {}
    operations: Mapping[str, Count] = {}
    faults: object = None
    leader_changes: Count | None = None
    seed: Integer | None = None
    version: str = ""
    command: str = ""

    @property
    def contradiction(self) -> str | None:
        """What is wrong if the checks have another verdict than the whole."""
        found = merge(check.verdict for check in self.checks.values()) if self.checks else self.verdict
        return None if found is self.verdict else f"it is {self.verdict}, but its checks are {found}"

    @property
    def outcome(self) -> Outcome:
        """Unknown, if nothing but a fault without effect stands in the way of valid, is inconclusive."""
        if self.verdict is not Verdict.UNKNOWN:
            return Outcome(self.verdict.value)
        unproven = [name for name, check in self.checks.items() if check.verdict is Verdict.UNKNOWN]
        return Outcome.INCONCLUSIVE if unproven == ["nemesis"] else Outcome.UNKNOWN

    @property
    def ending(self) -> tuple[Outcome, str]:
        """What became of the run, and how it ended: the check that there was no memory for says so in the results."""
        short = self.verdict is Verdict.UNKNOWN and self.reason.startswith(OUT_OF_MEMORY)
        return (Outcome.CRASH, OUT_OF_MEMORY) if short else (self.outcome, "ended")

    @property
    def signature(self) -> Signature | None:
        """Of the check that made it invalid."""
        broken = ((name, check) for name, check in self.checks.items() if check.verdict is Verdict.INVALID)
        return next((signature_of(name, check.reason, check.detail) for name, check in broken), None)

    @property
    def fault_rows(self) -> list[SavedFault]:
        """The windows of faults. What another version has written otherwise is left out."""
        listed = self.faults if isinstance(self.faults, list) else []
        rows = (converted(row, SavedFault) for row in listed)
        return [row for row in rows if row is not None]

    def attested(self) -> dict[str, int]:
        """How many windows of each kind of fault had an effect that something attests."""
        counts = dict.fromkeys((row.fault for row in self.fault_rows), 0)
        for row in self.fault_rows:
            counts[row.fault] += row.proved
        return counts


class SavedTest(msgspec.Struct, frozen=True):
    """`test.json`: as much as it says in every version."""

    environment: str = "unknown"
    mutant: str | None = None
    nodes: object = None
    seed: Integer | None = None
    version: str = ""

    @property
    def node_count(self) -> int:
        """How many nodes there were; 0 if it does not say."""
        return len(self.nodes) if isinstance(self.nodes, list) else 0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of a run that ended by itself."""

    results: SavedResults
    statistics: Statistics | None
    minority_leader_cuts: int = 0
    majority_leader_cuts: int = 0


def read_facts(directory: Path) -> Facts | None:
    """The facts of a run; None if it has no results that can be read: it did not end. Reads the whole history."""
    results = read_results(directory)
    if results is None:
        return None
    events = _events(directory / HISTORY)
    if events is None:
        return Facts(results=results, statistics=None)
    windows, cuts = _windows(results), _cuts(events)
    nodes = read_test(directory).node_count
    sides = [side_of(str(leader), drops, nodes) for drops, leaders in cuts for leader in leaders if nodes]
    return Facts(
        results=results,
        statistics=_statistics(events, windows),
        minority_leader_cuts=sides.count("minority"),
        majority_leader_cuts=sides.count("majority"),
    )


def read_results(directory: Path) -> SavedResults | None:
    """`results.json`, None if there is none, or none that makes sense."""
    return read_json(directory / RESULTS, SavedResults)


def read_test(directory: Path) -> SavedTest:
    """`test.json`; if there is none, or none that makes sense, one that says nothing."""
    return read_json(directory / DEFINITION, SavedTest) or SavedTest()


def read_json(path: Path, kind: type[T]) -> T | None:
    """A JSON file as a value of that kind; None if it is absent or does not hold one."""
    try:
        return untrusted.load(path, kind)
    except BadRecord:
        return None


def converted(value: object, kind: type[T]) -> T | None:
    """The JSON value as one of that kind; None if it is not one."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def _events(path: Path) -> list[Event] | None:
    """The events of a history, up to where it is readable; None if there is none."""
    try:
        untrusted.require_file(path)
        with formats.open_binary(path) as lines:
            return [event for _, event in formats.jsonl.events(lines, str(path), "drop")]
    except (OSError, ValueError, BadRecord):
        return None


def _statistics(events: Sequence[Event], windows: Sequence[Window]) -> Statistics | None:
    try:
        return statistics(events, windows)
    except OverflowError:  # times that no clock shows
        return None


def _windows(results: SavedResults) -> list[Window]:
    return [
        (int(row.begin * 1e9), None if row.end is None else int(row.end * 1e9))
        for row in results.fault_rows
        if row.begin is not None
    ]


class _Drops(msgspec.Struct, frozen=True):
    drops: Mapping[str, list[str]] = {}


class _Cut(msgspec.Struct, frozen=True):
    """What a partition became, as the history has it: who drops whose packets, and who led when it was made."""

    resolved: _Drops
    leaders: list[str] = []
    evidence: object = None


def _cuts(events: Sequence[Event]) -> list[tuple[Mapping[str, list[str]], list[str]]]:
    """Each partition that was seen to be made: who drops whose packets, and the leaders at that time."""
    values = [completion.value for begun, completion in paired(events) if begun.f == begin_of("partition")]
    # One that failed, or found nothing to cut, has no such value.
    cuts = (converted(value, _Cut) for value in values)
    return [(cut.resolved.drops, cut.leaders) for cut in cuts if cut is not None and cut.evidence]


def side_of(node: str, drops: Mapping[str, Sequence[str]], nodes: int) -> str:
    """`majority` if the node still talks, both ways, with a majority of `nodes` (itself counted), else `minority`."""
    cut_off = set(drops.get(node, ())) | {other for other, sources in drops.items() if node in sources}
    return "majority" if 2 * (nodes - len(cut_off - {node})) > nodes else "minority"
