"""`splitbrain compare`: what is new, gone and slower from one campaign to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from harness import exit_codes
from harness.commands.terminal import Terminal


def compare_command(
    before: Annotated[str, typer.Argument(help="A campaign: its directory, its name, or its plan, by name or file.")],
    after: Annotated[str, typer.Argument(help="The campaign to be compared with it.")],
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as one JSON object, nothing else.")
    ] = False,
) -> None:
    """Say what is new, gone and slower, in Markdown. Exits with 1 if there is a failure that was not there before."""
    from harness.campaign.compare import compare
    from harness.campaign.directory import find
    from harness.report.morning import comparison_report

    first, second = find(store, before), find(store, after)
    terminal = Terminal(json)
    comparison = compare(first.rows(), second.rows())
    if json:
        document = {"before": str(first.path), "after": str(second.path), **msgspec.to_builtins(comparison)}
        terminal.document(document)
    else:
        terminal.lines(comparison_report(first.name, second.name, comparison).splitlines())
    raise typer.Exit(exit_codes.INVALID if comparison.new else exit_codes.VALID)
