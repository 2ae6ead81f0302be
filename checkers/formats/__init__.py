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
from checkers.formats import independent, jepsen_edn, jepsen_log, jsonl
from checkers.formats.files import open_binary
from checkers.formats.independent import Keyed
from checkers.history import Event, History, HistoryError
from checkers.limits import DEFAULT, Limits
from checkers.recording import Recording

__all__ = ["FailedCas", "Format", "Keyed", "NilRead", "Reading", "jsonl", "load", "open_binary", "read"]

Format = Literal["auto", "jsonl", "edn", "jepsen-log"]
FailedCas = Literal["auto", "observe", "ignore"]
NilRead = Literal["value", "unknown"]
FAILED_CAS: dict[str, FailedCas] = {"jsonl": "auto", "edn": "ignore", "jepsen-log": "observe"}


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
    """The history in that file, packed or not, or in standard input (-); raises HistoryError naming file and line,
    or OSError.

    `failed_cas` "observe" takes every failed cas for one that compared and found another value, "ignore" for one that
    tells nothing; "auto" is what the format's users mean: jsonl says itself, Jepsen's EDN ignores, its log observes.
    `nil_read` "unknown" takes an ok read of nil for one whose value was not recorded. `truncated_tail` is jsonl's.
    `keyed` is whether each value is a [key value] of jepsen.independent; "auto" looks at the invocations, and raises
    HistoryError where they leave it open. Our own format has a field for the key, so there it means "no".
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
    source = str(path)
    recording = Recording(source, meter, limits)
    with open_binary(path, limits=limits, meter=meter) as file:
        begin: list[bytes] = []
        if form == "auto":
            begin = list(_up_to_text(file))
            form = _detect(begin, source)
        if form == "jsonl":
            keyed = "no" if keyed == "auto" else keyed
            batches = jsonl.batches(chain([b"".join(begin)], file.blocks()), source, truncated_tail, limits)
            events: Iterator[tuple[int, Event]] = (
                pair for numbers, found in batches for pair in zip(numbers, found, strict=True)
            )
        else:
            lines = chain(begin, file)
            edn = form == "edn"
            events = jepsen_edn.events(lines, source, limits) if edn else jepsen_log.events(lines, source)
        policy = FAILED_CAS[form] if failed_cas == "auto" else failed_cas
        if form == "jsonl" and keyed == "no" and policy == "auto" and nil_read == "value":
            split = False
            for numbers, found in batches:
                recording.add(numbers, found)
        else:
            split, events = independent.split(events, source, keyed)
            if policy != "auto" or nil_read != "value":
                events = _as_ours(events, policy, nil_read)
            recording.extend(events)
        return Reading(History.of_recording(recording), form, split)


def _up_to_text(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines up to the first that is not blank."""
    for line in lines:
        yield line
        if not line.isspace():
            return


def _detect(begin: list[bytes], source: str) -> Format:
    """The format, by the first thing in the file that is not blank; an empty file is an empty history of ours."""
    start = begin[-1].strip() if begin else b""
    if not start or start.startswith(b'{"') or start == b"{":
        return "jsonl"
    if start.startswith(b"INFO"):
        return "jepsen-log"
    if start[:1] in b"{[(#;":
        return "edn"
    shown = start[:40].decode(errors="replace")
    raise HistoryError(
        f"{source}:{len(begin)}: {shown!r} begins no known format; use --format jsonl, edn or jepsen-log"
    )


def _as_ours(
    events: Iterable[tuple[int, Event]], failed_cas: FailedCas, nil_read: NilRead
) -> Iterator[tuple[int, Event]]:
    """The events with failed cas and nil reads as our format would have them."""
    for line, event in events:
        if event.type == "fail" and event.f == "cas" and failed_cas == "observe":
            event = replace(event, error="mismatch")
        elif event.type == "fail" and event.f == "cas" and failed_cas == "ignore":
            event = replace(event, error="ignored", actual=UNSET)
        elif event.type == "ok" and event.f == "read" and event.value is None and nil_read == "unknown":
            event = replace(event, type="info")
        yield line, event
