"""The thread in which a server's disk is waited for, so that its event loop never is.

Leaner than an executor, which costs two more turns of the loop for each sync: here the thread tells the loop itself.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue


class Disk:
    """Runs sync targets one after another; `done` is called on the loop after each, with the error if it failed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: Callable[[OSError | None], None]) -> None:
        self._loop = loop
        self._done = done
        self._targets: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="disk", daemon=True)
        self._thread.start()

    def run(self, target: Callable[[], None]) -> None:
        """Have the thread run a sync target."""
        self._targets.put(target)

    def close(self) -> None:
        """Wait for what was asked for, and end the thread. What is reported after that is dropped with the loop."""
        self._targets.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (target := self._targets.get()) is not None:
            error: OSError | None = None
            try:
                target()
            except OSError as failure:
                error = failure
            self._loop.call_soon_threadsafe(self._done, error)
