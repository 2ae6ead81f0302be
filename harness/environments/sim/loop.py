"""Virtual time: a heap of events, and coroutines that wait on it.

Lives here: the order in which things happen in the simulator. Must not live here: networks, disks, nodes; wall clocks.

Events are tuples `(time_ns, seq, action, argument)`: `seq` breaks ties in the order of scheduling, so that actions are
never compared. Nothing is taken out of the heap; what may be called off finds out by itself that it is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")

Action = Callable[[Any], None]


class SimFuture:
    """A value that is set once, and the one coroutine that waits for it."""

    __slots__ = ("_done", "_error", "_value", "_waiter")

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._waiter: Callable[[], None] | None = None

    def done(self) -> bool:
        return self._done

    def set_result(self, value: Any, /) -> None:  # noqa: ANN401 - whatever the waiter expects
        assert not self._done, "a future is set once"
        self._done, self._value = True, value
        if self._waiter is not None:
            self._waiter()

    def offer(self, value: Any, /) -> None:  # noqa: ANN401
        """Set it to the value, unless it has been set: for what comes first counts."""
        if not self._done:
            self.set_result(value)

    def set_exception(self, error: Exception) -> None:
        assert not self._done, "a future is set once"
        self._done, self._error = True, error
        if self._waiter is not None:
            self._waiter()

    def when_done(self, waiter: Callable[[], None]) -> None:
        """Call `waiter` when the future is done; now, if it already is."""
        assert self._waiter is None, "one coroutine waits for a future"
        self._waiter = waiter
        if self._done:
            waiter()

    def __await__(self) -> Generator[SimFuture, None, Any]:
        if not self._done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value


class Stalled(Exception):  # noqa: N818
    """Nothing is scheduled any more, but somebody still waits: a bug in what is being simulated."""


class _Task:
    """A coroutine that runs whenever what it waits for is there."""

    __slots__ = ("_coroutine", "_loop", "outcome")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: Loop) -> None:
        self.outcome = SimFuture()
        self._coroutine = coroutine
        self._loop = loop

    def resume(self) -> None:
        # Through the heap rather than at once, as in asyncio: whoever spawns a task or sets a future finishes what
        # it is doing first, and sees none of the task's exceptions.
        self._loop.after(0, self._step)

    def _step(self, _: None) -> None:
        try:
            awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self._loop.forget(self._coroutine)
            self.outcome.set_result(stop.value)
            return
        assert isinstance(awaited, SimFuture), f"simulated code waits for {awaited!r}, which is not simulated"
        awaited.when_done(self.resume)


class Loop:
    """A clock that jumps from event to event."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Action, Any]] = []
        self._next_seq = count().__next__
        self._coroutines: dict[Coroutine[Any, Any, Any], None] = {}

    def at(self, time_ns: int, action: Action, argument: Any = None) -> None:  # noqa: ANN401 - passed to the action
        """Call `action(argument)` at that time; now, if it has passed."""
        self.after(max(time_ns - self.now_ns, 0), action, argument)

    def after(self, delay_ns: int, action: Action, argument: Any = None) -> None:  # noqa: ANN401
        """Call `action(argument)` so much later."""
        heappush(self._heap, (self.now_ns + delay_ns, self._next_seq(), action, argument))

    def sleep(self, seconds: float) -> SimFuture:
        """A future that is done so much later."""
        future = SimFuture()
        self.after(int(seconds * 1e9), future.set_result)
        return future

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> SimFuture:
        """Run the coroutine, from as soon as its spawner waits, and on as its futures are set.

        The future is the coroutine's result. An exception is raised where the simulation is run.
        """
        self._coroutines[coroutine] = None
        task = _Task(coroutine, self)
        task.resume()
        return task.outcome

    def forget(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Take note that the coroutine has ended."""
        del self._coroutines[coroutine]

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `main`, with every event that came before it. Tasks that are left then are closed."""
        outcome = self.spawn(main())
        heap = self._heap
        try:
            while not outcome._done:
                if not heap:
                    raise Stalled("nothing is left to happen, but the test has not ended")
                self.now_ns, _, action, argument = heappop(heap)
                action(argument)
        finally:
            for coroutine in list(self._coroutines):
                coroutine.close()
            self._coroutines.clear()
        result: T = outcome._value
        return result
