"""Waiting, on the wall clock, for what another process or thread is about to do.

Must not live here: waiting on the clock of an environment, which may be simulated (`stage` in tests/conformance).
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
POLL_S = 0.005


def eventually(
    what: str,
    condition: Callable[[], T],
    deadline_s: float,
    process: subprocess.Popen[Any] | None = None,
    poll_s: float = POLL_S,
) -> T:
    """The first answer that says yes, which may be anything true. If a process is to bring it about, while that lives.

    Look less often where looking is work: the processors are for those who are waited for.
    """
    deadline = time.monotonic() + deadline_s
    while not (answer := condition()):
        assert process is None or process.poll() is None, f"it has ended, without: {what}: {process.communicate()}"
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}"
        time.sleep(poll_s)
    return answer


async def async_eventually(what: str, condition: Callable[[], T | Awaitable[T]], deadline_s: float) -> T:
    """The same, while other tasks go on."""
    deadline = time.monotonic() + deadline_s
    while not (answer := await _answer(condition())):
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}"
        await asyncio.sleep(POLL_S)
    return answer


async def _answer(given: T | Awaitable[T]) -> T:
    return await given if isinstance(given, Awaitable) else given
