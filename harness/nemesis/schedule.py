"""When faults come: each kind has its own pace, and the nemesis does one thing at a time.

Lives here: the generators of faults, and how the history has their operations: what they are called, and which belong
together. Must not live here: what a fault does, or what becomes of it (`nemesis.life`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from checkers.history import NEMESIS, Event
from harness.context import PENDING, Answer, Context, Later, Template
from harness.errors import EnvironmentFailure
from harness.generator import Generator, Step, operations
from harness.interpreter import Completion
from harness.nemesis.fault import Aim, Asked
from harness.nemesis.life import Life

RESOLVED: Final = "resolved"
"""What a fault became, in the value of its completion; and in that of an invocation, what it is to become again."""


def begin_of(name: str) -> str:
    """What the operation is called that begins a fault."""
    return f"start-{name}"


def end_of(name: str) -> str:
    """What the operation is called that ends a fault."""
    return f"stop-{name}"


def paired(events: Iterable[Event]) -> list[tuple[Event, Event]]:
    """The nemesis' invocations with their completions: it does one thing at a time, so they alternate."""
    own = [event for event in events if event.process == NEMESIS]
    return list(zip(own[::2], own[1::2], strict=False))


def skipped(completion: Event) -> bool:
    """Whether it found nothing to hit, or nothing to undo: then it changed nothing."""
    return isinstance(completion.value, dict) and "skipped" in completion.value


def draw(aim: Aim, random: Random) -> Asked:
    """What a window asks for: what was given, and for each choice that was not, one of its words, by weight."""
    drawn = {question: _word(aim, question, words, random) for question, words in aim.fault.choices.items()}
    return {**drawn, **aim.given}


def _word(aim: Aim, question: str, words: Mapping[str, int], random: Random) -> str:
    possible = {word: weight for word, weight in words.items() if question != "kind" or word in aim.kinds}
    return random.choices(list(possible), list(possible.values()))[0]


@dataclass(frozen=True, slots=True)
class Windows:
    """One kind of fault, again and again: in force for about `open_s`, then not for about `closed_s`.

    Both are drawn anew each time, between half and one and a half of that, and are counted from when the operation
    before was complete: where it takes long to make a cut, the cut must not be shorter for it.
    """

    aim: Aim
    open_s: float
    closed_s: float
    is_open: bool = False
    next_ns: int | None = 0

    def next(self, context: Context) -> tuple[Answer, Windows]:
        if self.next_ns is None or not context.free:
            return PENDING, self
        if context.time_ns < self.next_ns:
            return Later(self.next_ns), self
        return context.invocation(NEMESIS, *self._template(context.random)), replace(self, next_ns=None)

    def _template(self, random: Random) -> Template:
        name = self.aim.fault.name
        return Template(end_of(name)) if self.is_open else Template(begin_of(name), value=draw(self.aim, random))

    def update(self, context: Context, event: Event) -> Windows:
        # One thread does all the work, so when it is free again, what this generator asked for is complete.
        if self.next_ns is not None or NEMESIS not in context.free:
            return self
        mean_s = self.closed_s if self.is_open else self.open_s
        next_ns = context.time_ns + int((0.5 + context.random.random()) * mean_s * 1e9)
        # What found nothing to hit did not begin; it comes again as soon as it would have ended.
        began = self.is_open or not skipped(event)
        return replace(self, is_open=began and not self.is_open, next_ns=next_ns)


def _windows(aim: Aim) -> Windows:
    open_intervals, closed_intervals = aim.fault.window
    period = (open_intervals + closed_intervals) * aim.rarity
    return Windows(aim, aim.interval_s * open_intervals, aim.interval_s * (period - open_intervals))


@dataclass(frozen=True, slots=True)
class Turns:
    """Windows of all kinds. The one that has been due for longest has the next turn.

    The nemesis does one thing at a time, and waiting for a leader takes long: by chance a fault would now and then stay
    far beyond its time, or a kind never come.
    """

    windows: tuple[Windows, ...]
    first_s: tuple[float, ...] = ()
    """When each begins, counted from when this is first asked; empty from then on."""

    def next(self, context: Context) -> Step | None:
        if not self.windows:
            return None
        if self.first_s:
            return self._begun(context.time_ns).next(context)
        due = [window for window in self.windows if window.next_ns is not None]
        if not due:
            return PENDING, self
        first = min(due, key=_due_ns)
        answer, then = first.next(context)
        if then is first:
            return answer, self
        return answer, Turns(tuple([then if one is first else one for one in self.windows]))

    def _begun(self, now_ns: int) -> Turns:
        starts = (now_ns + int(seconds * 1e9) for seconds in self.first_s)
        return Turns(tuple(replace(one, next_ns=start_ns) for one, start_ns in zip(self.windows, starts, strict=True)))

    def update(self, context: Context, event: Event) -> Generator:
        return replace(self, windows=tuple(one.update(context, event) for one in self.windows))


def _due_ns(window: Windows) -> int:
    assert window.next_ns is not None
    return window.next_ns


def generator(aims: Sequence[Aim]) -> Generator:
    """The faults of every kind, interleaved; they do not all begin at once."""
    share = 1 / (len(aims) + 1)
    first_s = tuple(aim.interval_s * share * (position + 1) for position, aim in enumerate(aims))
    return Turns(tuple(_windows(aim) for aim in aims), first_s)


def final_generator(aims: Sequence[Aim]) -> Generator:
    """One operation a kind, which undoes what is left of it."""
    return operations(Template(end_of(aim.fault.name)) for aim in aims)


def handler(aims: Sequence[Aim], life: Life) -> Callable[[Event], Awaitable[Completion]]:
    """Carries out these operations. A fault that could not be applied or undone is recorded as an error."""
    begins = {begin_of(aim.fault.name): aim.fault for aim in aims}
    ends = {end_of(aim.fault.name): aim.fault for aim in aims}

    async def handle(event: Event) -> Completion:
        try:
            if event.f in ends:
                return Completion("info", value=await life.end(ends[event.f]))
            assert isinstance(event.value, dict)
            asked = {word: answer for word, answer in event.value.items() if word != RESOLVED}
            became = await life.begin(begins[event.f], asked, event.value.get(RESOLVED))
            return Completion("info", value={"asked": asked, **became})
        except EnvironmentFailure as failure:
            return Completion("info", error=str(failure))

    return handle
