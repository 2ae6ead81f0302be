"""Histories as files: which format a file is in, and how its conventions become ours.

Lives here: detection by content, and the choices that formats disagree on. Each format has a file of its own that
turns lines into events; what events mean is `checkers.history`'s.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from checkers.budget import Meter
from checkers.formats import history_txt, independent, jepsen_edn, jepsen_log, json_events, jsonl
from checkers.formats.detect import FORMATS, Format, detect
from checkers.formats.files import open_binary
from checkers.formats.independent import Keyed, Numbered
from checkers.formats.store import history_in
from checkers.history import Event, History
from checkers.limits import DEFAULT, Limits, make_room
from checkers.multi_register import without_null
from checkers.recording import Recording

__all__ = ["FORMATS", "FailedCas", "Format", "Keyed", "NilRead", "Reading", "jsonl", "load", "open_binary", "read"]

FailedCas = Literal["auto", "observe", "ignore"]
NilRead = Literal["value", "unknown"]
FAILED_CAS: dict[str, FailedCas] = {
    "jsonl": "auto",
    "json": "auto",
    "edn": "ignore",
    "history-txt": "ignore",
    "jepsen-log": "auto",
}


@dataclass(frozen=True)
class Reading:
    """A history, the format it was in, and whether its values were [key value] and have been taken apart."""

    history: History
    form: Format
    keyed: bool


def read(
    path: Path | str,
    *,
    form: Format = "auto",
    failed_cas: FailedCas = "auto",
    nil_read: NilRead = "value",
    truncated_tail: jsonl.TruncatedTail = "error",
    keyed: Keyed = "auto",
    limits: Limits = DEFAULT,
    meter: Meter | None = None,
) -> History:
    """The history in that file, packed or not, in that directory, or in standard input (-); raises HistoryError naming
    file and line, or OSError.

    `failed_cas` "observe" takes every failed cas for one that compared and found another value, "ignore" for one that
    tells nothing; "auto" is what the format's users mean: JSON says itself, Jepsen's formats ignore, but its log of
    2015 observes where there is no error. `nil_read` "unknown" takes an ok read of nil, also in a transaction, for one
    whose value was not recorded. `truncated_tail` "drop" leaves out a last line that was cut off. `keyed` is whether
    each value is a [key value] of jepsen.independent; "auto" looks at the invocations, and raises HistoryError where
    they leave it open.
    `limits` bound what is read at all. `meter` is that of the check to come: reading counts against it, and raises
    SpentError, which says how far it got, where its budget does not last.
    """
    return load(
        path,
        form=form,
        failed_cas=failed_cas,
        nil_read=nil_read,
        truncated_tail=truncated_tail,
        keyed=keyed,
        limits=limits,
        meter=meter,
    ).history


def load(
    path: Path | str,
    *,
    form: Format = "auto",
    failed_cas: FailedCas = "auto",
    nil_read: NilRead = "value",
    truncated_tail: jsonl.TruncatedTail = "error",
    keyed: Keyed = "auto",
    limits: Limits = DEFAULT,
    meter: Meter | None = None,
) -> Reading:
    """The same, with what was found out about the file. It is read once, so that it may be a pipe."""
    path = history_in(path)
    source = str(path)
    make_room(limits)
    recording = Recording(source, meter, limits)
    with open_binary(path, limits=limits, meter=meter) as file:
        begin: list[bytes] = []
        if form == "auto":
            form, begin = detect(file, source)
        policy = FAILED_CAS[form] if failed_cas == "auto" else failed_cas
        as_it_is = policy == "auto" and nil_read == "value"
        if form == "jsonl":
            batches = jsonl.batches(chain([b"".join(begin)], file.blocks()), source, truncated_tail, limits)
            if as_it_is and keyed != "yes":
                keyed, batches = independent.look(batches, source, keyed)
                if keyed == "no":
                    for numbers, found in batches:
                        recording.add(numbers, found)
                    return Reading(History.of_recording(recording), form, keyed=False)
            events: Numbered = (pair for numbers, found in batches for pair in zip(numbers, found, strict=True))
        else:
            events = _events(form, chain(begin, file), source, truncated_tail, limits)
        split, events = independent.split(events, source, keyed)
        recording.extend(events if as_it_is else _as_ours(events, policy, nil_read))
        return Reading(History.of_recording(recording), form, split)


def _events(
    form: Format, lines: Iterable[bytes], source: str, truncated_tail: jsonl.TruncatedTail, limits: Limits
) -> Numbered:
    """The events of a file that is read line by line."""
    if form == "edn":
        return jepsen_edn.events(lines, source, limits)
    if form == "json":
        return json_events.events(lines, source, limits)
    if form == "history-txt":
        return history_txt.events(lines, source, truncated_tail, limits)
    return jepsen_log.events(lines, source, truncated_tail, limits)


def _as_ours(
    events: Iterable[tuple[int, Event]], failed_cas: FailedCas, nil_read: NilRead
) -> Iterator[tuple[int, Event]]:
    """The events with failed cas and nil reads as our format would have them."""
    for line, event in events:
        if event.type == "fail" and event.f == "cas" and failed_cas == "observe":
            event = replace(event, error="mismatch")
        elif event.type == "fail" and event.f == "cas" and failed_cas == "ignore":
            event = replace(event, error="ignored", actual=UNSET)
        elif event.type == "ok" and nil_read == "unknown":
            if event.f == "read" and event.value is None:
                event = replace(event, type="info")
            elif event.f == "txn" and isinstance(event.value, list):
                event = replace(event, value=[without_null(step) for step in event.value])
        yield line, event
