"""A worker: carries out the operations of one client thread, with a new client for each process.

Lives here: when a client is opened and closed. Must not live here: what it does (`workloads`), or who acts when.
"""

from __future__ import annotations

from collections.abc import Callable

from checkers.history import Event
from harness.adapters.base import Definite
from harness.interpreter import Completion
from harness.workloads.base import Client


class Worker:
    """One thread's client, opened when it is first needed and given up after an `info` (Jepsen `client/worker`)."""

    def __init__(self, new_client: Callable[[], Client]) -> None:
        self._new_client = new_client
        self._client: Client | None = None

    async def handle(self, operation: Event) -> Completion:
        """How the operation ended; `fail` if no client could be opened for it."""
        if self._client is None:
            client = self._new_client()
            try:
                await client.open()
            except Definite as error:
                client.close()
                return Completion("fail", error=f"no client: {error}")
            self._client = client
        completion = await self._client.invoke(operation)
        if completion.type == "info":
            self.close()
        return completion

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
