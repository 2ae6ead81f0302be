"""What users of the system felt: rates, latencies, availability and recovery, out of a history.

Lives here: the definitions, as pure functions of events. Must not live here: reading files, or what is good enough.

An operation was *answered* if the system said what came of it: it ended `ok`, or it is a compare-and-set that failed
because it found another value. It was not if it was refused, or if nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET

from checkers.history import MISSING, NEMESIS, Event, Process

Window = tuple[int, int | None]
"""When a fault came into force and when it was healed, in nanoseconds since the start; None if it never was."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of one history. Times in the unit of their name; None where there is nothing to measure, or no time is known.

    `rate` is operations invoked a second, from the first event to the last; `availability` the share of them that was
    answered; latencies are those of answered operations, from invocation to completion.

    `recovery_s` is the longest time from a moment at which the last fault in force had been healed to the first return
    of an operation that was invoked after that moment and ended `ok`. A moment is left out if another fault came into
    force before any such return. None if nothing ended `ok` after the last heal of all, or if no fault was healed.
    """

    operations: int
    rate: float | None
    availability: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    recovery_s: float | None


class _Call(msgspec.Struct, frozen=True, gc=False):
    """An operation: when it was invoked, when it ended (None: never, or nobody knows when), and how."""

    invoked_ns: int | None
    returned_ns: int | None
    ok: bool
    answered: bool


def statistics(events: Sequence[Event], windows: Iterable[Window] = ()) -> Statistics:
    """The statistics of events, given the windows in which faults were in force. O(n log n)."""
    calls = _calls(events)
    timed = [call for call in calls if call.invoked_ns is not None]
    answered = sorted(
        max(0, call.returned_ns - call.invoked_ns) / 1e6
        for call in timed
        if call.answered and call.returned_ns is not None and call.invoked_ns is not None
    )
    times = [event.time for event in events if _known(event.time) is not None]
    seconds = (max(times) - min(times)) / 1e9 if times else 0
    return Statistics(
        operations=len(calls),
        rate=len(calls) / seconds if seconds > 0 else None,
        availability=sum(call.answered for call in calls) / len(calls) if calls else None,
        p50_ms=percentile(answered, 50),
        p95_ms=percentile(answered, 95),
        p99_ms=percentile(answered, 99),
        max_ms=answered[-1] if answered else None,
        recovery_s=_recovery_s(timed, list(windows)),
    )


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest of the values that `percent` in a hundred do not exceed (nearest rank); None of no values."""
    if not ordered:
        return None
    rank = -int(-percent * len(ordered) // 100)  # rounded up
    return ordered[max(rank, 1) - 1]


def _calls(events: Iterable[Event]) -> list[_Call]:
    """One for each invocation of a client, in order of completion; those that never completed last."""
    waiting: dict[Process, Event] = {}
    calls = []
    for event in events:
        if event.process == NEMESIS:
            continue
        if event.type == "invoke":
            waiting[event.process] = event
        elif (invoked := waiting.pop(event.process, None)) is not None:
            ok = event.type == "ok"
            found_another = event.type == "fail" and (event.actual is not UNSET or event.error == "mismatch")
            calls.append(_Call(_known(invoked.time), _known(event.time), ok, ok or found_another))
    return [*calls, *(_Call(_known(event.time), None, False, False) for event in waiting.values())]


def _known(time_ns: int | None) -> int | None:
    """The time of an event; None if it has none."""
    return None if time_ns == MISSING else time_ns


def _recovery_s(calls: Sequence[_Call], windows: Sequence[Window]) -> float | None:
    """The worst recovery, see `Statistics.recovery_s`."""
    returns = sorted(
        (call.returned_ns, call.invoked_ns)
        for call in calls
        if call.ok and call.returned_ns is not None and call.invoked_ns is not None
    )
    begins = sorted(begin for begin, _ in windows)
    worst: float | None = None
    for healed_ns in _all_healed(windows):
        back_ns = next((back for back, invoked in returns if invoked >= healed_ns), None)
        next_begin_ns = next((begin for begin in begins if begin > healed_ns), None)
        if next_begin_ns is not None and (back_ns is None or back_ns > next_begin_ns):
            continue
        if back_ns is None:
            return None
        worst = max(worst or 0.0, (back_ns - healed_ns) / 1e9)
    return worst


def _all_healed(windows: Sequence[Window]) -> list[int]:
    """The moments at which the last fault in force was healed, in order."""
    changes = sorted(
        [(begin, 1) for begin, _ in windows] + [(end, -1) for _, end in windows if end is not None],
        key=lambda change: (change[0], -change[1]),
    )
    moments, in_force = [], 0
    for time_ns, change in changes:
        in_force += change
        if in_force == 0:
            moments.append(time_ns)
    return moments
