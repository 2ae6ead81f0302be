"""A program of this machine, run to its end with a deadline.

Lives here: `run`, and `patience` for what takes long. Must not live here: nodes, whose processes outlast the call that
starts them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from harness.errors import EnvironmentFailure

_NOTICE_PERIOD_S = 15


async def run(*command: str, deadline_s: float, stdin: str = "") -> str:
    """What the program printed, both streams together.

    Raises `EnvironmentFailure`, with the last line printed, if it cannot be started, fails or misses the deadline.
    After that, and when the caller is cancelled, neither it nor its children run on.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise EnvironmentFailure(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(deadline_s):
            output, _ = await process.communicate(stdin.encode())
    except TimeoutError as error:
        raise EnvironmentFailure(f"{command[0]} did not end within {deadline_s:.0f} s") from error
    finally:
        await _end(process)
    text = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise EnvironmentFailure(f"{command[0]} failed: {(text.splitlines() or ['it says nothing'])[-1]}")
    return text


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def patience(say: Callable[[str], None], what: str) -> AsyncIterator[None]:
    """Say what is being done, and every few seconds that it goes on."""

    async def repeat() -> None:
        seconds = 0
        while True:
            await asyncio.sleep(_NOTICE_PERIOD_S)
            seconds += _NOTICE_PERIOD_S
            say(f"{what}: {seconds} s so far")

    say(what)
    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
