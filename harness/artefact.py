"""Artefacts: all that is needed to have a failure again, in one small file.

Lives here: what is in one, and reading it. Must not live here: having it again (`harness.replay`).

An artefact outlives the version that made it. So its first two fields say which format it is in and which version made
it, and are read before anything else is believed: a later version may have changed the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

import harness
from checkers.formats import jsonl, open_binary
from checkers.history import Event
from checkers.result import Verdict
from harness import untrusted
from harness.errors import UsageError
from harness.escape import short
from harness.judge import Results
from harness.nemesis.script import Schedule, recorded
from harness.signature import Signature, signature_of
from harness.store import RunDirectory
from harness.test import Test
from harness.untrusted import BadRecord, Integer, NotOfThatShape

FORMAT = 1

Version = Annotated[str, msgspec.Meta(max_length=200)]

T = TypeVar("T")


class _Head(msgspec.Struct, frozen=True):
    """What every format has."""

    format: Integer
    version: str


class Artefact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, as small as it can be had again from.

    `schedule` has the faults that took place, symbolic and as they were resolved; the definition draws them anew from
    the seed, which in the simulator makes the same run. `failure` is the class of what was violated; None if nothing
    was. `digest` is None for a run on real nodes.
    """

    format: Integer
    version: Version
    seed: Integer
    failure: Signature | None
    digest: str | None
    definition: Test
    schedule: Schedule


class OtherVersion(UsageError):  # noqa: N818 - as its base class
    """This version cannot read, or cannot run, what another one has left; the message names both."""


def artefact_of(test: Test, results: Results | None, events: Sequence[Event]) -> Artefact:
    """The artefact of a run; it has no results if it was killed."""
    return Artefact(
        format=FORMAT,
        version=test.version,
        seed=test.seed,
        failure=failure_of(results) if results else None,
        digest=results.digest if results else None,
        definition=test,
        schedule=recorded(events),
    )


def failure_of(results: Results) -> Signature | None:
    """The class of the first check that was violated; None if none was. Violations of one class have one cause."""
    violated = [(name, check) for name, check in results.checks.items() if check.verdict == Verdict.INVALID]
    return signature_of(violated[0][0], violated[0][1].reason, violated[0][1].detail) if violated else None


def read_artefact(path: Path) -> Artefact:
    """The artefact in that file, or of that run, which need not have failed.

    Raises `UsageError` for what is none, `OtherVersion` for what another version has left in a format of its own.
    """
    run = None
    if path.is_dir():
        run = RunDirectory(path.parent.parent, path)
        if not run.artefact.exists():
            return _of_run(run)
        path = run.artefact
    content = _content(path, named=run is None)
    try:
        head = untrusted.decode(path, content, _Head)
    except BadRecord as error:
        raise UsageError(f"{path}: not an artefact: {error.reason}; {_RIGHT}") from error
    if head.format != FORMAT:
        raise OtherVersion(
            f"{path}: made by splitbrain {short(head.version, 40)} in format {head.format}; "
            f"this is splitbrain {harness.__version__}, which reads format {FORMAT}"
        )
    artefact = _decoded(path, content, Artefact, head.version)
    if artefact.seed != artefact.definition.seed:
        raise UsageError(f"{path}: its seed is not that of its definition; {_RIGHT}")
    return artefact


_RIGHT = "give the artefact.json of a failed run, or the directory of any run"


def _of_run(run: RunDirectory) -> Artefact:
    """The artefact of a run that left none, because it did not fail, or because it was killed."""
    if not run.definition.exists():
        raise UsageError(f"{run.path}: no run is kept here; {_RIGHT}")
    test = _decoded(run.definition, _content(run.definition), Test)
    results = _decoded(run.results, _content(run.results), Results, test.version) if run.results.exists() else None
    untrusted.require_file(run.history)
    with open_binary(run.history) as lines:
        events = [event for _, event in jsonl.events(lines, str(run.history), "drop")]
    return artefact_of(test, results, events)


def _content(path: Path, named: bool = False) -> bytes:
    """The bytes of a file, which may be reached through a link if the user has `named` it."""
    try:
        return untrusted.read(path, follow=named)
    except BadRecord as error:
        raise UsageError(f"{error}; {_RIGHT}") from error


def _decoded(path: Path, content: bytes, kind: type[T], version: str = "") -> T:
    try:
        return untrusted.decode(path, content, kind)
    except NotOfThatShape as error:
        made_by = f"made by splitbrain {short(version, 40)}, " if version else ""
        raise OtherVersion(
            f"{path}: {made_by}not as splitbrain {harness.__version__} would have it: {error.reason}"
        ) from error
    except BadRecord as error:
        raise UsageError(f"{error}; {_RIGHT}") from error
