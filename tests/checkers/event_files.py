"""Histories written down as events and read again: with equal, missing and disordered times, in any format.

Lives here: the writing, and the comparison with the order of the lines, which is worked out without the reader.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from msgspec import UNSET
from msgspec.structs import replace

from checkers import Event, History, Operation, formats
from checkers.formats import jsonl
from checkers.values import Boolean

MS = 1_000_000


def read_again(random: Random, history: History, path: Path) -> tuple[History, str]:
    """The history as a reader of events has it, and what is wrong with its order, or nothing.

    The events stand in the order of the ranks. Sometimes each has an index, and the lines are in any order; sometimes
    all but one have, and then these count for nothing.
    """
    events = _stamped(random, list(_events(random, history)))
    luck = random.random()
    if luck < 1 / 3:
        start, stride = random.choice([0, 1, 10**6]), random.choice([1, 7])
        events = [replace(event, index=start + stride * place) for place, event in enumerate(events)]
        random.shuffle(events)
    elif luck < 2 / 3 and events:
        events = [replace(event, index=random.randrange(9)) for event in events]
        lacks = random.randrange(len(events))
        events[lacks] = replace(events[lacks], index=random.choice([-1, None]))
    found = _written_and_read(random, events, path)
    return found, _misplaced(history, found)


def _events(random: Random, history: History) -> Iterator[Event]:
    """The calls and returns in order of rank, of processes that come back or not; of some unknown ends, an info."""
    operations = history.operations
    process: dict[int, int] = {}
    free: list[int] = []
    for code in history.columns.events:
        number = code if code >= 0 else ~code
        one = operations[number]
        if code < 0:
            yield _completion(process[number], one)
            free.append(process[number])
            continue
        again = free and random.random() < 0.8
        process[number] = free.pop(random.randrange(len(free))) if again else len(process) + 100
        call = Event(type="invoke", process=process[number], f=one.f, key=one.key, value=_said(one.value))
        yield call
        if not one.returned and random.random() < 0.5:
            yield replace(call, type="info", value=None, error="timeout")


def _completion(number: int, one: Operation) -> Event:
    silent = one.result is None and one.f not in ("read", "get", "dequeue", "pop")
    return Event(
        type=one.status,
        process=number,
        f=one.f,
        key=one.key,
        value=_said(one.value if silent else one.result),
        error=UNSET if one.error is None else one.error,
        version=UNSET if one.version is None else one.version,
        actual=one.actual if one.actual is UNSET else _said(one.actual),
    )


def _said(value: object) -> object:
    """The value as JSON has it."""
    if isinstance(value, frozenset):
        return sorted(map(_said, value), key=repr)
    if isinstance(value, tuple):
        return [_said(item) for item in value]
    return value.value if isinstance(value, Boolean) else value


def _stamped(random: Random, events: Sequence[Event]) -> list[Event]:
    """The events with times of one of five kinds."""
    kind = random.randrange(5)
    stamps: list[object] = [
        random.choice([-1, None])
        if kind == 0
        else 7
        if kind == 1
        else place * MS + random.randint(-3 * MS, 3 * MS)
        if kind == 2
        else random.choice([-1, None, 5, 5, random.randrange(10**9)])
        if kind == 3
        else place // 3
        for place in range(len(events))
    ]
    return [replace(event, time=stamp) for event, stamp in zip(events, stamps, strict=True)]


def _written_and_read(random: Random, events: Sequence[Event], path: Path) -> History:
    told = any(event.version is not UNSET or event.actual is not UNSET for event in events)
    halves = any("\\ud" in json.dumps(event.value) for event in events)
    kind = "memory" if halves else random.choice(["memory", "jsonl", "jsonl" if told else "edn"])
    if kind == "memory":
        return History.of_events(events)
    if kind == "jsonl":
        jsonl.write(path, events)
        return formats.read(path, keyed="no")
    path.write_text("".join(_edn(random, event) + "\n" for event in events))
    return formats.read(path, form="edn", keyed="no", failed_cas="auto" if _no_mismatch(events) else "observe")


def _no_mismatch(events: Sequence[Event]) -> bool:
    return all(event.error != "mismatch" for event in events)


def _edn(random: Random, event: Event) -> str:
    """An event as Jepsen writes it; what it does not have is left out, or nil."""
    fields = [
        f":type :{event.type}",
        f":f :{event.f}",
        f":process {event.process}",
        f":value {_form(event.value)}",
    ]
    if event.key is not None:
        fields.append(f":key {_form(event.key)}")
    for name, number in (("index", event.index), ("time", event.time)):
        if number is not None:
            fields.append(f":{name} {number}")
        elif random.random() < 0.5:
            fields.append(f":{name} nil")
    random.shuffle(fields)
    return f"{{{', '.join(fields)}}}"


def _form(value: object) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(_form, value))}]"
    return "nil" if value is None else json.dumps(value, ensure_ascii=False)


def _misplaced(written: History, read: History) -> str:
    """What the reader has in another order than it was written in."""
    told = [(one.call_rank, place) for place, one in enumerate(read)]
    told += [(one.return_rank, ~place) for place, one in enumerate(read) if one.returned]
    if [(one.f, one.key) for one in written] != [(one.f, one.key) for one in read]:
        return "operations were lost, made up or changed"
    if [code for _, code in sorted(told)] != list(written.columns.events):
        return f"read in another order: {[code for _, code in sorted(told)]}, not {list(written.columns.events)}"
    return ""
