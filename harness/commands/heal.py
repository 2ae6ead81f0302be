"""`splitbrain heal`: undo what harnesses that were killed left behind."""

from __future__ import annotations

import typer

from harness import exit_codes
from harness.commands.terminal import Terminal
from harness.heal import heal, heal_unrecorded


def heal_command() -> None:
    """Undo the faults, and remove the things, of runs whose harness was killed. Nothing else is touched.

    Exits with 0 if nothing is left to undo, 2 if something could not be reached; the next run tries again by itself.
    """
    terminal, said = Terminal(), 0

    def say(line: str) -> None:
        nonlocal said
        said += 1
        terminal.lines([line])

    complete = heal(say)
    complete = heal_unrecorded(say) and complete
    if not said:
        terminal.lines(["nothing to heal"])
    raise typer.Exit(exit_codes.VALID if complete else exit_codes.UNKNOWN)
