"""`splitbrain heal`: undo what harnesses that were killed left behind."""

from __future__ import annotations

import typer

from harness import exit_codes
from harness.heal import heal, heal_unrecorded


def heal_command() -> None:
    """Undo the faults, and remove the things, of runs whose harness was killed. Nothing else is touched.

    Exits with 0 if nothing is left to undo, 2 if something could not be reached; the next run tries again by itself.
    """
    said: list[str] = []
    complete = heal(said.append)
    heal_unrecorded(said.append)
    for line in said or ["nothing to heal"]:
        typer.echo(line)
    raise typer.Exit(exit_codes.VALID if complete else exit_codes.UNKNOWN)
