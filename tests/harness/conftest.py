"""A schedule without a cluster: generators are driven by the interpreter alone, on a clock that is a number."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from checkers.history import NEMESIS, Event
from harness.generator import Generator, Later, Thread, thread_of
from harness.interpreter import Completion, Done, Interpreter, Wait

MS = 1_000_000
End = Callable[[Event], Completion]


def random_streams(seed: int) -> dict[str, Random]:
    return {name: Random(f"{seed}/{name}") for name in ("generator", "clients", NEMESIS, "targets")}


@dataclass(frozen=True)
class Schedule:
    """What happened: every event, in order, and which of them are invocations, with the thread of each."""

    events: list[Event]
    invocations: list[tuple[Event, Thread]]
    ended_ms: int

    def times_ms(self) -> list[int]:
        return [event.time // MS for event, _ in self.invocations]

    def fs(self) -> list[str]:
        return [event.f for event, _ in self.invocations]

    def threads(self) -> list[Thread]:
        return [thread for _, thread in self.invocations]

    def keys(self) -> list[object]:
        return [event.key for event, _ in self.invocations]

    def brief(self) -> list[tuple[int, Thread, str]]:
        return [(event.time // MS, thread, event.f) for event, thread in self.invocations]


def _ok(event: Event) -> Completion:
    return Completion("ok")


def _simulate(
    generator: Generator,
    *,
    workers: int = 3,
    latency_ms: int | Callable[[Event], int] = 10,
    end: End = _ok,
    seed: int = 0,
    limit: int = 2000,
) -> Schedule:
    latency = latency_ms if callable(latency_ms) else lambda event: latency_ms
    interpreter = Interpreter(workers, random_streams(seed))
    interpreter.begin(generator)
    now_ns, events, invocations = 0, [], []
    flying: list[tuple[int, int, Event]] = []
    while len(invocations) < limit:
        decision = interpreter.next(now_ns)
        if isinstance(decision, Event):
            events.append(decision)
            invocations.append((decision, thread_of(decision, workers)))
            heapq.heappush(flying, (now_ns + latency(decision) * MS, decision.index, decision))
        elif isinstance(decision, Done):
            assert not flying, "done with operations in flight"
            break
        elif isinstance(decision, Later) and (not flying or decision.time_ns < flying[0][0]):
            now_ns = decision.time_ns
        else:
            assert isinstance(decision, Later | Wait)
            assert flying, "waits for an event, but nothing is in flight"
            now_ns, _, event = heapq.heappop(flying)
            events.append(interpreter.complete(event, end(event), now_ns))
    return Schedule(events, invocations, now_ns // MS)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Schedule]:
    """A function: the schedule that a generator makes when every operation takes `latency_ms` and ends as `end` says.

    It stops after `limit` invocations, for generators without end. Fails if the generator would wait for ever.
    """
    return _simulate


@pytest.fixture(scope="session")
def streams() -> Callable[[int], dict[str, Random]]:
    """A function: the random streams of a seed."""
    return random_streams
