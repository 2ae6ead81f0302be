"""Values that are [key value], as `jepsen.independent` writes them, taken apart.

Lives here: when they are. A vector of two is also a value that a register may hold, and the two readings lead to
different verdicts, so nothing is guessed that the invocations do not show: what carries no argument, such as a read,
is invoked with [key nil] where there are keys, and with nil where there are none; a cas with [key [old new]].
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Literal

from msgspec.structs import replace

from checkers.formats.edn import Word
from checkers.history import NEMESIS, Event, HistoryError, Key, Process

Keyed = Literal["auto", "yes", "no"]
Numbered = Iterator[tuple[int, Event]]
LOOK = 1000  # events looked at before it is decided what their values are
NO_ARGUMENT = frozenset({"read", "get", "dequeue", "pop", "acquire", "release"})
SAY = "say --keyed yes or --keyed no"


def is_keyed(first: Iterable[tuple[int, Event]], source: str) -> bool:
    """Whether the values of these events are [key value]. Raises HistoryError where that cannot be told."""
    calls = [(line, event) for line, event in first if event.type == "invoke" and event.process != NEMESIS]
    whole = next(((line, event) for line, event in calls if not _has_key(event)), None)
    keyed = [(line, event) for line, event in calls if _has_key(event)]
    blank = [event for _, event in keyed if event.f in NO_ARGUMENT and event.value[1] is None]
    filled = next((pair for pair in keyed if pair[1].f in NO_ARGUMENT and pair[1].value[1] is not None), None)
    if whole is not None:
        if not blank:
            return False
        line, event = whole
        raise HistoryError(f"{source}:{line}: {_shown(event)} has no key, but others seem to; {SAY}")
    if not calls:
        return False
    if filled is None and (blank or any(event.f == "cas" for _, event in keyed)):
        return True
    line, event = filled or calls[0]
    raise HistoryError(f"{source}:{line}: {_shown(event)} may be [key value] or one value; {SAY}")


def split(events: Numbered, source: str, keyed: Keyed) -> tuple[bool, Numbered]:
    """Whether the values are taken apart, and the events with their keys.

    For "auto" the first `LOOK` events decide, so that no more are ever held.
    """
    if keyed == "no":
        return False, events
    if keyed == "yes":
        return True, _apart(events, source, sure=True)
    first = list(islice(events, LOOK))
    everything = chain(first, events)
    if not is_keyed(first, source):
        return False, everything
    return True, _apart(everything, source, sure=False)


def _apart(events: Numbered, source: str, sure: bool) -> Numbered:
    """The events with their keys; one that has none raises HistoryError, as does, unless `sure`, what contradicts."""
    keys: dict[Process, Key] = {}
    for line, event in events:
        if event.process == NEMESIS:
            yield line, event
            continue
        if event.value is None and event.type in ("fail", "info") and event.process in keys:
            yield line, replace(event, key=keys[event.process])  # nothing but its error was written down
            continue
        if not _is_pair(event):
            where = f"{source}:{line}: value {event.value!r}"
            raise HistoryError(f"{where} is no [key value], as those before are; give all operations a key or none")
        key, value = event.value
        if event.type == "invoke":
            keys[event.process] = key
            if not sure and not (_has_key(event) and (value is None or event.f not in NO_ARGUMENT)):
                raise HistoryError(f"{source}:{line}: {_shown(event)}, unlike those before, may be one value; {SAY}")
        yield line, replace(event, key=key, value=value)


def _has_key(event: Event) -> bool:
    """Whether the value has the form of [key value]; that of a cas is a pair anyway."""
    if not _is_pair(event):
        return False
    second = event.value[1]
    return event.f != "cas" or (isinstance(second, list) and len(second) == 2)


def _is_pair(event: Event) -> bool:
    value = event.value
    return event.key is None and type(value) is list and len(value) == 2 and type(value[0]) in (int, str, Word)


def _shown(event: Event) -> str:
    return f"{event.f} of {event.value!r}"
