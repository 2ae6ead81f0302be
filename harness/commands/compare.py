"""`splitbrain compare`: what is new, gone and slower from one campaign to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from harness import exit_codes
from harness.commands.terminal import Terminal
from harness.escape import short


def compare_command(
    before: Annotated[str, typer.Argument(help="A campaign: its directory, its name, or its plan, by name or file.")],
    after: Annotated[str, typer.Argument(help="The campaign to be compared with it.")],
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as one JSON object, nothing else.")
    ] = False,
) -> None:
    """Say what is new, gone and slower, in Markdown.

    Exits with 1 if there is a failure that was not there before, 2 if runs of either cannot be read.
    """
    from harness.campaign.compare import compare
    from harness.campaign.directory import find
    from harness.campaign.evidence import account
    from harness.report.morning import comparison_report

    first, second = find(store, before), find(store, after)
    terminal = Terminal(json)
    was, now = account(first), account(second)
    comparison = compare(was.rows, now.rows)
    missing = [f"{one.name}: {line}" for one, told in ((first, was), (second, now)) for line in told.missing]
    for line in missing:
        terminal.say(f"missing or contradictory: {short(line)}")
    if json:
        document = {"before": str(first.path), "after": str(second.path), **msgspec.to_builtins(comparison)}
        terminal.document(document)
    else:
        terminal.lines(comparison_report(first.name, second.name, comparison).splitlines())
    if comparison.new:
        raise typer.Exit(exit_codes.INVALID)
    raise typer.Exit(exit_codes.UNKNOWN if missing else exit_codes.VALID)
