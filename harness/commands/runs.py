"""`splitbrain runs` and `splitbrain show`: what has been run, and one of it.

Lives here: options in, text or JSON out. Must not live here: the catalogue itself, or how rows look.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.terminal import Terminal
from harness.errors import UsageError

if TYPE_CHECKING:  # loaded when it is needed: every run of a campaign loads this file as well
    from harness.campaign.row import Row

_UNITS_S = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def runs_command(
    verdict: Annotated[str | None, typer.Option(help="Only these, with commas; crash has kinds: out of time.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Only this campaign's, by its directory's name.")] = None,
    env: Annotated[str | None, typer.Option(help="Only of this environment.")] = None,
    cell: Annotated[list[str] | None, typer.Option(help="Only cells with this in them, such as nemesis=kill.")] = None,
    signature: Annotated[str | None, typer.Option(help="Only failures with this in their signature.")] = None,
    version: Annotated[str | None, typer.Option(help="Only of this version of splitbrain.")] = None,
    since: Annotated[str | None, typer.Option(help="Begun since 2026-01-31, 2026-01-31T08:00 or 12h, 3d ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Begun before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="How many, the newest.")] = 50,
    reindex: Annotated[bool, typer.Option("--reindex", help="Make the catalogue anew from the directories.")] = False,
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """List runs, the newest first."""
    from harness.campaign.catalogue import Filter, opened
    from harness.campaign.row import CRASHES, Outcome
    from harness.environments.choose import ENVIRONMENTS

    terminal = Terminal(json)
    kinds = dict.fromkeys([*map(str, Outcome), *CRASHES])
    wanted = Filter(
        verdict=None if verdict is None else _of("--verdict", verdict.split(","), kinds),
        campaign=campaign,
        env=None if env is None else _of("--env", [env], ENVIRONMENTS)[0],
        cell=cell or (),
        signature=signature,
        version=version,
        since=None if since is None else parse_time("--since", since, time.time()),
        until=None if until is None else parse_time("--until", until, time.time()),
    )
    with opened(store, anew=reindex, say=terminal.say) as known:
        known.refresh(lambda count: terminal.say(f"read {count} runs"))
        rows, counts = known.rows(wanted, limit), known.counts(wanted)
    if json:
        terminal.document({"counts": counts, "runs": rows})
    else:
        _print(rows, counts, terminal)


def show_command(
    run: Annotated[
        str, typer.Argument(help="A run's directory, or its path in the store; or a campaign, as for gate.")
    ],
    store: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("store"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """Show one run on one screen, or a campaign's morning report."""
    from harness.campaign.facts import read_results
    from harness.campaign.settle import row_of_directory
    from harness.report.runs import screen

    terminal = Terminal(json)
    path = next((path.resolve() for path in (Path(run), store / run) if path.is_dir()), None)
    if path is not None and (row := row_of_directory(path.parent.parent, path)) is not None:
        if json:
            terminal.document(row)
        else:
            terminal.lines(screen(path.parent.parent, row, read_results(path)))
        return
    _show_campaign(run, path, store, terminal)


def _of(option: str, given: Iterable[str], allowed: Collection[str]) -> list[str]:
    """The words, of which each must be allowed. Raises `UsageError`."""
    words = [word.strip() for word in given]
    if unknown := [word for word in words if word not in allowed]:
        raise UsageError(f"{option} {', '.join(unknown)}: there is no such thing; choose from {', '.join(allowed)}")
    return words


def parse_time(option: str, text: str, now: float) -> float:
    """Seconds since the epoch, of a date, a date and time (local if it says no zone), or how long ago."""
    if match := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(min|h|d|w)", text):
        return now - float(match[1]) * _UNITS_S[match[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        example = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        raise UsageError(
            f"{option} {text}: give a date such as {example}, or how long ago, such as 12h or 3d"
        ) from None


def _print(rows: list[Row], counts: dict[str, int], terminal: Terminal) -> None:
    from harness.report.runs import COLUMNS, cells, counted

    terminal.table(COLUMNS, [cells(row) for row in rows], whole=["run"])
    terminal.lines([counted(counts, len(rows))])


def _show_campaign(text: str, path: Path | None, store: Path, terminal: Terminal) -> None:
    from harness import untrusted
    from harness.campaign.directory import campaigns, find
    from harness.campaign.evidence import account
    from harness.campaign.summary import Summary
    from harness.escape import lines, short

    named = (path is not None and (path / "campaign.json").exists()) or Path(text).is_file()
    if not named and not campaigns(store, text):
        raise UsageError(f"{text}: no run and no campaign is kept there; splitbrain runs lists them")
    found = find(store, text)
    told = account(found)
    if not (told.over and found.report.exists()):
        raise UsageError(
            f"{found.path}: it has not ended yet; splitbrain campaign {found.path} --resume goes on with it"
        )
    if terminal.json:
        terminal.document(untrusted.load(found.summary, Summary))
    else:
        terminal.lines(lines(untrusted.read(found.report).decode(errors="replace")))
    for line in told.missing:
        terminal.say(f"missing or contradictory: {short(line)}")
