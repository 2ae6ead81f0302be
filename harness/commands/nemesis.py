"""`splitbrain nemesis`: what faults there are, what they need, and how they are believed."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from harness.commands.terminal import Terminal
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
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("fault", "what it does", "ask for", "where", "needs", "believed by"):
        table.add_column(title, overflow="fold")
    for row in (_row(fault) for fault in FAULTS.values()):
        words = "\n".join([*row.choices, " ".join(row.parameters)]).strip()
        table.add_row(row.fault, row.does, words, ", ".join(row.environments), row.needs, row.proof)
    console.print(table)
    console.print("\ntargets", style="bold")
    for target, meaning in MEANING.items():
        console.print(f"  {target:<15}{meaning}", markup=False)
    console.print(f"\nsplitbrain run --nemesis {_EXAMPLE}", markup=False)


class _Row(msgspec.Struct):
    fault: str
    does: str
    choices: list[str]
    parameters: list[str]
    environments: list[str]
    needs: str
    proof: str
    may_break: str


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
