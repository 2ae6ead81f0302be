"""How much work a check may do, and the meter that counts it.

Lives here: the limits a caller sets, the running count against them, and what a state weighs. The default clock is
named in this file and nowhere else in `checkers`; every search takes a meter, so a test can hand in a clock of its own.
No search lives here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from sys import getsizeof

Clock = Callable[[], float]
MONOTONIC: Clock = time.monotonic

MOST_STEPS_UNREAD = 16
SECONDS_UNREAD = 0.02


class SpentError(Exception):
    """The budget ended before a history had been read. The message says how far the reading got."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one check; None is no limit. `steps` are model applications, `bytes` what the search remembers."""

    seconds: float | None = None
    steps: int | None = None
    bytes: int | None = None


class Meter:
    """Counts work against a budget. Once a limit is passed `exhausted` says which, and stays so."""

    def __init__(self, budget: Budget, clock: Clock = MONOTONIC) -> None:
        self.budget = budget
        self.steps = 0
        self.bytes = 0
        self.exhausted: str | None = None
        self.clock = clock
        self._start = clock()
        self._read_at, self._stride, self._next_read = 0.0, 1, 1

    @property
    def seconds(self) -> float:
        """Seconds since the meter was made."""
        return self.clock() - self._start

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the time limit, never negative; None without a limit."""
        return None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    @property
    def steps_left(self) -> int | None:
        """Steps until the limit; None without one."""
        return None if self.budget.steps is None else max(0, self.budget.steps - self.steps)

    @property
    def bytes_left(self) -> int | None:
        """Bytes until the limit; None without one."""
        return None if self.budget.bytes is None else max(0, self.budget.bytes - self.bytes)

    def spend(self, steps: int = 1, size: int = 0) -> bool:
        """Whether `steps` more steps and `size` more bytes are in the budget; the clock is read only now and then."""
        self.steps += steps
        self.bytes += size
        limits = self.budget
        if limits.steps is not None and self.steps > limits.steps:
            self.exhausted = self.exhausted or f"the budget of {limits.steps} steps is spent"
        if limits.bytes is not None and self.bytes > limits.bytes:
            self.exhausted = self.exhausted or f"the memory budget of {limits.bytes} bytes is spent"
        if self.steps >= self._next_read and limits.seconds is not None:
            self._read_in_turn()
        return self.exhausted is None

    def _read_in_turn(self) -> None:
        """Reads the clock, the more often the longer a step takes: a model of somebody's own may be slow."""
        now = self.seconds
        self._check(now)
        slow = now - self._read_at > SECONDS_UNREAD
        self._stride = 1 if slow else min(2 * self._stride, MOST_STEPS_UNREAD)
        self._read_at, self._next_read = now, self.steps + self._stride

    def read_clock(self) -> bool:
        """Whether there is time left, asked of the clock now."""
        if self.budget.seconds is not None:
            self._check(self.seconds)
        return self.exhausted is None

    def _check(self, now: float) -> None:
        if self.budget.seconds is not None and now > self.budget.seconds:
            self.exhausted = self.exhausted or f"the time budget of {self.budget.seconds:g} s is spent"

    def part(self, *, steps: int | None = None, share: float = 1.0) -> "Meter":
        """A meter of its own for a part of the work: so many steps, that share of the time left, the bytes left."""
        seconds = self.seconds_left
        seconds = None if seconds is None else share * seconds
        return Meter(Budget(seconds=seconds, steps=steps, bytes=self.bytes_left), self.clock)


def size_of(state: object) -> int:
    """About the bytes that a state takes, with its elements if it is a tuple or a set of texts and tuples."""
    size = getsizeof(state)
    if type(state) is tuple or type(state) is frozenset:
        for element in state:
            if type(element) is str or type(element) is tuple:
                size += getsizeof(element)
    return size
