"""Calls that block, waited for with a deadline. (What a cancelled caller still waits for: see test_engine.py.)"""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from harness.environments.blocking import in_thread


def test_what_the_call_returns_or_raises_is_handed_on() -> None:
    assert asyncio.run(in_thread("test", lambda: 7, 30)) == 7
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread("test", lambda: 1 // 0, 30))


def test_a_call_that_fails_after_its_deadline_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    late, ended = threading.Event(), threading.Event()
    caller: list[threading.Thread] = []

    def fail() -> None:
        caller.append(threading.current_thread())
        late.wait(30)
        ended.set()
        raise OSError("too late for anybody to hear")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await in_thread("test", fail, 0.05)
        late.set()
        await asyncio.to_thread(ended.wait, 30)
        await asyncio.to_thread(caller[0].join, 30)  # whatever other threads there are is not its business
        assert not caller[0].is_alive()
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == []
