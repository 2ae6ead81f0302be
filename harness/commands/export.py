"""`splitbrain export`: a run as a regression test that stands alone.

Lives here: which test a run becomes, and writing it. Its text is `harness.report.regression`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from checkers.budget import Budget
from checkers.formats import jsonl
from checkers.result import Violation
from harness import escape
from harness.artefact import Artefact, read_artefact
from harness.commands.terminal import Terminal
from harness.environments.choose import ENVIRONMENTS
from harness.environments.sim.environment import SimEnvironment
from harness.errors import UsageError
from harness.escape import short
from harness.report.regression import recorded, simulated
from harness.store import HISTORY
from harness.test import validated
from harness.untrusted import require_file
from harness.workloads import WORKLOADS


def export_command(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run, or its artefact.json.")],
    pytest: Annotated[Path, typer.Option(metavar="FILE", help="The test file to write; must not exist yet.")],
) -> None:
    """Write a regression test for pytest.

    Of a simulated run it makes the run again from its seed. Of a run on real nodes it judges the failing window.
    """
    artefact = read_artefact(path)
    validated(artefact.definition)
    if artefact.definition.environment not in ENVIRONMENTS:
        known = ", ".join(ENVIRONMENTS)
        where = short(artefact.definition.environment)
        raise UsageError(f"{path}: {where}: there is no such environment; choose from {known}")
    if artefact.definition.environment == SimEnvironment.name:
        text = simulated(artefact)
    else:
        text = recorded(artefact, _violation(artefact, path if path.is_dir() else path.parent))
    try:
        with pytest.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"--pytest {pytest}: {error.strerror}; name a new file in a directory that is there"
        ) from error
    Terminal().lines([f"wrote {pytest}; run it with: pytest {escape.shell(_as_argument(pytest))}"])


def _as_argument(path: Path) -> str:
    """The path as a word that no program takes for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _violation(artefact: Artefact, run: Path) -> Violation:
    """What was violated in the recorded history. Raises `UsageError` if nothing was."""
    test, history = artefact.definition, run / HISTORY
    if not history.exists():
        raise UsageError(f"{run}: there is no {HISTORY}, and a run on {test.environment} nodes is not made again")
    require_file(history)
    recorded_history = jsonl.read(history, truncated_tail="drop")
    result = WORKLOADS[test.workload].check(recorded_history, Budget(seconds=test.check_limit_s))
    if result.violation is None:
        failed = f" (what failed is {short(str(artefact.failure))})" if artefact.failure else ""
        raise UsageError(f"{run}: its history is {result.verdict}, so there is no window that fails{failed}")
    return result.violation
