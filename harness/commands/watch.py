"""How a campaign goes, for whoever watches: a bar on a terminal, plain lines where there is none.

Lives here: what is shown while it runs. Must not live here: what is shown when it is over (`harness.report.campaign`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from harness import escape
from harness.campaign.row import COUNTED, Outcome, Row, counts_of
from harness.commands import terminal

_LINE_EVERY_S = 10.0
_COLOURS = {Outcome.INVALID: "red", Outcome.CRASH: "red"}


class Watch:
    """A context: inside of it, the bar is there. Fulfils `harness.campaign.conduct.Watcher`."""

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic, console: Console | None = None) -> None:
        self._console = console or terminal.console(stderr=True)
        self._title = title
        self._clock = clock
        self._began = self._spoke = clock()
        self._planned = 0
        self._before = 0
        self._counts: dict[str, int] = {}
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TextColumn("{task.fields[failed]}", style="red", markup=False),
        )
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task: TaskID | None = None

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, planned: int, rows: Sequence[Row]) -> None:
        """`rows` are those of runs that had been made before."""
        self._planned, self._before, self._counts = planned, len(rows), counts_of(rows)
        self._began = self._spoke = self._clock()
        self._task = self._bar.add_task(
            escape.terminal(self._title), total=planned, completed=len(rows), state="", failed=""
        )
        done = f", of which {len(rows)} have been made" if rows else ""
        self.say(f"{self._title}: {planned} runs{done}")

    def ended(self, row: Row) -> None:
        if row.verdict in COUNTED:
            self._counts[row.verdict] += 1
        if row.verdict not in (Outcome.VALID, Outcome.INTERRUPTED):
            said = row.ended if row.verdict is Outcome.CRASH else row.verdict.value
            self._print(f"{said}: {row.run}: {row.reason}", _COLOURS.get(row.verdict, "yellow"))
            if self._task is not None and row.verdict in _COLOURS:
                self._bar.update(self._task, failed=_last_failure(row, said))
        if self._task is not None:
            self._bar.update(self._task, completed=sum(self._counts.values()), state=self.state())
        if not self._console.is_terminal and self._clock() - self._spoke >= _LINE_EVERY_S:
            self._spoke = self._clock()
            self.say(f"{sum(self._counts.values())} of {self._planned}: {self.state()}")

    def say(self, notice: str) -> None:
        self._print(notice, "dim")

    def _print(self, text: str, style: str) -> None:
        self._console.print(escape.terminal(text), style=style)

    def state(self) -> str:
        """Counts by verdict, runs a minute, time left."""
        made = sum(self._counts.values()) - self._before
        counts = ", ".join(f"{count} {name}" for name, count in self._counts.items() if count)
        seconds = self._clock() - self._began
        if not made or seconds <= 0:
            return counts
        left_s = (self._planned - self._before - made) * seconds / made
        return f"{counts}; {60 * made / seconds:.0f} a minute; {duration(left_s)} left"


def _last_failure(row: Row, said: str) -> str:
    return escape.terminal(f"last failure: {row.run.rpartition('/')[2]}, {said}")


def duration(seconds: float) -> str:
    """Such as 40 s, 5 min, 2 h 10 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
