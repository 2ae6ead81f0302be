"""What a command shows a person while it works and when it ends.

Lives here: where output goes (notices to stderr, results to stdout), colour, and the progress bar. Must not live here:
any knowledge of tests. rich leaves colours out when it is piped or when NO_COLOR is set.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from checkers.result import Verdict

_COLOURS = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.UNKNOWN: "yellow"}
_REFRESH_S = 0.25


_SURROGATES = re.compile("[\ud800-\udfff]")


def one_line(text: str) -> str:
    """The text with its lines, if it has several, one behind the other."""
    return " ".join(text.splitlines())


def printable(text: str) -> str:
    """The text with what UTF-8 cannot say, such as the odd bytes of a file's name, replaced."""
    return _SURROGATES.sub("\ufffd", text)


class Terminal:
    """The terminal of one command. With `json` stdout is left to the one object that the command prints."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self._notices = Console(stderr=True, highlight=False, soft_wrap=True)
        self._results = Console(highlight=False, soft_wrap=True)

    def say(self, notice: str) -> None:
        """A line about what is going on."""
        self._notices.print(notice, style="dim", markup=False)

    def lines(self, lines: Sequence[str]) -> None:
        """Lines of the result."""
        for line in lines:
            self._results.print(line, markup=False)

    def document(self, content: object) -> None:
        """The one object of `--json`, on a line."""
        print(msgspec.json.encode(content).decode())

    def verdict(self, verdict: Verdict, sentence: str) -> None:
        """The last line, in the verdict's colour."""
        self._results.print(sentence, style=f"bold {_COLOURS[verdict]}", markup=False)

    @contextmanager
    def progress(self, title: str, seconds: float, now_ns: Callable[[], int]) -> Iterator[None]:
        """A bar that follows a clock up to `seconds` while the body runs; one plain line where there is no terminal."""
        if not self._notices.is_terminal:
            self.say(f"{title}: {seconds:g} s")
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        ended = threading.Event()
        with Progress(*columns, console=self._notices, transient=True) as bar:
            task = bar.add_task(title, total=seconds)

            def follow() -> None:
                while not ended.wait(_REFRESH_S):
                    bar.update(task, completed=min(seconds, now_ns() / 1e9))

            follower = threading.Thread(target=follow, daemon=True)
            follower.start()
            try:
                yield
            finally:
                ended.set()
                follower.join()
