"""What a generator is told, and what it may answer.

Lives here: threads, what is to be done, the context of a question. Must not live here: generators, or who asks them
(`harness.interpreter`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from random import Random
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from checkers.history import NEMESIS, Event, Key

Thread = int | Literal["nemesis"]
"""A thread of control: a client worker, by number, or the nemesis."""
Threads = tuple[Thread, ...]


class Template(NamedTuple):
    """What to do, without who and when."""

    f: str
    key: Key = None
    value: object = None


class Later(Struct, frozen=True):
    """Nothing before that time."""

    time_ns: int


class Pending(Enum):
    """The answer of a generator that waits for an event."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING
Waiting = Later | Literal[Pending.PENDING]
Answer = Event | Waiting

_NO_PROCESSES: Final[Mapping[Thread, int]] = {}


class Context(Struct, frozen=True):
    """What a generator may know. A context is only good for the call that it is given to.

    There are `workers` client workers; the generator may use `threads`, in a fixed order, except those that are
    `busy`. `streams` holds a random stream by name, so that what the nemesis draws never changes what the clients draw;
    `random` is the generator's own. `processes` are those of threads that no longer have their first one, and `index`
    is that of the next event.
    """

    time_ns: int
    workers: int
    threads: Threads
    random: Random
    streams: Mapping[str, Random]
    busy: Collection[Thread] = ()
    processes: Mapping[Thread, int] = _NO_PROCESSES
    index: int = 0

    @property
    def free(self) -> Threads:
        """The threads that may be used now."""
        busy = self.busy
        return tuple([thread for thread in self.threads if thread not in busy])

    def only(self, threads: Threads, random: Random | None = None) -> Context:
        """The same context in which no others than these of its threads exist, perhaps with another random stream."""
        # Written out because `replace` is slow, and this is done several times for each operation.
        return Context(
            self.time_ns,
            self.workers,
            threads,
            random or self.random,
            self.streams,
            self.busy,
            self.processes,
            self.index,
        )

    def invocation(self, thread: Thread, f: str, key: Key = None, value: object = None) -> Event:
        """The event with which the thread, which must be free, begins that operation now."""
        return Event(
            index=self.index,
            time=self.time_ns,
            type="info" if thread == NEMESIS else "invoke",
            process=self.processes.get(thread, thread),
            f=f,
            key=key,
            value=value,
        )


def thread_of(event: Event, workers: int) -> Thread:
    """The thread that an event's process runs on: a retired process' number grows by the number of workers."""
    return NEMESIS if isinstance(event.process, str) else event.process % workers
