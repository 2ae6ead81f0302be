"""`splitbrain nemesis`: what faults there are, what they need, and how they are believed."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from harness.commands.terminal import Cell, Terminal
from harness.environments.choose import ENVIRONMENTS
from harness.nemesis import FAULTS
from harness.nemesis.fault import Fault
from harness.nemesis.targets import MEANING

_PIPED_WIDTH = 160
_EXAMPLE = "partition:majorities-ring,clock:offset=2s,kill:leader:interval=9"


def nemesis_command(
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on stdout.")] = False,
) -> None:
    """List the faults: what they do, where, how they are asked for, and what proves them."""
    if as_json:
        Terminal(as_json).document({"faults": [_row(fault) for fault in FAULTS.values()], "targets": MEANING})
        return
    terminal = Terminal()
    titles = ("fault", "what it does", "ask for", "where", "needs", "believed by")
    terminal.table(titles, [_cells(_row(fault)) for fault in FAULTS.values()], piped_width=_PIPED_WIDTH)
    terminal.lines(["", "targets"], style="bold")
    terminal.lines(f"  {target:<15}{meaning}" for target, meaning in MEANING.items())
    terminal.lines(["", f"splitbrain run --nemesis {_EXAMPLE}"])


class _Row(msgspec.Struct):
    fault: str
    does: str
    choices: list[str]
    parameters: list[str]
    environments: list[str]
    needs: str
    proof: str
    may_break: str


def _cells(row: _Row) -> tuple[Cell, ...]:
    words = (*row.choices, *([" ".join(row.parameters)] if row.parameters else []))
    return (row.fault, row.does, words, ", ".join(row.environments), row.needs, row.proof)


def _row(fault: Fault) -> _Row:
    return _Row(
        fault=fault.name,
        does=fault.about,
        choices=[f"{question}: {' '.join(words)}" for question, words in fault.choices.items()],
        parameters=[f"{name}={parameter.example}" for name, parameter in fault.parameters.items()],
        environments=[name for name, kind in ENVIRONMENTS.items() if fault.capability in kind.capabilities],
        needs=fault.requires,
        proof=fault.proof,
        may_break=fault.may_break,
    )
