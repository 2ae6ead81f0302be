"""Generators: pure descriptions of who should do what, and when.

Lives here: the contract, and the combinators that tests are composed of. Must not live here: what a question and its
answer are made of (`harness.context`), and anything that waits, sends, or reads a clock. A schedule can be tested
without a cluster. The model is Jepsen's `jepsen.generator.pure`.

A generator is an immutable value with two questions:

    next(context)           what comes now: the event of an invocation that is due (`context.invocation`), or
                            `Later(time)` or PENDING when nothing is; with the generator that takes its place.
                            None when it is exhausted for ever
    update(context, event)  the generator after that event (an invocation or a completion) took place

`Later` is asked again when its time has come, PENDING only after an event: what waits for anything but the clock must
answer PENDING. Either is asked again after every event that it learns of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from random import Random
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from checkers.history import NEMESIS, Event
from harness.context import PENDING, Answer, Context, Later, Template, Thread, Threads, Waiting, thread_of

Step = tuple[Answer, "Generator"]


class Generator(Protocol):
    """See the head of this file."""

    def next(self, context: Context) -> Step | None: ...
    def update(self, context: Context, event: Event) -> Generator: ...


Generators = tuple[Generator, ...]


class _Stateless(Struct, frozen=True):
    """A generator that learns nothing from events."""

    def update(self: Generator, context: Context, event: Event) -> Generator:
        return self


# -- sources -----------------------------------------------------------------------------------------------------------


class Exhausted(_Stateless, frozen=True):
    """Nothing, for ever."""

    def next(self, context: Context) -> Step | None:
        return None


EXHAUSTED: Final = Exhausted()


class Once(_Stateless, frozen=True):
    """One operation, on any free thread, as soon as there is one."""

    template: Template

    def next(self, context: Context) -> Step | None:
        free = context.free
        if not free:
            return PENDING, self
        return context.invocation(context.random.choice(free), *self.template), EXHAUSTED


class Calls(_Stateless, frozen=True):
    """An endless source: each operation is made, when it is due, by `function(random)`."""

    function: Callable[[Random], Template]

    def next(self, context: Context) -> Step | None:
        free = context.free
        if not free:
            return PENDING, self
        thread = context.random.choice(free)
        return context.invocation(thread, *self.function(context.random)), self


# -- order -------------------------------------------------------------------------------------------------------------


class Sequential(Struct, frozen=True):
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


class Synchronize(_Stateless, frozen=True):
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


class FlipFlop(_Stateless, frozen=True):
    """One operation of the first, one of the second, and so on until one is exhausted (Jepsen `flip-flop`)."""

    now: Generator
    then: Generator

    def next(self, context: Context) -> Step | None:
        step = self.now.next(context)
        if step is None:
            return None
        answer, now = step
        return answer, FlipFlop(self.then, now) if isinstance(answer, Event) else FlipFlop(now, self.then)


class Mix(Struct, frozen=True):
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


class AnyOf(Struct, frozen=True):
    """Whichever generator has an operation due; by chance when several have (Jepsen `any`)."""

    generators: tuple[Generator, ...]

    def next(self, context: Context) -> Step | None:
        found = _first_due(self.generators, context)
        return None if found is None else (found[0], AnyOf(found[1]))

    def update(self, context: Context, event: Event) -> Generator:
        return AnyOf(tuple([generator.update(context, event) for generator in self.generators]))


def _first_due(
    generators: Generators,
    context: Context,
    owners: Sequence[Threads] | None = None,
    renew: Callable[[], Generator] | None = None,
) -> tuple[Answer, Generators] | None:
    """The first invocation that is due, else the earliest `Later`, else PENDING; with all generators as they are then.

    Asking begins at a random place and goes round, so that nobody who is always ready can starve the others. With
    `owners`, each generator has only its own threads to use. An exhausted generator is passed over or, with `renew`,
    replaced by a new one.
    """
    now, size = list(generators), len(generators)
    waiting: Waiting | None = None
    start = int(context.random.random() * size)
    for place in range(start - size, start):  # a negative place counts from the end
        own = context if owners is None else context.only(owners[place])
        step = now[place].next(own)
        if step is None and renew is not None:
            step = renew().next(own)
            assert step is not None, "a new generator had nothing to offer"
        if step is None:
            continue
        answer, now[place] = step
        if isinstance(answer, Event):
            return answer, tuple(now)
        waiting = answer if waiting is None else _sooner(waiting, answer)
    return None if waiting is None else (waiting, tuple(now))


def _updated(generators: Generators, context: Context, event: Event, owners: Sequence[Threads]) -> Generators:
    """The generators after the event, of which only the one that owns its thread learns."""
    thread = thread_of(event, context.workers)
    return tuple(
        [
            generator.update(context.only(threads), event) if thread in threads else generator
            for threads, generator in zip(owners, generators, strict=True)
        ]
    )


def _sooner(first: Waiting, second: Waiting) -> Waiting:
    if first is PENDING or (second is not PENDING and second.time_ns < first.time_ns):
        return second
    return first


# -- amount and pace ---------------------------------------------------------------------------------------------------


class Limit(Struct, frozen=True):
    """At most that many operations (Jepsen `limit`)."""

    count: int
    generator: Generator

    def next(self, context: Context) -> Step | None:
        step = self.generator.next(context) if self.count > 0 else None
        if step is None:
            return None
        return step[0], Limit(self.count - isinstance(step[0], Event), step[1])

    def update(self, context: Context, event: Event) -> Generator:
        return Limit(self.count, self.generator.update(context, event))


class TimeLimit(Struct, frozen=True):
    """Operations for that long, counted from when it is first asked (Jepsen `time-limit`)."""

    seconds: float
    generator: Generator
    end_ns: int | None = None

    def next(self, context: Context) -> Step | None:
        end_ns = context.time_ns + int(self.seconds * 1e9) if self.end_ns is None else self.end_ns
        step = self.generator.next(context) if context.time_ns < end_ns else None
        if step is None:
            return None
        answer, generator = step
        if isinstance(answer, Later) and answer.time_ns > end_ns:
            answer = Later(end_ns)
        return answer, TimeLimit(self.seconds, generator, end_ns)

    def update(self, context: Context, event: Event) -> Generator:
        return TimeLimit(self.seconds, self.generator.update(context, event), self.end_ns)


class After(Struct, frozen=True):
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


class Stagger(Struct, frozen=True):
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
        if isinstance(step[0], Event):
            gap = self.least + 2 * (1 - self.least) * context.random.random()
            next_ns = max(next_ns, context.time_ns - _CATCH_UP_NS) + int(gap * self.seconds * 1e9)
        return step[0], Stagger(self.seconds, step[1], self.least, next_ns)

    def update(self, context: Context, event: Event) -> Generator:
        return Stagger(self.seconds, self.generator.update(context, event), self.least, self.next_ns)


_CATCH_UP_NS: Final = 20_000_000
"""How far behind its schedule a `Stagger` may run and still catch up. Without it a late timer lowers the rate for good;
without a bound an outage would be followed by a burst of everything that was not sent meanwhile."""


# -- who ---------------------------------------------------------------------------------------------------------------


class OnThreads(Struct, frozen=True):
    """The generator with only some threads to use, and with the random stream of its own name.

    What others do cannot change its answer, so one that said `Later` is not asked again for events of theirs.
    """

    stream: str
    choose: Callable[[Thread], bool]
    generator: Generator
    chosen: Threads = ()
    later: Later | None = None

    def next(self, context: Context) -> Step | None:
        if self.later is not None and context.time_ns < self.later.time_ns:
            return self.later, self
        chosen = self.chosen or tuple(filter(self.choose, context.threads))
        step = self.generator.next(context.only(chosen, context.streams[self.stream]))
        if step is None:
            return None
        answer, generator = step
        later = answer if isinstance(answer, Later) else None
        return answer, OnThreads(self.stream, self.choose, generator, chosen, later)

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


class Divided(Struct, frozen=True):
    """Several generators at once, each with threads of its own."""

    owners: tuple[Threads, ...]
    generators: Generators

    def next(self, context: Context) -> Step | None:
        found = _first_due(self.generators, context, self.owners)
        return None if found is None else (found[0], Divided(self.owners, found[1]))

    def update(self, context: Context, event: Event) -> Generator:
        return Divided(self.owners, _updated(self.generators, context, event, self.owners))


class Reserve(_Stateless, frozen=True):
    """The first `count` threads do one thing, the others another; divided when first asked (Jepsen `reserve`)."""

    count: int
    reserved: Generator
    others: Generator

    def next(self, context: Context) -> Step | None:
        first, rest = context.threads[: self.count], context.threads[self.count :]
        return Divided((first, rest), (self.reserved, self.others)).next(context)


class EachProcess(Struct, frozen=True):
    """A copy of the generator for each process, all at once (Jepsen `each-process`).

    A thread whose process was retired by an `info` starts a fresh copy.
    """

    generator: Generator
    copies: Generators = ()
    """One for each of the threads, as soon as it is asked."""

    def next(self, context: Context) -> Step | None:
        owners = tuple([(thread,) for thread in context.threads])
        found = _first_due(self.copies or (self.generator,) * len(owners), context, owners)
        if found is not None:
            return found[0], EachProcess(self.generator, found[1])
        # A process that is still at work may be retired yet; then another one begins.
        return None if len(context.free) == len(context.threads) else (PENDING, self)

    def update(self, context: Context, event: Event) -> Generator:
        if not self.copies:
            return self
        owners = [(thread,) for thread in context.threads]
        copies = _updated(self.copies, context, event, owners)
        if event.type == "info" and event.process != NEMESIS:
            place = context.threads.index(thread_of(event, context.workers))
            copies = (*copies[:place], self.generator, *copies[place + 1 :])
        return EachProcess(self.generator, copies)


class PerKey(Struct, frozen=True):
    """Groups of threads, each at work on a key of its own; an exhausted key makes room for the next one.

    `make(key)` gives the generator of a key. Jepsen's `independent/concurrent-generator`.
    """

    group_size: int
    make: Callable[[int], Generator]
    groups: tuple[Threads, ...] = ()
    generators: Generators = ()
    next_key: int = 0

    def next(self, context: Context) -> Step | None:
        if not self.groups:
            return self._divided(context.threads).next(context)
        keys = count(self.next_key)
        found = _first_due(self.generators, context, self.groups, renew=lambda: self.make(next(keys)))
        assert found is not None, "keys never come to an end"
        return found[0], PerKey(self.group_size, self.make, self.groups, found[1], next(keys))

    def _divided(self, threads: Threads) -> PerKey:
        starts = range(0, len(threads), self.group_size)
        groups = tuple(threads[start : start + self.group_size] for start in starts)
        generators = tuple(self.make(key) for key in range(len(groups)))
        return replace(self, groups=groups, generators=generators, next_key=len(groups))

    def update(self, context: Context, event: Event) -> Generator:
        generators = _updated(self.generators, context, event, self.groups)
        return PerKey(self.group_size, self.make, self.groups, generators, self.next_key)
