"""The driver: carries out what the interpreter decides, in whatever time its environment has.

Lives here: starting an operation on its thread, recording both of its ends, waking up when there is something to do.
Must not live here: who acts when (`generator`, `interpreter`), or what an operation does (`workloads`, `nemesis`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from checkers.history import Event
from harness.context import Later, Thread
from harness.environments.base import Environment, Future
from harness.generator import Generator
from harness.interpreter import Completion, Done, Interpreter
from harness.recorder import Recorder

Handler = Callable[[Event], Awaitable[Completion]]
"""What carries out the operations of one thread. It answers with a completion and raises nothing but bugs."""


class Driver:
    """Drives generators to their ends, one after the other, over the same threads and into the same history."""

    def __init__(
        self,
        environment: Environment,
        interpreter: Interpreter,
        handlers: Mapping[Thread, Handler],
        recorder: Recorder,
    ) -> None:
        self._environment = environment
        self._interpreter = interpreter
        self._handlers = handlers
        self._recorder = recorder
        self._finished: Future[None] | None = None
        self._alarm_ns: int | None = None

    async def drive(self, generator: Generator) -> None:
        """Return when the generator is exhausted and every operation has completed; cancelled, begin nothing more."""
        self._interpreter.begin(generator)
        self._finished = self._environment.future()
        self._advance()
        try:
            await self._finished
        finally:
            self._finished = None

    def _advance(self) -> None:
        """Start everything that is due, then arrange to be called again when more is."""
        environment, interpreter = self._environment, self._interpreter
        if self._finished is None:
            return
        while True:
            decision = interpreter.next(environment.now_ns())
            if not isinstance(decision, Event):
                break
            self._recorder.record(decision)
            environment.spawn(self._carry_out(decision))
        if isinstance(decision, Later):
            self._wake_at(decision.time_ns)
        elif isinstance(decision, Done) and not self._finished.done():
            self._finished.set_result(None)

    async def _carry_out(self, invocation: Event) -> None:
        completion = await self._handlers[self._interpreter.thread_of(invocation)](invocation)
        self._recorder.record(self._interpreter.complete(invocation, completion, self._environment.now_ns()))
        self._advance()

    def _wake_at(self, time_ns: int) -> None:
        # One alarm at a time, the earliest: an alarm that rings for nothing only asks the interpreter once more.
        if self._alarm_ns is None or time_ns < self._alarm_ns:
            self._alarm_ns = time_ns
            self._environment.call_at(time_ns, lambda: self._ring(time_ns))

    def _ring(self, time_ns: int) -> None:
        if self._alarm_ns == time_ns:
            self._alarm_ns = None
            self._advance()
