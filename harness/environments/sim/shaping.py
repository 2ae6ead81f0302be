"""What a shaped link does to a packet: when it comes out, how often, if at all. Pure: time and chance are arguments.

Lives here: the rules of `Traffic`. Must not live here: which links are shaped, or what else happens to packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from harness.environments.faults import Traffic

_MS_NS = 1_000_000
_HELD_BACK_NS = 10 * _MS_NS
"""By how much a packet comes later that others are to overtake."""
_LONGEST_QUEUE_NS = 1_000 * _MS_NS
"""A packet that would wait longer for its turn on a slow link finds the queue full, and is lost."""


@dataclass(slots=True)
class PacketCounts:
    """What faults did to the packets that reached a node: evidence. A packet may count in several ways."""

    dropped: int = 0
    """By a cut between nodes."""
    refused: int = 0
    """By a cut of clients."""
    shaped: int = 0
    """Came over a shaped link."""
    lost: int = 0
    delayed: int = 0
    """Came later than they would have, for whatever reason."""
    duplicated: int = 0
    reordered: int = 0


class Shaper:
    """One link. A setting that is not used draws nothing, so that it changes nothing else."""

    __slots__ = ("_chance", "_counts", "_free_ns", "_traffic")

    def __init__(self, traffic: Traffic, chance: Random, counts: PacketCounts) -> None:
        self._traffic = traffic
        self._chance = chance.random
        self._counts = counts
        self._free_ns = 0

    def delays_ns(self, now_ns: int, size_bytes: int) -> tuple[int, ...]:
        """How much later a packet that is here now comes out: no time if it is lost, two if it is duplicated."""
        traffic, counts = self._traffic, self._counts
        counts.shaped += 1
        queued_ns = self._queue_ns(now_ns, size_bytes)
        if queued_ns is None or self._falls(traffic.loss):
            counts.lost += 1
            return ()
        copies = 1
        if self._falls(traffic.duplicate):
            counts.duplicated += 1
            copies = 2
        delays = tuple(queued_ns + self._travel_ns() for _ in range(copies))
        counts.delayed += any(delays)
        return delays

    def _queue_ns(self, now_ns: int, size_bytes: int) -> int | None:
        """How long it takes until the packet is through at the link's rate; None if it finds no place to wait."""
        rate_kbit = self._traffic.rate_kbit
        if not rate_kbit:
            return 0
        begin_ns = max(now_ns, self._free_ns)
        if begin_ns - now_ns > _LONGEST_QUEUE_NS:
            return None
        self._free_ns = begin_ns + int(size_bytes * 8 * _MS_NS / rate_kbit)
        return self._free_ns - now_ns

    def _travel_ns(self) -> int:
        traffic = self._traffic
        delay_ms = traffic.delay_ms
        if traffic.jitter_ms:
            delay_ms += (2 * self._chance() - 1) * traffic.jitter_ms
        delay_ns = max(0, int(delay_ms * _MS_NS))
        if self._falls(traffic.reorder):
            self._counts.reordered += 1
            delay_ns += _HELD_BACK_NS
        return delay_ns

    def _falls(self, share: float) -> bool:
        return share > 0 and self._chance() < share
