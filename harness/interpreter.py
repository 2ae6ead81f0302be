"""The interpreter: decides who acts next and keeps the books of processes; it does nothing itself.

Lives here: Jepsen's rules. A completion is taken before anything new is generated, so that no concurrency is
invented. A client thread whose operation ended `info` may still have it in flight, so its process is retired and the
thread goes on as a new one, whose number is greater by the number of workers. A thread does one thing at a time.
Must not live here: clocks, tasks, clients. The driver tells it the time and what completed, and does what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from msgspec import UNSET, UnsetType

from checkers.history import NEMESIS, Event
from harness.generator import EXHAUSTED, PENDING, Context, Generator, Later, Template, Thread, thread_of

CompletionType = Literal["ok", "fail", "info"]


@dataclass(frozen=True, slots=True)
class Completion:
    """How an operation ended: `ok`, `fail` (it certainly did not happen) or `info` (nobody knows).

    `value` is what came back, if anything did: else the event repeats what was asked. `actual` is what a failed cas
    saw instead.
    """

    type: CompletionType
    value: object = UNSET
    version: int | None = None
    error: str | UnsetType = UNSET
    actual: object = UNSET


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The thread is to carry out the operation whose invocation is `event`; whoever asked records it."""

    thread: Thread
    event: Event


class Wait:
    """Nothing to do before something completes."""


class Done:
    """The generator is exhausted and nothing is in flight."""


Decision = Dispatch | Later | Wait | Done


class Interpreter:
    """The state of a test's threads under a generator. Deterministic in its calls and in the random streams."""

    def __init__(self, workers: int, streams: Mapping[str, Random]) -> None:
        self._workers = workers
        self._streams = streams
        self._threads: tuple[Thread, ...] = (*range(workers), NEMESIS)
        self._process: dict[Thread, int | str] = {thread: thread for thread in self._threads}
        self._open: dict[Thread, Event] = {}
        self._generator: Generator = EXHAUSTED
        self._next_index = 0

    def begin(self, generator: Generator) -> None:
        """Go on with this generator; processes and numbering continue."""
        self._generator = generator

    def next(self, now_ns: int) -> Decision:
        """What to do now. After a `Dispatch`, ask again."""
        step = self._generator.next(self._context(now_ns))
        if step is None:
            return Wait() if self._open else Done()
        answer, self._generator = step
        if isinstance(answer, Later):
            assert answer.time_ns > now_ns, "a generator that waits for the past would be asked for ever"
            return answer
        if answer is PENDING:
            assert self._open, "a generator waits for an event, but nothing is in flight"
            return Wait()
        assert answer.thread not in self._open, f"{answer.thread} is busy"
        event = self._invoke(answer.thread, answer.template, now_ns)
        self._generator = self._generator.update(self._context(now_ns), event)
        return Dispatch(answer.thread, event)

    def complete(self, thread: Thread, completion: Completion, now_ns: int) -> Event:
        """The event of this completion; frees the thread, and retires its process after `info`."""
        invocation = self._open.pop(thread)
        event = _completed(invocation, completion, self._take_index(), now_ns)
        self._generator = self._generator.update(self._context(now_ns), event)
        if completion.type == "info" and thread != NEMESIS:
            process = self._process[thread]
            assert isinstance(process, int)
            self._process[thread] = process + self._workers
        return event

    def _invoke(self, thread: Thread, template: Template, now_ns: int) -> Event:
        event = Event(
            index=self._take_index(),
            time=now_ns,
            type="info" if thread == NEMESIS else "invoke",
            process=self._process[thread],
            f=template.f,
            key=template.key,
            value=template.value,
        )
        assert thread_of(event, self._workers) == thread
        self._open[thread] = event
        return event

    def _take_index(self) -> int:
        self._next_index += 1
        return self._next_index - 1

    def _context(self, now_ns: int) -> Context:
        free = tuple(thread for thread in self._threads if thread not in self._open)
        return Context(now_ns, self._workers, self._threads, free, self._streams["generator"], self._streams)


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
