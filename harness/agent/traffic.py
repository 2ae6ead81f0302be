"""What becomes of each packet: the pure half of the packet queue, and all of it in the simulator.

Lives here: what can be asked of a link, and the scheduler that decides packet by packet. Must not live here: a clock, a
socket, randomness of its own.

A packet takes this way, as it would through a router and then a long line (tc-netem(8) names the same things):

    loss ── duplicate ── rate: one after another, size / rate each ── reorder: at once, or delay +- jitter ── out

- A lost packet takes no time of the link. A duplicate leaves together with its original, and takes none either.
- Jitter is uniform. Packets do not wait for each other behind the rate, so that jitter reorders them, as in netem.
- A reordered packet skips the delay, so it overtakes those that wait. Without a delay there would be nothing to
  overtake: then the others wait `REORDER_DELAY_MS`.
- What would wait for the rate longer than `BACKLOG_MS` is dropped, as by a router whose buffer is full.

Every packet takes the same count of random numbers, whatever is asked: to ask for more faults does not change who
meets the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

REORDER_DELAY_MS = 10.0
"""What packets that are not reordered wait where no delay was asked for."""

BACKLOG_MS = 1000.0
"""The longest time that a packet waits for the rate."""

NOTICEABLE_NS = 100_000
"""A packet that waits less than that is not called delayed: to be read and released takes about as long."""

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a link does to its packets; by default nothing. Raises ValueError for what no link can do."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """The delay is uniform in delay +- jitter, so it cannot be more than the delay."""
    loss: float = 0.0
    """The fraction of packets that is dropped; those below likewise."""
    duplicate: float = 0.0
    reorder: float = 0.0
    rate_kbit: float = 0.0
    """1000 bits a second, counted from the IP header on; 0 is no limit."""

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a fraction from 0 to 1, not {getattr(self, name)}")
        for name in ("delay_ms", "jitter_ms", "rate_kbit"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is a number from 0 on, not {getattr(self, name)}")
        if self.jitter_ms > self.delay_ms:
            raise ValueError(f"jitter_ms is at most delay_ms ({self.delay_ms}), not {self.jitter_ms}")

    @property
    def is_sound(self) -> bool:
        """Whether packets travel as they would without it."""
        return self == Traffic()


class Fate(NamedTuple):
    """When copies of a packet leave: never if it is dropped, twice if it is duplicated."""

    releases_ns: tuple[int, ...]
    overtakes: bool
    """Whether it leaves before a packet that came before it."""


class Scheduler:
    """Decides one direction of a link. The same traffic, random numbers and packets have the same fates."""

    def __init__(self, traffic: Traffic, random: Random) -> None:
        self._random = random
        self._loss = traffic.loss
        self._duplicate = traffic.duplicate
        self._reorder = traffic.reorder
        self._delay_ns = round((traffic.delay_ms or (REORDER_DELAY_MS if traffic.reorder else 0.0)) * _NS_PER_MS)
        self._jitter_ns = traffic.jitter_ms * _NS_PER_MS
        self._ns_per_byte = 8 * _NS_PER_MS / traffic.rate_kbit if traffic.rate_kbit else 0.0
        self._idle_from_ns = 0
        self._latest_release_ns = 0

    def decide(self, now_ns: int, size: int) -> Fate:
        """The fate of a packet of `size` bytes that comes now. Time must not go backwards between calls."""
        lost, duplicated, reordered, spread = (self._random.random() for _ in range(4))
        if lost < self._loss or (sent_ns := self._serialise(now_ns, size)) is None:
            return Fate((), overtakes=False)
        release_ns = sent_ns
        if reordered >= self._reorder:
            release_ns += self._delay_ns + round(self._jitter_ns * (2 * spread - 1))
        overtakes = release_ns < self._latest_release_ns
        self._latest_release_ns = max(self._latest_release_ns, release_ns)
        return Fate((release_ns,) * (2 if duplicated < self._duplicate else 1), overtakes)

    def _serialise(self, now_ns: int, size: int) -> int | None:
        """When its last bit is sent, behind all before it; None if they are too many."""
        begin_ns = max(now_ns, self._idle_from_ns)
        if begin_ns - now_ns > BACKLOG_MS * _NS_PER_MS:
            return None
        self._idle_from_ns = begin_ns + round(size * self._ns_per_byte)
        return self._idle_from_ns
