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
    late = threading.Event()

    def fail() -> None:
        late.wait(30)
        raise OSError("too late for anybody to hear")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await in_thread("fails late", fail, 0.05)
        # By its name: whatever other threads there are is not its business.
        (caller,) = (thread for thread in threading.enumerate() if thread.name == "fails late")
        late.set()
        await asyncio.to_thread(caller.join, 30)
        assert not caller.is_alive()
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == []
