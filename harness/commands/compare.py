"""`splitbrain compare`: what is new, gone and slower from one campaign to another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from harness import exit_codes
from harness.commands.terminal import Terminal
from harness.escape import short

if TYPE_CHECKING:  # loaded when it is needed: every run of a campaign loads this file as well
    from harness.campaign.evidence import Account


def compare_command(
    before: Annotated[str, typer.Argument(help="A campaign: its directory, its name, or its plan, by name or file.")],
    after: Annotated[str, typer.Argument(help="The campaign to be compared with it.")],
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as one JSON object, nothing else.")
    ] = False,
) -> None:
    """Say what is new, gone and slower, in Markdown.

    Exits with 1 if there is a failure that was not there before, 2 if either lacks runs or has not ended.
    """
    from harness.campaign.compare import compare
    from harness.campaign.directory import find
    from harness.campaign.evidence import account
    from harness.report.morning import comparison_report

    first, second = find(store, before), find(store, after)
    terminal = Terminal(json)
    was, now = account(first), account(second)
    comparison = compare(was.rows, now.rows)
    missing = [f"{one.name}: {line}" for one, told in ((first, was), (second, now)) for line in _lacks(told)]
    for line in missing:
        terminal.say(f"missing or contradictory: {short(line)}")
    if json:
        campaigns = {"before": str(first.path), "after": str(second.path)}
        terminal.document({**campaigns, **msgspec.to_builtins(comparison), "missing": missing})
    else:
        terminal.lines(comparison_report(first.name, second.name, comparison).splitlines())
    if comparison.new:
        raise typer.Exit(exit_codes.INVALID)
    raise typer.Exit(exit_codes.UNKNOWN if missing else exit_codes.VALID)


def _lacks(told: Account) -> Iterator[str]:
    """Why the rows do not say all that the campaign was to show."""
    yield from told.missing
    if not told.over:
        yield "it has not ended"
    if not any(row.verdict.conclusive for row in told.rows):
        yield "no run was conclusive"
