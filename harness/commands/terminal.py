"""What a command shows a person while it works and when it ends.

Responsible for everything that is printed: notices to stderr, results to stdout, colours, tables, the progress bar.
Text may come from anybody's file, so it is escaped here, once: no markup, emoji, control character or command of a CI
runner survives. rich leaves colours out when it is piped or when NO_COLOR is set.

Not responsible for what becomes of the output (`streams`), or for any knowledge of tests.
"""

from __future__ import annotations

import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from checkers.result import Verdict
from harness import escape
from harness.errors import EnvironmentFailure, UsageError

_COLOURS = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.UNKNOWN: "yellow"}
_REFRESH_S = 0.25
_NARROW = 12
"""How narrow a column may become so that others stay whole."""
_GAP = 2

_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_PLAIN = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_NOT_ASCII = re.compile("[^\n -~]")

Cell = str | tuple[str, ...]
"""A text, or several lines of it."""


def one_line(text: str) -> str:
    """The text with its lines, if it has several, one behind the other."""
    return " ".join(text.splitlines())


def printable(text: str) -> str:
    """The text with what UTF-8 cannot say, such as the odd bytes of a file's name, replaced."""
    return _SURROGATES.sub("\ufffd", text)


def console(stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji, no line cut or folded."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


class Terminal:
    """The terminal of one command. With `json` stdout is left to the one object that the command prints."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self._notices = console(stderr=True)
        self._results = console()

    def say(self, notice: str) -> None:
        """A line about what is going on."""
        self._notices.print(escape.terminal(notice), style="dim")

    def error(self, message: str) -> None:
        """The one line that says why a command ends without a result."""
        self._notices.print(escape.terminal(f"splitbrain: {one_line(message)}"))

    def best_effort(self, what: str, step: Callable[[], None]) -> None:
        """Do what follows from a verdict. Whatever goes wrong is said, and takes nothing from the verdict."""
        try:
            step()
        except (UsageError, EnvironmentFailure) as error:
            self.error(str(error))
        except Exception as error:  # noqa: BLE001 - see above
            reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
            self.error(f"{what}: {reason}")

    def crash(self, error: BaseException) -> None:
        """The traceback of an exception that nobody expected."""
        for line in "".join(traceback.format_exception(error)).rstrip("\n").split("\n"):
            self._notices.print(escape.terminal(line))

    def lines(self, lines: Iterable[str], style: str = "") -> None:
        """Lines of the result."""
        for line in lines:
            self._results.print(escape.terminal(line), style=style)

    def document(self, content: object) -> None:
        """The one object of `--json`, on a line."""
        self._print_json(msgspec.json.encode(content))

    def indented(self, document: bytes) -> None:
        """A JSON document of many lines. Raises `msgspec.DecodeError` if it is none."""
        msgspec.json.decode(document)
        self._print_json(msgspec.json.format(document, indent=2))

    def _print_json(self, document: bytes) -> None:
        """Print it; what a terminal or a runner would act upon, or the output cannot say, is escaped as JSON has it."""
        encodes_all = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
        text = (_NOT_PLAIN if encodes_all else _NOT_ASCII).sub(_json_escape, document.decode())
        print(text.replace("##[", "##\\u005b"))

    def runner_commands(self, commands: Sequence[str]) -> None:
        """Commands for the CI runner that reads the output, escaped already by whoever made them."""
        for command in commands:
            self._notices.print(command)

    def verdict(self, verdict: Verdict, sentence: str) -> None:
        """The last line, in the verdict's colour."""
        self.lines([sentence], style=f"bold {_COLOURS[verdict]}")

    def table(
        self,
        titles: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        whole: Sequence[str] = (),
        colours: Mapping[str, str] | None = None,
        piped_width: int | None = None,
    ) -> None:
        """Rows under titles. Columns in `whole` are never cut or folded; on a terminal the others give way.

        In a pipe a row is one line, unless `piped_width` says where to fold. `colours` are of whole cells, by text.
        """
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in titles:
            table.add_column(title, overflow="fold", no_wrap=title in whole)
        shown = [[_lines_of(cell) for cell in row] for row in rows]
        for row in shown:
            table.add_row(*(Text("\n".join(cell), style=(colours or {}).get("\n".join(cell), "")) for cell in row))
        widths = [
            max(cell_len(line) for line in [title, *(line for row in shown for line in row[column])])
            for column, title in enumerate(titles)
        ]
        if self._results.is_terminal:
            pairs = zip(titles, widths, strict=True)
            least = sum(width if title in whole else min(width, _NARROW) for title, width in pairs)
            width = max(self._results.width, least + _GAP * len(titles))
        else:
            width = piped_width or sum(widths) + _GAP * len(titles)
        wide = console()
        wide.width = width
        wide.print(table, soft_wrap=False)

    @contextmanager
    def progress(self, title: str, seconds: float, now_ns: Callable[[], int]) -> Iterator[None]:
        """A bar that follows a clock up to `seconds` while the body runs; one plain line where there is no terminal."""
        if not self._notices.is_terminal:
            self.say(f"{title}: {seconds:g} s")
            yield
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        ended = threading.Event()
        with Progress(*columns, console=self._notices, transient=True) as bar:
            task = bar.add_task(escape.terminal(title), total=seconds)

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


def _lines_of(cell: Cell) -> list[str]:
    return [escape.terminal(line) for line in ((cell,) if isinstance(cell, str) else cell)]


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(units[i : i + 2]):04x}" for i in range(0, len(units), 2))
