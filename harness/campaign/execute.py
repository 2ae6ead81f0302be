"""One run as a process of its own, with limits on its time and its memory.

Lives here: starting it, waiting, ending it, and telling how it ended. Must not live here: what it found (`facts`), or
which run comes next.

However this process ends, the kernel sends its runs SIGTERM (prctl(2), PR_SET_PDEATHSIG), upon which they take down
what they have started; what a run may take of memory is a resource limit. Both are set by util-linux' own programs:
code between fork and exec is not safe where there are threads.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from harness import exit_codes
from harness.errors import UsageError
from harness.shortage import OUT_OF_MEMORY, is_shortage
from harness.store import RESULTS

OUTPUT = "output.txt"
_GRACE_S = 30.0
"""How long a run may take to tear down before it is killed: containers are slow to go."""
_LOOK_S = 1.0
"""How soon a run notices that everything is being stopped."""
_INTERRUPTED = (exit_codes.INTERRUPTED, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
_TAIL_BYTES = 64 << 10


class Limits(msgspec.Struct, frozen=True):
    """What one run may take."""

    wall_s: float
    memory_mb: int


class Exit(msgspec.Struct, frozen=True):
    """How a run ended, and the last line that it printed.

    `ended`: with results. Else `crash`, `refused` (bad arguments), `out of time`, `out of memory`, or `interrupted`: it
    was asked to stop, by us or by somebody else.
    """

    ended: str
    seconds: float
    said: str = ""


class Children:
    """The processes of runs that are under way, so that they can all be stopped. Used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self.stopping = False

    def start(self, command: Sequence[str], output: Path) -> subprocess.Popen[bytes] | None:
        """The process, the leader of a new process group; None if everything is being stopped."""
        with self._lock, output.open("wb") as file:
            if self.stopping:
                return None
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, process_group=0
            )
            self._processes.add(process)
            return process

    def reap(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the process, which has ended or been killed, and forget it."""
        with self._lock:
            self._processes.discard(process)
        process.wait()

    def stop(self) -> None:
        """Ask all that run to end, and let none begin any more. Whoever waits for them goes on waiting."""
        with self._lock:
            self.stopping = True
            for process in self._processes:
                _signal(process, signal.SIGTERM)

    def hurry(self) -> None:
        """Let those that are tearing down give up in a few seconds, and say what they leave."""
        with self._lock:
            for process in self._processes:
                _signal(process, signal.SIGINT)


def execute(words: Sequence[str], run: Path, store: Path, limits: Limits, children: Children) -> Exit:
    """Make the run that the words ask `splitbrain run` for, in its directory, and wait until its process is gone."""
    begin = time.monotonic()
    process = children.start(_command(words, run, store, limits), run / OUTPUT)
    if process is None:
        return Exit("interrupted", 0.0)
    try:
        in_time = _wait(process, limits.wall_s, children)
    finally:
        _end(process)
        children.reap(process)
    seconds = time.monotonic() - begin
    tail = _tail(run / OUTPUT)
    said = (tail.strip().splitlines() or [""])[-1]
    # Results are written last and whole: with them the run has ended, however its process did. Without them it has not,
    # whatever its exit code: Python itself exits with 1 where it cannot even begin.
    if (run / RESULTS).exists():
        return Exit("ended", seconds, said)
    if children.stopping:
        return Exit("interrupted", seconds, said)
    if not in_time:
        return Exit("out of time", seconds, f"stopped after {limits.wall_s:g} s")
    return Exit(_without_results(process.returncode, tail), seconds, said)


def _command(words: Sequence[str], run: Path, store: Path, limits: Limits) -> list[str]:
    for program in ("setpriv", "prlimit"):
        if shutil.which(program) is None:
            raise UsageError(f"{program} is not installed, and a campaign limits its runs with it: install util-linux")
    return [
        *("setpriv", "--pdeathsig", "TERM", "prlimit", f"--as={limits.memory_mb << 20}"),
        *(sys.executable, "-P", "-m", "harness", "run", *words),
        *("--store", str(store), "--directory", str(run), "--json"),
    ]


def _wait(process: subprocess.Popen[bytes], seconds: float, children: Children) -> bool:
    """Whether it ended in time. Once everything is being stopped, it has the grace of a teardown, no more."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if children.stopping:
            return _gone(process, min(left, _GRACE_S))
        if _gone(process, min(left, _LOOK_S)):
            return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of the process' group: ask first, so that it can tear down, then kill."""
    if not _gone(process, 0):
        _signal(process, signal.SIGTERM)
        _gone(process, _GRACE_S)
    _signal(process, signal.SIGKILL)


def _gone(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ends within that time. It is not reaped: until then its group's number cannot become another's."""
    descriptor = os.pidfd_open(process.pid)
    try:
        ready, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    return bool(ready)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To all of its group; until it is reaped, the number of an ended leader stays the group's."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _without_results(code: int, tail: str) -> str:
    """What to call the end of a run that left no results."""
    if code == exit_codes.BAD_INPUT:
        return "refused"
    # Nobody but the kernel kills a run that is in time, and it does so when memory is short.
    if code == -signal.SIGKILL or is_shortage(tail):
        return OUT_OF_MEMORY
    # Whoever stops a whole service, as systemd does, sends the signal to us and to our runs at once.
    return "interrupted" if code in _INTERRUPTED else "crash"


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return file.read().decode(errors="replace")
