"""The nemesis: the thread that breaks things. A package is one kind of fault, complete.

Lives here: what a package is and how several become one nemesis. Must not live here: any fault (one file each).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from msgspec import UNSET

from checkers.history import Event
from harness.cluster import Cluster
from harness.environments.base import Capability, Environment, EnvironmentFailure, Node
from harness.generator import (
    NEMESIS,
    PENDING,
    After,
    AnyOf,
    Context,
    Generator,
    Invocation,
    Later,
    Step,
    Template,
    operations,
)
from harness.interpreter import Completion

_ELECTION_NS = 2_000_000_000
"""How long a fault that wants the leader waits for one: a few elections. Others faults' ends wait meanwhile."""

_POLL_S = 0.1
_SPREAD_S = 0.6


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may touch: the environment, who leads, and the nemesis' own randomness."""

    environment: Environment
    cluster: Cluster
    random: Random

    async def primaries(self, wanted: bool) -> tuple[Node, ...]:
        """The nodes that lead now. If they are to be the target, wait a little for an election to end.

        And then some more, by chance: a fault that came always as soon after an election as it can be made would meet
        a leader at one moment of its life only.
        """
        deadline_ns = self.environment.now_ns() + _ELECTION_NS
        primaries = await self.cluster.primaries()
        while wanted and not primaries and self.environment.now_ns() < deadline_ns:
            await self.environment.sleep(_POLL_S)
            primaries = await self.cluster.primaries()
        if wanted and primaries:
            await self.environment.sleep(self.random.random() * _SPREAD_S)
            primaries = await self.cluster.primaries() or primaries
        return primaries

    async def on_all(self, nodes: Sequence[Node], action: Callable[[Node], Coroutine[Any, Any, None]]) -> None:
        """Do it to each of the nodes at once, and wait for all. The first failure is raised when all have ended."""
        if not nodes:
            return
        environment, left, failures = self.environment, len(nodes), list[EnvironmentFailure]()
        ended = environment.future()

        async def act(node: Node) -> None:
            nonlocal left
            try:
                await action(node)
            except EnvironmentFailure as failure:
                failures.append(failure)
            left -= 1
            if left == 0:
                ended.set_result(None)

        for node in nodes:
            environment.spawn(act(node))
        await ended
        if failures:
            raise failures[0]


Fault = Callable[[Scene, Event], Awaitable[object]]
"""Carries out one operation of a package; answers with what it became: the resolved targets, as JSON."""


@dataclass(frozen=True, slots=True)
class Package:
    """One kind of fault: how it begins and ends, in the history and for real (Jepsen `nemesis.combined` package).

    `begin(random)` draws the operation that starts a window; `end` closes it, and also heals whatever is left of this
    kind when the test is over. A fault is in force for about `open` intervals of the test, and then not for `closed`.
    """

    name: str
    capability: Capability
    begin: Callable[[Random], Template]
    end: Template
    start: Fault
    stop: Fault
    open: float = 0.5
    closed: float = 0.5

    def generator(self, interval_s: float) -> Generator:
        """Windows for ever."""
        return Windows(self, interval_s * self.open, interval_s * self.closed)


@dataclass(frozen=True, slots=True)
class Windows:
    """A package's faults, one after the other: in force for about `open_s`, then none for about `closed_s`.

    Both are drawn anew each time, between half and one and a half of that, and are counted from when the operation
    before was complete: where it takes long to make a cut, the cut must not be shorter for it.
    """

    package: Package
    open_s: float
    closed_s: float
    is_open: bool = False
    next_ns: int | None = 0

    def next(self, context: Context) -> Step | None:
        if self.next_ns is None or not context.free:
            return PENDING, self
        if context.time_ns < self.next_ns:
            return Later(self.next_ns), self
        template = self.package.end if self.is_open else self.package.begin(context.random)
        return Invocation(NEMESIS, template), replace(self, next_ns=None)

    def update(self, context: Context, event: Event) -> Generator:
        # One thread does all the work, so when it is free again, what this generator asked for is complete.
        if self.next_ns is not None or NEMESIS not in context.free:
            return self
        mean_s = self.closed_s if self.is_open else self.open_s
        next_ns = context.time_ns + int((0.5 + context.random.random()) * mean_s * 1e9)
        return replace(self, is_open=not self.is_open, next_ns=next_ns)


@dataclass(frozen=True, slots=True)
class Nemesis:
    """Several packages as one: each with its own pace, one operation at a time."""

    packages: tuple[tuple[Package, float], ...]

    def generator(self) -> Generator:
        """The faults of every package, interleaved; they do not all begin at once."""
        share = 1 / (len(self.packages) + 1)
        return AnyOf(
            tuple(
                After(interval_s * share * (position + 1), package.generator(interval_s))
                for position, (package, interval_s) in enumerate(self.packages)
            )
        )

    def final_generator(self) -> Generator:
        """One operation a package, which undoes what is left of it."""
        return operations(package.end for package, _ in self.packages)

    def handler(self, scene: Scene) -> Callable[[Event], Awaitable[Completion]]:
        """Carries out the operations of all packages. A fault that could not be applied is recorded as an error."""
        faults: dict[str, Fault] = {}
        for package, _ in self.packages:
            faults[f"start-{package.name}"] = package.start
            faults[package.end.f] = package.stop

        async def handle(event: Event) -> Completion:
            try:
                return Completion("info", value=await faults[event.f](scene, event))
            except EnvironmentFailure as failure:
                return Completion("info", error=str(failure))

        return handle


def count_faults(packages: Sequence[str], events: Sequence[Event]) -> dict[str, int]:
    """How many faults of each package were begun: operations that start one and completed without an error."""
    begun = [event.f for event in _completions(events) if event.error is UNSET]
    return {name: begun.count(f"start-{name}") for name in packages}


def unhealed(packages: Sequence[str], events: Sequence[Event]) -> dict[str, str]:
    """What went wrong when each package was last asked to end its faults; packages that ended them are left out."""
    last = {event.f: event.error for event in _completions(events)}
    ends = {name: last.get(f"stop-{name}", UNSET) for name in packages}
    return {name: error for name, error in ends.items() if isinstance(error, str)}


def _completions(events: Sequence[Event]) -> list[Event]:
    """The nemesis' completions: it does one thing at a time, so every other event of its own is one."""
    return [event for event in events if event.process == NEMESIS][1::2]
