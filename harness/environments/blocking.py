"""A blocking call, waited for with a deadline.

Lives here: the thread, the deadline, and what a cancelled caller must still wait for. Must not live here: what is
called, or how its exceptions are translated.

The Docker SDK and paramiko block, and some of their reads have no time-out at all. So each call has a thread of its
own, which is a daemon (whatever hangs must not keep the harness from exiting), and the caller waits only so long.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
_SETTLE_S = 10.0


async def in_thread(name: str, work: Callable[[], T], deadline_s: float) -> T:
    """What `work` returns, or the exception that it raises; TimeoutError if it does neither in time.

    When the caller is cancelled, what was begun ends first: a container made after the teardown would stay.
    """
    future = asyncio.wrap_future(_started(name, work))
    # Perhaps nobody waits for it any more when it ends, and asyncio would complain that nobody looked.
    future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    try:
        async with asyncio.timeout(deadline_s):
            return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future], timeout=_SETTLE_S)
        raise


def _started(name: str, work: Callable[[], T]) -> Future[T]:
    promise: Future[T] = Future()
    promise.set_running_or_notify_cancel()  # from now on it cannot be cancelled from outside

    def run() -> None:
        try:
            promise.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            promise.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return promise
