"""A process that outlives whoever started it, known by a file that holds its number.

Lives here: starting one in a process group of its own, signalling it, and what `/proc` says of it. Must not live here:
what kind of process it is.

The file holds the process id and the time at which the process started: ids are reused, the two together are not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.002


class ProcessError(Exception):
    """A process did not do what was asked of it; the message is one line."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What `/proc/PID/stat` says: R, S, D run in one way or another; T stands still; Z is dead and not yet reaped."""

    pid: int
    state: str
    started: int


def look(pid: int) -> Seen | None:
    """The process of that number (proc(5), fields 3 and 22 of stat); None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything, so fields are counted behind it.
    fields = stat.rpartition(")")[2].split()
    return Seen(pid, fields[0], int(fields[19]))


class Process:
    """The one process that `pid_file` stands for, whoever started it."""

    def __init__(self, pid_file: Path) -> None:
        self._pid_file = pid_file
        self._child: subprocess.Popen[bytes] | None = None

    def seen(self) -> Seen | None:
        """The process, if it lives."""
        if self._child is not None:
            self._child.poll()  # reaps it if it has ended
        try:
            pid, started = map(int, self._pid_file.read_text(encoding="ascii").split())
        except (OSError, ValueError):
            return None
        seen = look(pid)
        return seen if seen is not None and seen.started == started and seen.state not in "ZX" else None

    def start(self, command: Sequence[str], directory: Path, output: Path, variables: Mapping[str, str]) -> None:
        """Start it unless it lives. Its output is appended to a file. Raises OSError."""
        if self.seen() is not None:
            return
        with output.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env={**os.environ, **variables},
                start_new_session=True,  # a group of its own: signals reach its children too
            )
        self._child = child
        seen = look(child.pid)
        beside = self._pid_file.with_suffix(".new")
        beside.write_text(f"{child.pid} {seen.started if seen else 0}\n", encoding="ascii")
        beside.replace(self._pid_file)

    def signal(self, number: signal.Signals) -> int | None:
        """Send it to the process and its children; the process id, or None if there was nobody to send it to."""
        seen = self.seen()
        if seen is None:
            return None
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(seen.pid, number)
            return seen.pid
        return None

    def kill(self, deadline_s: float) -> int | None:
        """SIGKILL, and wait until it is gone. The process id, or None if it did not live."""
        pid = self.signal(signal.SIGKILL)
        self._await("ended", lambda: self.seen() is None, deadline_s)
        return pid

    def stop(self, deadline_s: float) -> int | None:
        """SIGTERM, also to one that stands still, and wait until it is gone."""
        pid = self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        self._await("ended", lambda: self.seen() is None, deadline_s)
        return pid

    def pause(self, deadline_s: float) -> int | None:
        """SIGSTOP, and wait until the kernel says that it stands still: a signal only asks for it."""
        pid = self.signal(signal.SIGSTOP)
        self._await("stopped", lambda: (seen := self.seen()) is None or seen.state == "T", deadline_s)
        return pid

    def resume(self, deadline_s: float) -> int | None:
        """SIGCONT, and wait until the kernel says that it goes on."""
        pid = self.signal(signal.SIGCONT)
        self._await("gone on", lambda: (seen := self.seen()) is None or seen.state != "T", deadline_s)
        return pid

    def _await(self, what: str, condition: Callable[[], bool], deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                raise ProcessError(f"{self._pid_file.stem} has not {what} within {deadline_s:.0f} s")
            time.sleep(_POLL_S)
