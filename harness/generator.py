"""Generators: pure descriptions of who should do what, and when.

Lives here: the contract, and the combinators that tests are composed of. Must not live here: anything that waits,
sends, or reads a clock. A schedule can be tested without a cluster. The model is Jepsen's `jepsen.generator.pure`.

A generator is an immutable value with two questions:

    next(context)           what comes now: an invocation that is due, or `Later(time)` or PENDING when nothing is;
                            with the generator that takes its place. None when it is exhausted for ever
    update(context, event)  the generator after that event (an invocation or a completion) took place

`Later` is asked again when its time has come, PENDING only after an event: what waits for anything but the clock must
answer PENDING. Either is asked again after every event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count
from random import Random
from typing import Final, Literal, Protocol

from checkers.history import NEMESIS, Event

Thread = int | Literal["nemesis"]
"""A thread of control: a client worker, by number, or the nemesis."""


@dataclass(frozen=True, slots=True)
class Template:
    """What to do, without who and when."""

    f: str
    key: int | None = None
    value: object = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a free thread is to do now."""

    thread: Thread
    template: Template


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing before that time."""

    time_ns: int


class Pending(Enum):
    """The answer of a generator that waits for an event."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING
Answer = Invocation | Later | Literal[Pending.PENDING]
Step = tuple[Answer, "Generator"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a generator may know: the time, how many client workers there are, which threads it may use and which of
    those are free, and its own random stream.

    `threads` and `free` are in a fixed order; `streams` holds a random stream by name, so that what the nemesis draws
    never changes what the clients draw.
    """

    time_ns: int
    workers: int
    threads: tuple[Thread, ...]
    free: tuple[Thread, ...]
    random: Random
    streams: Mapping[str, Random]

    def only(self, threads: tuple[Thread, ...], random: Random | None = None) -> Context:
        """The same context in which no others than these of its threads exist, perhaps with another random stream."""
        # Written out because `dataclasses.replace` is slow, and this is done several times for each operation.
        free = tuple([thread for thread in self.free if thread in threads])
        return Context(self.time_ns, self.workers, threads, free, random or self.random, self.streams)


class Generator(Protocol):
    """See the head of this file."""

    def next(self, context: Context) -> Step | None: ...
    def update(self, context: Context, event: Event) -> Generator: ...


class _Stateless:
    """A generator that learns nothing from events."""

    def update(self: Generator, context: Context, event: Event) -> Generator:
        return self


def thread_of(event: Event, workers: int) -> Thread:
    """The thread that an event's process runs on: a retired process' number grows by the number of workers."""
    return NEMESIS if isinstance(event.process, str) else event.process % workers


# -- sources -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exhausted(_Stateless):
    """Nothing, for ever."""

    def next(self, context: Context) -> Step | None:
        return None


EXHAUSTED: Final = Exhausted()


@dataclass(frozen=True, slots=True)
class Once(_Stateless):
    """One operation, on any free thread, as soon as there is one."""

    template: Template

    def next(self, context: Context) -> Step | None:
        if not context.free:
            return PENDING, self
        return Invocation(context.random.choice(context.free), self.template), EXHAUSTED


@dataclass(frozen=True, slots=True)
class Calls(_Stateless):
    """An endless source: each operation is made, when it is due, by `function(random)`."""

    function: Callable[[Random], Template]

    def next(self, context: Context) -> Step | None:
        if not context.free:
            return PENDING, self
        thread = context.random.choice(context.free)
        return Invocation(thread, self.function(context.random)), self


# -- order -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sequential:
    """One generator after the other; the next begins when the one before it is exhausted."""

    generators: tuple[Generator, ...]

    def next(self, context: Context) -> Step | None:
        for position, generator in enumerate(self.generators):
            step = generator.next(context)
            if step is not None:
                return step[0], Sequential((step[1], *self.generators[position + 1 :]))
        return None

    def update(self, context: Context, event: Event) -> Generator:
        if not self.generators:
            return self
        return Sequential((self.generators[0].update(context, event), *self.generators[1:]))


@dataclass(frozen=True, slots=True)
class Synchronize(_Stateless):
    """The generator, but only once every thread is free (Jepsen `synchronize`)."""

    generator: Generator

    def next(self, context: Context) -> Step | None:
        if len(context.free) < len(context.threads):
            return PENDING, self
        return self.generator.next(context)


def phases(*generators: Generator) -> Generator:
    """Each generator in turn; every thread finishes one phase before any begins the next (Jepsen `phases`)."""
    return Sequential(tuple(Synchronize(generator) for generator in generators))


def operations(templates: Iterable[Template]) -> Generator:
    """Each of the operations once, in order, on whichever thread is free."""
    return Sequential(tuple(Once(template) for template in templates))


@dataclass(frozen=True, slots=True)
class FlipFlop(_Stateless):
    """One operation of the first, one of the second, and so on until one is exhausted (Jepsen `flip-flop`)."""

    now: Generator
    then: Generator

    def next(self, context: Context) -> Step | None:
        step = self.now.next(context)
        if step is None:
            return None
        answer, now = step
        return answer, FlipFlop(self.then, now) if isinstance(answer, Invocation) else FlipFlop(now, self.then)


@dataclass(frozen=True, slots=True)
class Mix:
    """For each operation a generator drawn evenly from those that are not exhausted (Jepsen `mix`)."""

    generators: tuple[Generator, ...]

    def next(self, context: Context) -> Step | None:
        generators = self.generators
        while generators:
            index = context.random.randrange(len(generators))
            before, after = generators[:index], generators[index + 1 :]
            step = generators[index].next(context)
            if step is not None:
                return step[0], Mix((*before, step[1], *after))
            generators = (*before, *after)
        return None

    def update(self, context: Context, event: Event) -> Generator:
        return Mix(tuple(generator.update(context, event) for generator in self.generators))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Whichever generator has an operation due; by chance when several have (Jepsen `any`)."""

    generators: tuple[Generator, ...]

    def next(self, context: Context) -> Step | None:
        found = _first_due([(generator, context) for generator in self.generators], context.random)
        return None if found is None else (found[0], AnyOf(found[1]))

    def update(self, context: Context, event: Event) -> Generator:
        return AnyOf(tuple(generator.update(context, event) for generator in self.generators))


def _first_due(
    choices: Sequence[tuple[Generator, Context]], random: Random, renew: Callable[[], Generator] | None = None
) -> tuple[Answer, tuple[Generator, ...]] | None:
    """The first invocation that is due, else the earliest `Later`, else PENDING; with all generators as they are then.

    Asking begins at a random place and goes round, so that nobody who is always ready can starve the others. An
    exhausted generator is passed over or, with `renew`, replaced by a new one.
    """
    generators = [generator for generator, _ in choices]
    waiting: Answer | None = None
    start = int(random.random() * len(choices))
    for index in (*range(start, len(choices)), *range(start)):
        step = generators[index].next(choices[index][1])
        if step is None and renew is not None:
            step = renew().next(choices[index][1])
            assert step is not None, "a new generator had nothing to offer"
        if step is None:
            continue
        answer, generators[index] = step
        if isinstance(answer, Invocation):
            return answer, tuple(generators)
        waiting = _sooner(waiting, answer)
    return None if waiting is None else (waiting, tuple(generators))


def _sooner(first: Answer | None, second: Later | Literal[Pending.PENDING]) -> Answer:
    if isinstance(first, Later) and (second is PENDING or first.time_ns <= second.time_ns):
        return first
    return second


# -- amount and pace ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """At most that many operations (Jepsen `limit`)."""

    count: int
    generator: Generator

    def next(self, context: Context) -> Step | None:
        step = self.generator.next(context) if self.count > 0 else None
        if step is None:
            return None
        return step[0], Limit(self.count - isinstance(step[0], Invocation), step[1])

    def update(self, context: Context, event: Event) -> Generator:
        return Limit(self.count, self.generator.update(context, event))


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """Operations for that long, counted from when it is first asked (Jepsen `time-limit`)."""

    seconds: float
    generator: Generator
    end_ns: int | None = None

    def next(self, context: Context) -> Step | None:
        end_ns = context.time_ns + int(self.seconds * 1e9) if self.end_ns is None else self.end_ns
        step = self.generator.next(context) if context.time_ns < end_ns else None
        if step is None:
            return None
        answer = Later(min(step[0].time_ns, end_ns)) if isinstance(step[0], Later) else step[0]
        return answer, TimeLimit(self.seconds, step[1], end_ns)

    def update(self, context: Context, event: Event) -> Generator:
        return TimeLimit(self.seconds, self.generator.update(context, event), self.end_ns)


@dataclass(frozen=True, slots=True)
class After:
    """The generator, beginning that long after it is first asked: what Jepsen's `sleep` in a sequence is for."""

    seconds: float
    generator: Generator
    start_ns: int | None = None

    def next(self, context: Context) -> Step | None:
        start_ns = context.time_ns + int(self.seconds * 1e9) if self.start_ns is None else self.start_ns
        if context.time_ns < start_ns:
            return Later(start_ns), replace(self, start_ns=start_ns)
        return self.generator.next(context)

    def update(self, context: Context, event: Event) -> Generator:
        return replace(self, generator=self.generator.update(context, event))


@dataclass(frozen=True, slots=True)
class Stagger:
    """Operations `seconds` apart on average, over all threads (Jepsen `stagger`).

    Gaps are drawn evenly between `least` times `seconds` and as much above it: from nothing, as in Jepsen, to always
    the same, which is Jepsen's `delay`.
    """

    seconds: float
    generator: Generator
    least: float = 0.0
    next_ns: int = 0

    def next(self, context: Context) -> Step | None:
        if context.time_ns < self.next_ns:
            return Later(self.next_ns), self
        step = self.generator.next(context)
        if step is None:
            return None
        next_ns = self.next_ns
        if isinstance(step[0], Invocation):
            gap = self.least + 2 * (1 - self.least) * context.random.random()
            next_ns = max(next_ns, context.time_ns - _CATCH_UP_NS) + int(gap * self.seconds * 1e9)
        return step[0], Stagger(self.seconds, step[1], self.least, next_ns)

    def update(self, context: Context, event: Event) -> Generator:
        return Stagger(self.seconds, self.generator.update(context, event), self.least, self.next_ns)


_CATCH_UP_NS: Final = 20_000_000
"""How far behind its schedule a `Stagger` may run and still catch up. Without it a late timer lowers the rate for good;
without a bound an outage would be followed by a burst of everything that was not sent meanwhile."""


# -- who ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnThreads:
    """The generator with only some threads to use, and with the random stream of its own name."""

    stream: str
    choose: Callable[[Thread], bool]
    generator: Generator
    chosen: tuple[Thread, ...] = ()

    def next(self, context: Context) -> Step | None:
        chosen = self.chosen or tuple(filter(self.choose, context.threads))
        step = self.generator.next(context.only(chosen, context.streams[self.stream]))
        return None if step is None else (step[0], OnThreads(self.stream, self.choose, step[1], chosen))

    def update(self, context: Context, event: Event) -> Generator:
        if thread_of(event, context.workers) not in self.chosen:
            return self
        narrow = context.only(self.chosen, context.streams[self.stream])
        return OnThreads(self.stream, self.choose, self.generator.update(narrow, event), self.chosen)


def clients(generator: Generator) -> Generator:
    """The generator on the client workers only (Jepsen `clients`)."""
    return OnThreads("clients", lambda thread: thread != NEMESIS, generator)


def nemesis(generator: Generator) -> Generator:
    """The generator on the nemesis only (Jepsen `nemesis`)."""
    return OnThreads(NEMESIS, lambda thread: thread == NEMESIS, generator)


Parts = tuple[tuple[tuple[Thread, ...], Generator], ...]
"""Generators with the threads that belong to each."""


@dataclass(frozen=True, slots=True)
class Divided:
    """Several generators at once, each with threads of its own."""

    parts: Parts

    def next(self, context: Context) -> Step | None:
        choices = [(generator, context.only(threads)) for threads, generator in self.parts]
        found = _first_due(choices, context.random)
        if found is None:
            return None
        answer, generators = found
        parts = zip(self.parts, generators, strict=True)
        return answer, Divided(tuple((threads, generator) for (threads, _), generator in parts))

    def update(self, context: Context, event: Event) -> Generator:
        thread = thread_of(event, context.workers)
        return Divided(
            tuple(
                (threads, generator.update(context.only(threads), event) if thread in threads else generator)
                for threads, generator in self.parts
            )
        )


@dataclass(frozen=True, slots=True)
class Reserve(_Stateless):
    """The first `count` threads do one thing, the others another; divided when first asked (Jepsen `reserve`)."""

    count: int
    reserved: Generator
    others: Generator

    def next(self, context: Context) -> Step | None:
        first, rest = context.threads[: self.count], context.threads[self.count :]
        return Divided(((first, self.reserved), (rest, self.others))).next(context)


@dataclass(frozen=True, slots=True)
class EachProcess:
    """A copy of the generator for each process, all at once (Jepsen `each-process`).

    A thread whose process was retired by an `info` starts a fresh copy.
    """

    generator: Generator
    parts: Parts = ()

    def next(self, context: Context) -> Step | None:
        parts = self.parts or tuple(((thread,), self.generator) for thread in context.threads)
        step = Divided(parts).next(context)
        if step is not None:
            return step[0], replace(self, parts=_parts(step[1]))
        # A process that is still at work may be retired yet; then another one begins.
        return None if len(context.free) == len(context.threads) else (PENDING, self)

    def update(self, context: Context, event: Event) -> Generator:
        thread = thread_of(event, context.workers)
        parts = _parts(Divided(self.parts).update(context, event))
        if event.type == "info" and thread != NEMESIS:
            parts = tuple((owners, self.generator if thread in owners else copy) for owners, copy in parts)
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True)
class PerKey:
    """Groups of threads, each at work on a key of its own; an exhausted key makes room for the next one.

    `make(key)` gives the generator of a key. Jepsen's `independent/concurrent-generator`.
    """

    group_size: int
    make: Callable[[int], Generator]
    groups: Parts = ()
    next_key: int = 0

    def next(self, context: Context) -> Step | None:
        state = self if self.groups else self._divided(context.threads)
        keys = count(state.next_key)
        choices = [(generator, context.only(threads)) for threads, generator in state.groups]
        found = _first_due(choices, context.random, renew=lambda: self.make(next(keys)))
        assert found is not None, "keys never come to an end"
        answer, generators = found
        groups = tuple((threads, new) for (threads, _), new in zip(state.groups, generators, strict=True))
        return answer, PerKey(self.group_size, self.make, groups, next(keys))

    def _divided(self, threads: tuple[Thread, ...]) -> PerKey:
        starts = range(0, len(threads), self.group_size)
        groups = tuple((threads[start : start + self.group_size], self.make(key)) for key, start in enumerate(starts))
        return replace(self, groups=groups, next_key=len(groups))

    def update(self, context: Context, event: Event) -> Generator:
        groups = _parts(Divided(self.groups).update(context, event))
        return PerKey(self.group_size, self.make, groups, self.next_key)


def _parts(generator: Generator) -> Parts:
    assert isinstance(generator, Divided)
    return generator.parts
