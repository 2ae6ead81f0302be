"""The baseline: failures that are known and accepted, by signature.

Lives here: the file, read and written. Must not live here: what a gate makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

import harness
from harness import untrusted
from harness.campaign.row import Row
from harness.errors import EnvironmentFailure, UsageError
from harness.escape import short
from harness.signature import Signature
from harness.store import save
from harness.untrusted import BadRecord, Integer

SCHEMA = 1


class Known(msgspec.Struct, frozen=True):
    """A failure that is accepted; `note` is for people: an issue's number, say."""

    signature: Signature
    note: str = ""


class Baseline(msgspec.Struct, frozen=True):
    """The file. `baseline` is its schema, by which it is told from any other JSON."""

    baseline: Integer
    failures: Sequence[Known] = ()
    version: str = harness.__version__

    def signatures(self) -> frozenset[Signature]:
        return frozenset(known.signature for known in self.failures)


def read(path: Path) -> Baseline:
    """The baseline in that file. Raises `UsageError` if it is not one."""
    wanted = "splitbrain gate --write-baseline makes one"
    try:
        content = untrusted.read(path, follow=True)
    except BadRecord as error:
        raise UsageError(f"--baseline {error}; {wanted}") from None
    try:
        baseline = untrusted.decode(path, content, Baseline)
    except BadRecord as error:
        raise UsageError(f"--baseline {path}: not a baseline ({error.reason}); {wanted}") from None
    if baseline.baseline != SCHEMA:
        made = f"made by splitbrain {short(baseline.version)} (schema {baseline.baseline})"
        raise UsageError(f"--baseline {path}: {made}, and this one knows schema {SCHEMA}")
    return baseline


def write(path: Path, rows: Iterable[Row], before: Baseline | None = None) -> Baseline:
    """Accept the failures of these rows from now on, and what was accepted `before`, with its notes.

    Raises `UsageError` if the file cannot be written.
    """
    known = {one.signature: one for one in before.failures} if before is not None else {}
    new = {row.signature for row in rows if row.signature is not None} - known.keys()
    failures = sorted([*known.values(), *map(Known, new)], key=lambda one: one.signature)
    baseline = Baseline(SCHEMA, failures)
    try:
        save(path, baseline)
    except EnvironmentFailure as failure:
        raise UsageError(f"--write-baseline {path}: {failure}; name a file that can be written") from None
    return baseline
