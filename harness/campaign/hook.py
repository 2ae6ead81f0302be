"""`--on-failure`: a command of the user's own, called as soon as a failure is new to the campaign.

Lives here: when it is called, and the environment that it finds. Must not live here: what a failure is.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.campaign.row import Outcome, Row
from harness.campaign.signature import Signature

_LIMIT_S = 60.0
_ARTEFACTS = ("artefact.json", "results.json", "job.json")
"""What shows the failure again; the first that there is."""


class Hook:
    """Calls the command once for each signature of invalid runs: a bug that shows a hundred times is one message."""

    def __init__(self, store: Path, command: str | None) -> None:
        self._store = store
        self._command = command
        self._known: set[Signature | None] = set()

    def know(self, row: Row) -> None:
        """Take on a run of before: its failure, if it is one, is not new."""
        if row.verdict is Outcome.INVALID:
            self._known.add(row.signature)

    def ended(self, row: Row, say: Callable[[str], None]) -> None:
        """Call the command if the run shows a failure that none before it did. What goes wrong is said, not raised."""
        if self._command is None or row.verdict is not Outcome.INVALID or row.signature in self._known:
            return
        self.know(row)
        try:
            done = subprocess.run(
                ["sh", "-c", self._command],
                env={**os.environ, **variables(self._store, row)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            say(f"--on-failure: stopped after {_LIMIT_S:g} s")
            return
        for line in [*done.stdout.splitlines(), *done.stderr.splitlines()][-5:]:
            say(f"--on-failure: {line}")
        if done.returncode != 0:
            say(f"--on-failure: exit code {done.returncode}")


def variables(store: Path, row: Row) -> dict[str, str]:
    """What the command finds in its environment."""
    run = store / row.run
    artefact = next((run / name for name in _ARTEFACTS if (run / name).exists()), run)
    return {
        "SPLITBRAIN_RUN": str(run),
        "SPLITBRAIN_ARTEFACT": str(artefact),
        "SPLITBRAIN_VERDICT": row.verdict.value,
        "SPLITBRAIN_SIGNATURE": str(row.signature or ""),
        "SPLITBRAIN_REASON": row.reason,
        "SPLITBRAIN_SEED": str(row.seed),
        "SPLITBRAIN_CELL": str(row.cell),
        "SPLITBRAIN_VERSION": row.version,
        "SPLITBRAIN_COMMAND": row.command,
    }
