"""A shaped link: what the real packet queue would do with each packet, in virtual time, and counted.

Lives here: the counters that are evidence. Must not live here: the rules of `Traffic`, or which links are shaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from harness.agent.traffic import NOTICEABLE_NS, Scheduler, Traffic


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
    """Came before a packet that had come before them."""


class ShapedLink:
    """One link, under the faults that are asked of it."""

    __slots__ = ("_counts", "_scheduler")

    def __init__(self, traffic: Traffic, random: Random, counts: PacketCounts) -> None:
        self._scheduler = Scheduler(traffic, random)
        self._counts = counts

    def delays_ns(self, now_ns: int, size_bytes: int) -> tuple[int, ...]:
        """How much later a packet that is here now comes out: no time if it is lost, two if it is duplicated."""
        fate, counts = self._scheduler.decide(now_ns, size_bytes), self._counts
        delays = tuple(release_ns - now_ns for release_ns in fate.releases_ns)
        counts.shaped += 1
        counts.lost += not delays
        counts.delayed += any(delay >= NOTICEABLE_NS for delay in delays)
        counts.duplicated += len(delays) > 1
        counts.reordered += fate.overtakes
        return delays
