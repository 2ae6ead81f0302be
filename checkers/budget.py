"""How much work a check may do, and the meter that counts it.

Lives here: the limits a caller sets and the running count against them. The default clock is named in this file and
nowhere else in `checkers`; every search takes a meter, so a test can hand in a clock of its own. No search lives here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
MONOTONIC: Clock = time.monotonic

STEPS_BETWEEN_CLOCK_READS = 256


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

    @property
    def seconds(self) -> float:
        """Seconds since the meter was made."""
        return self.clock() - self._start

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the time limit, never negative; None without a limit."""
        return None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    def spend(self, steps: int = 1, size: int = 0) -> bool:
        """Whether `steps` more steps and `size` more bytes are in the budget; the clock is read only now and then."""
        before, self.steps = self.steps, self.steps + steps
        self.bytes += size
        limits = self.budget
        if limits.steps is not None and self.steps > limits.steps:
            self.exhausted = self.exhausted or f"the budget of {limits.steps} steps is spent"
        if limits.bytes is not None and self.bytes > limits.bytes:
            self.exhausted = self.exhausted or f"the memory budget of {limits.bytes} bytes is spent"
        if before // STEPS_BETWEEN_CLOCK_READS != self.steps // STEPS_BETWEEN_CLOCK_READS:
            self.read_clock()
        return self.exhausted is None

    def read_clock(self) -> bool:
        """Whether there is time left, asked of the clock now."""
        if self.budget.seconds is not None and self.seconds > self.budget.seconds:
            self.exhausted = self.exhausted or f"the time budget of {self.budget.seconds:g} s is spent"
        return self.exhausted is None
