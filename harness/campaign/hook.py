"""`--on-failure`: a command of the user's own, called as soon as a failure is new to the campaign.

Lives here: when it is called, and the environment that it finds. Must not live here: what a failure is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from harness.campaign.row import Outcome, Row
from harness.signature import Signature
from harness.store import ARTEFACT, RESULTS

_LIMIT_S = 60.0
_LINES = 5
_ARTEFACTS = (ARTEFACT, RESULTS, "job.json")
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
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            code = _call(self._command, variables(self._store, row), output)
            output.seek(0)
            for line in output.read().splitlines()[-_LINES:]:
                say(f"--on-failure: {line}")
        if code is None:
            say(f"--on-failure: stopped after {_LIMIT_S:g} s")
        elif code != 0:
            say(f"--on-failure: exit code {code}")


def _call(command: str, environment: Mapping[str, str], output: IO[str]) -> int | None:
    """The exit code of the command; None if it took too long, and was killed with all that it had started."""
    process = subprocess.Popen(
        ["sh", "-c", command],
        env={**os.environ, **{name: value.replace("\0", "") for name, value in environment.items()}},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
    )
    try:
        return process.wait(_LIMIT_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
