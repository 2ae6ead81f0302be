"""The register workload: many registers, each read, written and compare-and-set by a group of workers, linearizable.

Values are unique within a register and a cas asks for a value that was seen, because both make violations visible:
a read names the one write that it saw. Jepsen's `tests.linearizable-register`, with versions.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from checkers import check, models
from checkers.budget import Budget
from checkers.history import Event, History
from checkers.result import Result
from harness.adapters.base import Adapter, Definite, Indefinite, Mismatch, RegisterClient
from harness.context import PENDING, Context, Template
from harness.environments.base import Environment, Node
from harness.generator import Generator, Limit, PerKey, Stagger, Step, clients, operations
from harness.interpreter import Completion
from harness.workloads.base import Client, Pace

OPERATIONS_PER_KEY = 200
"""A register is left after that many operations: long histories of one register are what makes checking slow."""


class OneRegister(Struct, frozen=True):
    """Operations on one register, without end.

    The first `readers` threads read. The others write fresh values (1, 2, 3...), and twice as often cas from the value
    that was last seen by anybody to a fresh one.
    """

    key: int
    readers: int
    seen: int | None = None
    last_value: int = 0

    def next(self, context: Context) -> Step | None:
        free = context.free
        if not free:
            return PENDING, self
        thread = context.random.choice(free)
        if context.threads.index(thread) < self.readers:
            return context.invocation(thread, "read", self.key), self
        value = self.last_value + 1
        if context.random.random() < 1 / 3:
            event = context.invocation(thread, "write", self.key, value)
        else:
            event = context.invocation(thread, "cas", self.key, [self.seen, value])
        return event, OneRegister(self.key, self.readers, self.seen, value)

    def update(self, context: Context, event: Event) -> Generator:
        shown = _shown(event) if event.key == self.key else None
        return self if shown is None else OneRegister(self.key, self.readers, shown, self.last_value)


def _shown(event: Event) -> int | None:
    """The value that the register held when this operation completed, if the event tells."""
    shown = {"ok": event.value, "fail": event.actual}.get(event.type)
    shown = shown[1] if isinstance(shown, list) else shown
    return shown if isinstance(shown, int) else None


class Register:
    """The workload `register`."""

    name = "register"

    def generator(self, pace: Pace) -> Generator:
        group = min(2 * pace.nodes, pace.workers)

        def of_key(key: int) -> Generator:
            return Limit(OPERATIONS_PER_KEY, OneRegister(key, readers=(group + 1) // 2))

        return clients(Stagger(1 / pace.rate, PerKey(group, of_key)))

    def final_generator(self, unserved: Sequence[int], pace: Pace) -> Generator:
        return clients(Stagger(1 / pace.rate, operations(Template("read", key) for key in unserved)))

    def keys(self, events: Sequence[Event]) -> list[int]:
        return sorted({event.key for event in events if isinstance(event.key, int)})

    def unserved(self, keys: Sequence[int], final: Sequence[Event]) -> list[int]:
        served = {event.key for event in final if event.type == "ok"}
        return [key for key in keys if key not in served]

    def client(self, adapter: Adapter, environment: Environment, node: Node, timeout_s: float) -> Client:
        return _RegisterClient(adapter.client(environment, node, timeout_s))

    def check(self, history: History, budget: Budget) -> Result:
        return check(history, models.versioned_register(), budget=budget)


class _RegisterClient:
    """Operations of the history in terms of a register client, and its answers as completions."""

    def __init__(self, client: RegisterClient) -> None:
        self._client = client

    async def open(self) -> None:
        await self._client.open()

    async def invoke(self, operation: Event) -> Completion:
        try:
            return await self._carry_out(operation)
        except Definite as error:
            return Completion("fail", error=str(error))
        except Indefinite as error:
            # A read that got no answer changed nothing: it is as good as not done.
            return Completion("fail" if operation.f == "read" else "info", error=str(error))

    async def _carry_out(self, operation: Event) -> Completion:
        assert isinstance(operation.key, int)
        if operation.f == "read":
            value, version = await self._client.read(operation.key)
            return Completion("ok", value=value, version=version)
        if operation.f == "write":
            return Completion("ok", version=await self._client.write(operation.key, operation.value))
        old, new = operation.value
        outcome = await self._client.cas(operation.key, old, new)
        if isinstance(outcome, Mismatch):
            return Completion("fail", error="mismatch", actual=outcome.actual, version=outcome.version)
        return Completion("ok", version=outcome)

    def close(self) -> None:
        self._client.close()
