"""What a workload is: the operations of a test, who carries them out, and what must hold of the answers.

Lives here: the contract. A workload names its generator, its client and its checker together, in one file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from checkers.budget import Budget
from checkers.history import Event, History
from checkers.result import Result
from harness.adapters.base import Adapter
from harness.environments.base import Environment, Node
from harness.generator import Generator
from harness.interpreter import Completion


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard a workload drives the system: client workers, nodes, and operations a second over all of them."""

    workers: int
    nodes: int
    rate: float


class Client(Protocol):
    """What one process does. Opened once; an operation never raises: what went wrong is in its completion."""

    async def open(self) -> None:
        """Raises `Definite` if the client cannot be opened."""

    async def invoke(self, operation: Event) -> Completion: ...

    def close(self) -> None: ...


class Workload(Protocol):
    """A workload, by name."""

    name: str

    def generator(self, pace: Pace) -> Generator:
        """The operations of the main phase, without end; clients only."""

    def final_generator(self, unserved: Sequence[int], pace: Pace) -> Generator:
        """The operations of the final phase, on a healed cluster, for those keys; clients only."""

    def keys(self, events: Sequence[Event]) -> list[int]:
        """The keys that a history is about."""

    def unserved(self, keys: Sequence[int], final: Sequence[Event]) -> list[int]:
        """Those of the keys that the healed cluster has not served yet, given the events of the final phase."""

    def client(self, adapter: Adapter, environment: Environment, node: Node, timeout_s: float) -> Client: ...

    def check(self, history: History, budget: Budget) -> Result:
        """Whether one correct copy could have given these answers."""
