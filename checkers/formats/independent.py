"""Values that are [key value], as `jepsen.independent` writes them, taken apart.

Lives here: when they are. A vector of two is also a value that a register may hold, and the two readings lead to
different verdicts, so nothing is guessed that the invocations do not show: what carries no argument, such as a read,
is invoked with [key nil] where there are keys, and with nil where there are none; a cas with [key [old new]] or
[key old new]. A key may be anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import chain
from typing import Literal

from msgspec.structs import replace

from checkers.formats.edn import Pair
from checkers.history import NEMESIS, Event, HistoryError, Key, Process

Keyed = Literal["auto", "yes", "no"]
Numbered = Iterator[tuple[int, Event]]
Batch = tuple[Sequence[int], Sequence[Event]]
LOOK = 1000  # invocations looked at before it is decided what their values are
NO_ARGUMENT = frozenset({"read", "get", "dequeue", "pop", "acquire", "release", "drain", "peek", "size"})
STEPS = frozenset({"r", "w", "read", "write", "append"})  # what stands first in each part of a transaction
SAY = "say --keyed yes or --keyed no"


class Shows(Enum):
    """What the value of an invocation shows."""

    WHOLE = auto()  # that it is no [key value]
    KEYED = auto()  # that it is one
    LIKELY = auto()  # that it is one, unless whole values of different shapes are compared
    FILLED = auto()  # an argument where there should be none
    NOTHING = auto()


def is_keyed(first: Iterable[tuple[int, Event]], source: str) -> bool:
    """Whether the values of these events are [key value]. Raises HistoryError where that cannot be told."""
    found: dict[Shows, tuple[int, Event]] = {}
    asked: dict[Process, tuple[int, Event]] = {}
    for line, event in first:
        if event.type == "invoke":
            found.setdefault(_shows(event), (line, event))
            asked[event.process] = line, event
        elif event.type == "ok" and event.process in asked and _answers(asked[event.process][1], event):
            found.setdefault(Shows.KEYED, asked[event.process])
    return _concluded(found, source)


def _concluded(found: dict[Shows, tuple[int, Event]], source: str) -> bool:
    """The same, given the first event that shows each thing."""
    if Shows.WHOLE in found and Shows.KEYED not in found:
        return False
    if Shows.WHOLE in found:
        line, event = found[Shows.WHOLE]
        raise HistoryError(f"{source}:{line}: {_shown(event)} has no key, but others seem to; {SAY}")
    if Shows.FILLED not in found and (Shows.KEYED in found or Shows.LIKELY in found):
        return True
    for doubtful in (Shows.FILLED, Shows.NOTHING):
        if doubtful in found:
            line, event = found[doubtful]
            raise HistoryError(f"{source}:{line}: {_shown(event)} may be [key value] or one value; {SAY}")
    return False


def split(events: Numbered, source: str, keyed: Keyed) -> tuple[bool, Numbered]:
    """Whether the values are taken apart, and the events with their keys.

    For "auto" the first `LOOK` invocations decide, so that few events are ever held; one behind them that contradicts
    the decision raises HistoryError. What the nemesis says is passed over.
    """
    if keyed == "no":
        return False, events
    events = (pair for pair in events if pair[1].process != NEMESIS)
    if keyed == "yes":
        return True, _apart(events, source, sure=True)
    first = list(_up_to_invocations(events, LOOK))
    everything = chain(first, events)
    if not is_keyed(first, source):
        return False, _whole(everything, source)
    return True, _apart(everything, source, sure=False)


def look(batches: Iterator[Batch], source: str, keyed: Keyed) -> tuple[Keyed, Iterator[Batch]]:
    """The same of batches: "auto" if they are to be taken apart, else "no", with batches that may be taken whole."""
    if keyed == "no":
        return "no", batches
    first: list[Batch] = []
    invocations = 0
    for batch in batches:
        first.append(batch)
        invocations += sum(event.type == "invoke" for event in batch[1])
        if invocations >= LOOK:
            break
    pairs = (pair for numbers, events in first for pair in zip(numbers, events, strict=True))
    if is_keyed((pair for pair in pairs if pair[1].process != NEMESIS), source):
        return "auto", chain(first, batches)
    return "no", _whole_batches(chain(first, batches), source)


def _whole_batches(batches: Iterable[Batch], source: str) -> Iterator[Batch]:
    for numbers, events in batches:
        if any(type(event.value) is list for event in events):
            for _ in _whole(zip(numbers, events, strict=True), source):
                pass
        yield numbers, events


def _up_to_invocations(events: Numbered, count: int) -> Numbered:
    for pair in events:
        yield pair
        count -= pair[1].type == "invoke"
        if not count:
            return


def _whole(events: Iterable[tuple[int, Event]], source: str) -> Numbered:
    """The events as they are; one that certainly has a key raises HistoryError."""
    for line, event in events:
        if isinstance(event.value, list) and event.type == "invoke" and _shows(event) is Shows.KEYED:
            raise HistoryError(f"{source}:{line}: {_shown(event)} seems to have a key, unlike those before; {SAY}")
        yield line, event


def _apart(events: Numbered, source: str, sure: bool) -> Numbered:
    """The events with their keys; one that has none raises HistoryError, as does, unless `sure`, what contradicts."""
    keys: dict[Process, Key] = {}
    for line, event in events:
        pair = _pair(event)
        if event.type == "invoke":
            if pair is not None:
                keys[event.process] = pair[0]
            if not sure and _shows(event) in (Shows.WHOLE, Shows.FILLED):
                raise HistoryError(f"{source}:{line}: {_shown(event)}, unlike those before, may be one value; {SAY}")
        elif pair is None and event.type != "ok" and event.process in keys:
            pair = keys[event.process], event.value  # nothing but an error was written down
        if pair is None:
            where = f"{source}:{line}: value {event.value!r}"
            raise HistoryError(f"{where} is no [key value], as those of other events are; give each a key, or {SAY}")
        yield line, replace(event, key=pair[0], value=pair[1])


def _pair(event: Event) -> tuple[Key, object] | None:
    """The key and the value, None where there are not both."""
    value = event.value
    if event.key is not None or not isinstance(value, list):
        return None
    if event.f == "cas" and len(value) == 3:
        return value[0], value[1:]
    return (value[0], value[1]) if len(value) == 2 else None


def _shows(event: Event) -> Shows:
    pair = _pair(event)
    if pair is None:
        return Shows.WHOLE
    key, value = pair
    if isinstance(event.value, Pair):
        return Shows.KEYED
    if event.f == "cas":
        if len(event.value) == 3:
            return Shows.KEYED
        if not (isinstance(value, list) and len(value) == 2):
            return Shows.WHOLE
        return Shows.NOTHING if isinstance(key, list | dict | set | frozenset) else Shows.LIKELY
    if event.f == "txn":
        if _is_step(key) and _is_step(value):
            return Shows.WHOLE
        return Shows.KEYED if isinstance(value, list) and all(map(_is_step, value)) else Shows.NOTHING
    if event.f in NO_ARGUMENT:
        return Shows.KEYED if value is None else Shows.FILLED
    return Shows.NOTHING


def _is_step(value: object) -> bool:
    """Whether the value is a part of a transaction, as [:r 1 nil] is."""
    return isinstance(value, list) and len(value) in (2, 3) and str(value[0]).removeprefix(":") in STEPS


def _answers(call: Event, answer: Event) -> bool:
    """Whether [key nil] was answered with [key v]."""
    asked, told = _pair(call), _pair(answer)
    if asked is None or told is None or call.f == "cas":
        return False
    return asked[0] == told[0] and asked[1] is None and told[1] is not None


def _shown(event: Event) -> str:
    return f"{event.f} of {event.value!r}"
