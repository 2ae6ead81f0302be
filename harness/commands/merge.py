"""`splitbrain merge`: the shards of a campaign as one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from harness.commands.terminal import Terminal


def merge_command(
    shards: Annotated[list[Path], typer.Argument(help="The campaigns' directories, one a shard.")],
    store: Annotated[Path, typer.Option(help="Where the whole campaign is kept.")] = Path("store"),
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object, nothing else.")] = False,
) -> None:
    """Make one campaign of its shards. Exits with its verdict: invalid over unknown over valid."""
    from harness.campaign.directory import find
    from harness.campaign.evidence import finished
    from harness.campaign.merge import merge, missing
    from harness.commands.morning import write_morning_report
    from harness.report.campaign import render, sentence

    found = [find(store, str(path)) for path in shards]
    terminal = Terminal(json)
    if absent := missing(found):
        terminal.say(f"shards missing: {', '.join(map(str, absent))}")
    merged, lacking = merge(found, store, time.time())
    summary = finished(merged, lacking)
    terminal.best_effort("the morning report", lambda: write_morning_report(merged))
    if json:
        terminal.document(summary)
    else:
        terminal.lines(render(summary))
        terminal.verdict(summary.verdict, sentence(summary))
    raise typer.Exit(summary.verdict.exit_code)
