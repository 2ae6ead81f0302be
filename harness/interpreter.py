"""The interpreter: decides who acts next and keeps the books of processes; it does nothing itself.

Lives here: Jepsen's rules. A completion is taken before anything new is generated, so that no concurrency is
invented. A client thread whose operation ended `info` may still have it in flight, so its process is retired and the
thread goes on as a new one, whose number is greater by the number of workers. A thread does one thing at a time.
Must not live here: clocks, tasks, clients. The driver tells it the time and what completed, and does what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from checkers.history import NEMESIS, Event
from harness.context import PENDING, Context, Later, Thread, Threads, thread_of
from harness.generator import EXHAUSTED, Generator

CompletionType = Literal["ok", "fail", "info"]


class Completion(Struct, frozen=True):
    """How an operation ended: `ok`, `fail` (it certainly did not happen) or `info` (nobody knows).

    `value` is what came back, if anything did: else the event repeats what was asked. `actual` is what a failed cas
    saw instead.
    """

    type: CompletionType
    value: object = UNSET
    version: int | None = None
    error: str | UnsetType = UNSET
    actual: object = UNSET


class Wait:
    """Nothing to do before something completes."""


class Done:
    """The generator is exhausted and nothing is in flight."""


Decision = Event | Later | Wait | Done


class Interpreter:
    """The state of a test's threads under a generator. Deterministic in its calls and in the random streams."""

    def __init__(self, workers: int, streams: Mapping[str, Random]) -> None:
        self._workers = workers
        self._streams = streams
        self._threads: Threads = (*range(workers), NEMESIS)
        self._processes: dict[Thread, int] = {}
        """Of threads whose first process, which has the thread's own number, was retired."""
        self._open: dict[Thread, Event] = {}
        self._generator: Generator = EXHAUSTED
        self._next_index = 0

    def begin(self, generator: Generator) -> None:
        """Go on with this generator; processes and numbering continue."""
        self._generator = generator

    def thread_of(self, event: Event) -> Thread:
        """The thread that the event's process runs on."""
        return thread_of(event, self._workers)

    def next(self, now_ns: int) -> Decision:
        """What to do now. An event is the invocation of an operation that is to be carried out; then ask again."""
        step = self._generator.next(self._context(now_ns))
        if step is None:
            return Wait() if self._open else Done()
        answer, self._generator = step
        if answer is PENDING:
            assert self._open, "a generator waits for an event, but nothing is in flight"
            return Wait()
        if isinstance(answer, Later):
            assert answer.time_ns > now_ns, "a generator that waits for the past would be asked for ever"
            return answer
        thread = thread_of(answer, self._workers)
        assert thread not in self._open, f"{thread} is busy"
        self._open[thread] = answer
        self._take_place(answer)
        return answer

    def complete(self, invocation: Event, completion: Completion, now_ns: int) -> Event:
        """The event of this completion; frees the thread, and retires its process after `info`."""
        thread = thread_of(invocation, self._workers)
        opened = self._open.pop(thread)
        assert opened is invocation, f"{thread} does something else"
        event = _completed(invocation, completion, self._next_index, now_ns)
        self._take_place(event)
        if completion.type == "info" and event.process != NEMESIS:
            assert isinstance(event.process, int)
            self._processes[thread] = event.process + self._workers
        return event

    def _take_place(self, event: Event) -> None:
        """Let the generator learn of an event, which is the next one of the history."""
        self._next_index += 1
        self._generator = self._generator.update(self._context(event.time), event)

    def _context(self, now_ns: int) -> Context:
        return Context(
            now_ns,
            self._workers,
            self._threads,
            self._streams["generator"],
            self._streams,
            self._open,
            self._processes,
            self._next_index,
        )


def _completed(invocation: Event, completion: Completion, index: int, now_ns: int) -> Event:
    return Event(
        index=index,
        time=now_ns,
        type=completion.type,
        process=invocation.process,
        f=invocation.f,
        key=invocation.key,
        value=invocation.value if completion.value is UNSET else completion.value,
        error=completion.error,
        version=UNSET if completion.version is None else completion.version,
        actual=completion.actual,
    )
