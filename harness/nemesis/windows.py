"""What a history says of its faults: a row for each window, from the events of the nemesis. Pure.

Lives here: windows out of begins and ends, and what clients felt in between. Must not live here: judging
(`harness.judge`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from statistics import median

import msgspec
from msgspec import UNSET

from checkers.history import NEMESIS, Event
from harness.nemesis import FAULTS
from harness.nemesis.fault import believed
from harness.nemesis.schedule import begin_of, end_of, goes_on, paired, skipped

_NS = 1e9
_SLOWER = 2.0
"""An operation is called slow if it took this many times as long as the median of the whole run."""


class FaultRow(msgspec.Struct, frozen=True):
    """One window of a fault; times in seconds since the start of the run.

    `asked` is as `--nemesis` would ask for it, `resolved` what it became. `evidence` is None if nothing was seen of it,
    and names under `unseen` the nodes at which nothing was seen; `trouble` is why it could not be applied, if it could
    not; `lost` what of it did not last. `effect`: leaders and terms at both ends, and of the
    operations under way meanwhile how many ended ok, fail and info, and how many were slow.
    """

    fault: str
    asked: str
    resolved: str
    nodes: tuple[str, ...]
    begin: float
    end: float | None
    evidence: Mapping[str, object] | None
    believed_ms: float | None
    effect: Mapping[str, object]
    trouble: str | None = None
    lost: str | None = None

    @property
    def proved(self) -> bool:
        """Whether it was seen to be in force, at each of its nodes and to its end."""
        return believed(self.evidence) and self.lost is None


def fault_rows(names: Sequence[str], events: Sequence[Event]) -> tuple[FaultRow, ...]:
    """A row for each window, in the order of their begins. A fault that found nothing to hit has no window."""
    begins, ends = {begin_of(name): name for name in names}, {end_of(name): name for name in names}
    felt = Felt(events)
    rows: list[FaultRow] = []
    open_at: dict[str, int] = {}
    for invocation, completion in paired(events):
        name = begins.get(invocation.f) or ends[invocation.f]
        value = completion.value if isinstance(completion.value, dict) and completion.error is UNSET else {}
        if invocation.f in begins and not skipped(completion):
            open_at[name] = len(rows)
            rows.append(_begun(name, invocation, completion, value))
        elif name in open_at and completion.error is UNSET and not goes_on(completion):
            at = open_at.pop(name)
            rows[at] = _ended(rows[at], completion, value, felt)
    return tuple(rows)


def troubles_at_the_end(names: Sequence[str], events: Sequence[Event]) -> dict[str, str]:
    """What went wrong when each fault was last asked to end; faults that are gone are left out."""
    last = {invocation.f: completion.error for invocation, completion in paired(events)}
    ends = {name: last.get(end_of(name), UNSET) for name in names}
    return {name: error for name, error in ends.items() if isinstance(error, str)}


def asked_text(name: str, asked: Mapping[str, object]) -> str:
    """What was asked for, as `--nemesis` would ask for it: `clock:offset:leader:offset=2000ms`."""
    parameters = FAULTS[name].parameters
    numbers = {key: value for key, value in asked.items() if key in parameters and isinstance(value, int | float)}
    words = [word for word in asked.values() if isinstance(word, str)]
    return ":".join([name, *words, *(f"{key}={parameters[key].write(value)}" for key, value in numbers.items())])


def _begun(name: str, invocation: Event, completion: Event, value: Mapping[str, object]) -> FaultRow:
    asked = invocation.value if isinstance(invocation.value, dict) else {}
    error = completion.error if isinstance(completion.error, str) else None
    applied_ns = value.get("applied_ns")  # to believe it took until its completion
    return msgspec.convert(
        {
            "fault": name,
            "asked": asked_text(name, asked),
            "resolved": value.get("told", ""),
            "nodes": value.get("nodes", ()),
            "begin": (applied_ns if isinstance(applied_ns, int) else completion.time) / _NS,
            "end": None,
            "evidence": value.get("evidence"),
            "believed_ms": value.get("believed_ms"),
            "effect": {"leaders": [value.get("leaders", ())], "terms": [value.get("term", 0)]},
            "trouble": error,
        },
        FaultRow,
    )


def _ended(row: FaultRow, completion: Event, value: Mapping[str, object], felt: Felt) -> FaultRow:
    end = completion.time / _NS
    leaders, terms = row.effect["leaders"], row.effect["terms"]
    assert isinstance(leaders, list)
    assert isinstance(terms, list)
    counts = felt.between(int(row.begin * _NS), completion.time)
    effect = {"leaders": [*leaders, value.get("leaders", ())], "terms": [*terms, value.get("term", 0)], **counts}
    evidence, lost = value.get("evidence") or row.evidence, value.get("lost")
    return msgspec.structs.replace(
        row, end=end, evidence=evidence, effect=effect, lost=lost if isinstance(lost, str) else None
    )


class Felt:
    """What clients felt, at any time of a run. Made in one pass; a question costs what its answer is about."""

    def __init__(self, events: Sequence[Event]) -> None:
        pending: dict[int | str, int] = {}
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._types: list[str] = []
        for event in events:
            if event.process == NEMESIS:
                continue
            if event.type == "invoke":
                pending[event.process] = len(self._begins)
                self._begins.append(event.time)
                self._ends.append(event.time)
                self._types.append("info")
            else:
                at = pending.pop(event.process)
                self._ends[at], self._types[at] = event.time, event.type
        durations = [end - begin for begin, end in zip(self._begins, self._ends, strict=True)]
        self._longest_ns = max(durations, default=0)
        usual_ns = median([took for took, kind in zip(durations, self._types, strict=True) if kind == "ok"] or [0])
        self._slow_ns = _SLOWER * usual_ns

    def between(self, begin_ns: int, end_ns: int) -> dict[str, int]:
        """How the operations ended that were under way at some time between, and how many of the ok ones were slow."""
        counts = {"ok": 0, "fail": 0, "info": 0, "slow": 0}
        first = bisect_left(self._begins, begin_ns - self._longest_ns)
        for at in range(first, bisect_right(self._begins, end_ns)):
            if self._ends[at] >= begin_ns:
                kind = self._types[at]
                counts[kind] += 1
                counts["slow"] += kind == "ok" and self._ends[at] - self._begins[at] > self._slow_ns
        return counts
