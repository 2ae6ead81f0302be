"""Explicit schedules: these faults at these times, instead of drawn ones.

Lives here: one window of a fault as a value, how windows are read off a history, and the generator that issues them.
Must not live here: what becomes of a fault (`nemesis.life`), or the drawing of schedules (`nemesis.schedule`).

A fault and its end are one value: so whatever leaves out, moves or simplifies faults cannot leave one behind unhealed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import msgspec
from msgspec import UNSET

from checkers.history import NEMESIS, Event
from harness.escape import short
from harness.generator import PENDING, Context, Generator, Invocation, Later, Step, Template
from harness.nemesis import FAULTS
from harness.nemesis.schedule import RESOLVED, begin_of, end_of, goes_on, paired, skipped
from harness.untrusted import Integer


class FaultWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault, from its begin to its end, in nanoseconds since the first operation of the run.

    `end_ns` None is as long as the run lasts. `asked` is symbolic: a word for each choice, a number for each parameter
    that was given. `resolved` is what that became on the cluster as it was; None, and it is aimed anew.
    """

    fault: str
    begin_ns: Integer
    end_ns: Integer | None
    asked: Mapping[str, object]
    resolved: Mapping[str, object] | None = None


Schedule = tuple[FaultWindow, ...]


def recorded(events: Sequence[Event]) -> Schedule:
    """The faults that a history tells of, in order of their begins; those that found nothing to hit are left out.

    A window begins when the fault was applied, which may be long after it was asked for: who wants a leader waits for
    one. A fault that could not be applied has nothing that it was resolved to.
    """
    origin_ns = events[0].time if events else 0
    windows: list[FaultWindow] = []
    open_at: dict[str, int] = {}
    for invocation, completion in paired(events):
        _, _, fault = invocation.f.partition("-")
        if invocation.f == begin_of(fault) and not skipped(completion):
            open_at[fault] = len(windows)
            windows.append(_begun(fault, invocation, completion, origin_ns))
        elif invocation.f == end_of(fault) and fault in open_at and _ended(completion):
            at = open_at.pop(fault)
            windows[at] = msgspec.structs.replace(windows[at], end_ns=invocation.time - origin_ns)
    return tuple(windows)


def _begun(fault: str, invocation: Event, completion: Event, origin_ns: int) -> FaultWindow:
    value = completion.value if completion.error is UNSET and isinstance(completion.value, dict) else {}
    said = invocation.value if isinstance(invocation.value, dict) else {}
    asked = {word: answer for word, answer in said.items() if word != RESOLVED}
    applied_ns, resolved = value.get("applied_ns"), value.get(RESOLVED)
    begin_ns = (applied_ns if isinstance(applied_ns, int) else invocation.time) - origin_ns
    return FaultWindow(fault, begin_ns, None, asked, resolved if isinstance(resolved, dict) else None)


def _ended(completion: Event) -> bool:
    return completion.error is UNSET and not goes_on(completion)


def problems(schedule: Sequence[FaultWindow]) -> list[str]:
    """What is wrong with a schedule, a line each; of each kind there can be one window at a time."""
    found = []
    for window in schedule:
        where = f"schedule: {short(window.fault)} at {window.begin_ns / 1e9:g} s"
        if window.fault not in FAULTS:
            found.append(f"{where}: there is no such fault; choose from {', '.join(FAULTS)}")
        if not 0 <= window.begin_ns < _end_ns(window):
            found.append(f"{where}: begins before the run, or does not end after it begins")
    for fault, windows in groupby(sorted(schedule, key=lambda window: window.fault), lambda window: window.fault):
        for earlier, later in pairwise(sorted(windows, key=lambda window: window.begin_ns)):
            if later.begin_ns < _end_ns(earlier):
                found.append(f"schedule: {short(fault)} at {later.begin_ns / 1e9:g} s: the one before it has not ended")
    return found


def _end_ns(window: FaultWindow) -> float:
    return math.inf if window.end_ns is None else window.end_ns


@dataclass(frozen=True, slots=True)
class Script:
    """Each operation of the nemesis when it is due, from when it is first asked on; late if the nemesis is busy."""

    moments: tuple[tuple[int, Template], ...]
    origin_ns: int | None = None

    def next(self, context: Context) -> Step | None:
        if not self.moments:
            return None
        origin_ns = context.time_ns if self.origin_ns is None else self.origin_ns
        due_ns, template = origin_ns + self.moments[0][0], self.moments[0][1]
        if not context.free:
            return PENDING, replace(self, origin_ns=origin_ns)
        if context.time_ns < due_ns:
            return Later(due_ns), replace(self, origin_ns=origin_ns)
        return Invocation(NEMESIS, template), Script(self.moments[1:], origin_ns)

    def update(self, context: Context, event: Event) -> Generator:
        return self


def generator(schedule: Sequence[FaultWindow]) -> Generator:
    """The begins and ends of these windows. At one instant ends come before begins."""
    moments = sorted((moment for window in schedule for moment in _moments(window)), key=lambda moment: moment[:2])
    return Script(tuple((time_ns, template) for time_ns, _, template in moments))


def _moments(window: FaultWindow) -> Iterator[tuple[int, int, Template]]:
    again = {} if window.resolved is None else {RESOLVED: window.resolved}
    yield window.begin_ns, 1, Template(begin_of(window.fault), value={**window.asked, **again})
    if window.end_ns is not None:
        yield window.end_ns, 0, Template(end_of(window.fault))
