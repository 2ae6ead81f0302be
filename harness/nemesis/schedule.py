"""When faults come: each kind has its own pace, and the nemesis does one thing at a time.

Lives here: the generators of faults, and how the history has their operations: what they are called, and which belong
together. Must not live here: what a fault does, or what becomes of it (`nemesis.life`).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from checkers.history import NEMESIS, Event
from harness.errors import EnvironmentFailure
from harness.generator import PENDING, Answer, Context, Generator, Invocation, Later, Step, Template, operations
from harness.interpreter import Completion
from harness.nemesis.fault import Aim, Asked, believed
from harness.nemesis.life import Life

RESOLVED: Final = "resolved"
"""What a fault became, in the value of its completion; and in that of an invocation, what it is to become again."""


ONLY_IF_SEEN: Final = "only if seen"
"""In the value of the operation that ends a fault: if it has not been seen yet, it goes on."""

PATIENCE_S: Final = 10.0
"""For how long the end of a fault is put off that has not been seen: while others end and a leader is elected."""

_AGAIN_NS = 500_000_000
"""How soon after it was put off."""

_LAST_FAULT_S = 2.0
"""So long before the clients end no fault begins any more: one that nobody feels could not be seen."""


@dataclass(frozen=True, slots=True)
class Run:
    """The time of a run: when the last fault may begin, when all are to end, and how long one is waited for."""

    last_begin_ns: int
    end_ns: int
    patience_ns: int

    @staticmethod
    def of(begin_ns: int, seconds: float) -> Run:
        """Of a run that is so long. A short one must not be much longer for its last fault."""
        quiet_s, patience_s = min(_LAST_FAULT_S, seconds / 10), min(PATIENCE_S, seconds / 2)
        last_begin_ns = begin_ns + int((seconds - quiet_s) * 1e9)
        return Run(last_begin_ns, begin_ns + int(seconds * 1e9), int(patience_s * 1e9))

    def next_limit_ns(self, time_ns: int) -> int:
        """The end, or if that has passed, when patience is at an end; for ever after that."""
        if time_ns < self.end_ns:
            return self.end_ns
        last_ns = self.end_ns + self.patience_ns
        return last_ns if time_ns < last_ns else 1 << 62


FOR_EVER: Final = Run(1 << 62, 1 << 62, int(PATIENCE_S * 1e9))


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


def goes_on(completion: Event) -> bool:
    """Whether a fault did not end, since it has not been seen yet."""
    return isinstance(completion.value, dict) and "goes_on" in completion.value


def leaves_doubt(begun: Event) -> bool:
    """Whether a fault was applied, by what its completion says, of which too little was seen."""
    is_applied = isinstance(begun.value, dict) and "evidence" in begun.value
    return is_applied and not believed(begun.value["evidence"])


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
    before was complete: where it takes long to make a cut, the cut must not be shorter for it. None lasts beyond the
    end of the run, though.

    A fault of which no evidence was found when it began is *doubted*: at its end it goes on until there is some, for
    as long as it has patience.
    """

    aim: Aim
    open_s: float
    closed_s: float
    is_open: bool = False
    next_ns: int | None = 0
    doubted_until_ns: int | None = None
    has_begun: bool = False
    run: Run = FOR_EVER

    @property
    def is_doubted(self) -> bool:
        """Whether it is in force and has not been seen yet."""
        return self.doubted_until_ns is not None

    def may_begin(self, time_ns: int) -> bool:
        """Whether there is time for it to begin, now or later. One that never came is waited for beyond the end."""
        last_begin_ns = self.run.last_begin_ns if self.has_begun else self.run.end_ns + self.run.patience_ns
        return self.next_ns is not None and max(self.next_ns, time_ns) < last_begin_ns

    def next(self, context: Context) -> tuple[Answer, Windows]:
        if self.next_ns is None or not context.free:
            return PENDING, self
        if context.time_ns < self.next_ns:
            return Later(self.next_ns), self
        return Invocation(NEMESIS, self._template(context)), replace(self, next_ns=None)

    def _template(self, context: Context) -> Template:
        name = self.aim.fault.name
        if not self.is_open:
            return Template(begin_of(name), value=draw(self.aim, context.random))
        is_patient = self.doubted_until_ns is not None and context.time_ns < self.doubted_until_ns
        return Template(end_of(name), value=ONLY_IF_SEEN if is_patient else None)

    def update(self, context: Context, event: Event) -> Windows:
        # One thread does all the work, so when it is free again, what this generator asked for is complete.
        if self.next_ns is not None or NEMESIS not in context.free:
            return self
        if goes_on(event):
            return replace(self, next_ns=context.time_ns + _AGAIN_NS)
        mean_s = self.closed_s if self.is_open else self.open_s
        next_ns = context.time_ns + int((0.5 + context.random.random()) * mean_s * 1e9)
        if self.is_open:
            return replace(self, is_open=False, next_ns=next_ns, doubted_until_ns=None)
        if skipped(event):  # what found nothing to hit comes again as soon as it would have ended
            latest_ns = next_ns if self.has_begun else max(context.time_ns + _AGAIN_NS, self.run.end_ns)
            return replace(self, next_ns=min(next_ns, latest_ns))
        next_ns = min(next_ns, max(context.time_ns, self.run.end_ns))
        until_ns = min(next_ns, self.run.end_ns) + self.run.patience_ns if leaves_doubt(event) else None
        return replace(self, is_open=True, next_ns=next_ns, doubted_until_ns=until_ns, has_begun=True)


def _windows(aim: Aim) -> Windows:
    open_intervals, closed_intervals = aim.fault.window
    period = (open_intervals + closed_intervals) * aim.rarity
    return Windows(aim, aim.interval_s * open_intervals, aim.interval_s * (period - open_intervals))


@dataclass(frozen=True, slots=True)
class Turns:
    """Windows of all kinds. The one that has been due for longest has the next turn.

    The nemesis does one thing at a time, and waiting for a leader takes long: by chance a fault would now and then stay
    far beyond its time, or a kind never come.

    While a fault is doubted no other begins: a cluster that is broken in yet another way would not feel it either.
    """

    windows: tuple[Windows, ...]
    first_s: tuple[float, ...] = ()
    """When each begins, counted from when this is first asked; empty from then on."""
    limit_s: float | None = None
    """How long the run lasts, counted from then, too."""
    idle_until_ns: int = 0
    """Before that nobody has a turn: what is asked for each operation of a client has to be answered quickly."""

    def next(self, context: Context) -> Step | None:
        if context.time_ns < self.idle_until_ns:
            return Later(self.idle_until_ns), self
        if self.first_s:
            return self._begun(context.time_ns).next(context)
        due = [window for window in self.windows if window.is_open and window.next_ns is not None]
        if not any(window.is_doubted for window in self.windows):
            due += [window for window in self.windows if not window.is_open and window.may_begin(context.time_ns)]
        if not due:
            return (PENDING, self) if any(window.next_ns is None for window in self.windows) else None
        first = min(due, key=_due_ns)
        answer, then = first.next(context)
        if isinstance(answer, Later):
            return answer, Turns(self.windows, idle_until_ns=answer.time_ns)
        return answer, Turns(tuple(then if one is first else one for one in self.windows))

    def _begun(self, now_ns: int) -> Turns:
        run = FOR_EVER if self.limit_s is None else Run.of(now_ns, self.limit_s)
        starts = (now_ns + int(seconds * 1e9) for seconds in self.first_s)
        windows = (replace(one, next_ns=start_ns, run=run) for one, start_ns in zip(self.windows, starts, strict=True))
        return Turns(tuple(windows))

    def update(self, context: Context, event: Event) -> Generator:
        windows = tuple(one.update(context, event) for one in self.windows)
        return Turns(windows, self.first_s, self.limit_s)


def _due_ns(window: Windows) -> int:
    assert window.next_ns is not None
    return window.next_ns


def generator(aims: Sequence[Aim], limit_s: float | None = None) -> Generator:
    """The faults of every kind, interleaved; they do not all begin at once.

    In a run of `limit_s` each is to come in the first half of it, and none comes again shortly before the end.
    """
    share, half_s = 1 / (len(aims) + 1), math.inf if limit_s is None else limit_s / 2
    first_s = tuple(min(aim.interval_s, half_s) * share * (position + 1) for position, aim in enumerate(aims))
    return Turns(tuple(_windows(aim) for aim in aims), first_s, limit_s)


@dataclass(frozen=True, slots=True)
class UntilSeen:
    """Clients and faults for that long, and on until no fault is in force that has not been seen.

    Most faults are felt only by who is at work: once clients have stopped, there would be nothing more to see. Kinds of
    faults that are `missing`, since they have not come yet, are waited for as well, as long as there is patience.
    """

    seconds: float
    generator: Generator
    missing: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    run: Run | None = None

    def next(self, context: Context) -> Step | None:
        run = Run.of(context.time_ns, self.seconds) if self.run is None else self.run
        waits = self.unseen or (self.missing and context.time_ns < run.end_ns + run.patience_ns)
        step = None if context.time_ns >= run.end_ns and not waits else self.generator.next(context)
        if step is None:
            return None
        answer, generator = step
        if isinstance(answer, Later) and answer.time_ns > (limit_ns := run.next_limit_ns(context.time_ns)):
            answer = Later(limit_ns)
        return answer, UntilSeen(self.seconds, generator, self.missing, self.unseen, run)

    def update(self, context: Context, event: Event) -> Generator:
        generator = self.generator.update(context, event)
        then = UntilSeen(self.seconds, generator, self.missing, self.unseen, self.run)
        return then._after(event, is_complete=NEMESIS in context.free) if event.process == NEMESIS else then

    def _after(self, event: Event, is_complete: bool) -> UntilSeen:
        """What is to be waited for after this operation of the nemesis. Until it is complete nobody knows."""
        _, _, name = event.f.partition("-")
        if event.f == begin_of(name):
            unseen = self.unseen | {name} if not is_complete or leaves_doubt(event) else self.unseen - {name}
            has_come = is_complete and not skipped(event)
            return replace(self, unseen=unseen, missing=self.missing - {name} if has_come else self.missing)
        has_gone = is_complete and not goes_on(event)
        return replace(self, unseen=self.unseen - {name}) if has_gone else self


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
                only_if_seen = event.value == ONLY_IF_SEEN
                return Completion("info", value=await life.end(ends[event.f], only_if_seen=only_if_seen))
            assert isinstance(event.value, dict)
            asked = {word: answer for word, answer in event.value.items() if word != RESOLVED}
            became = await life.begin(begins[event.f], asked, event.value.get(RESOLVED))
            return Completion("info", value={"asked": asked, **became})
        except EnvironmentFailure as failure:
            return Completion("info", error=str(failure))

    return handle
