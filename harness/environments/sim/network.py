"""The simulated network: when a packet arrives, if it does.

Lives here: delays, losses, duplicates and cuts. Must not live here: what packets carry, or who reads them.

Each link draws from a random stream of its own, so that what happens on one link never changes another. Packets
overtake each other: Raft must not depend on order, and a simulator that kept it would hide that.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from harness.environments.base import Grudge, Node
from harness.environments.sim.loop import Loop

_LATENCY_NS = 150_000
_JITTER_NS = 350_000
_SLOW_NS = 40_000_000
_LOSS = 0.001
_DUPLICATE = 0.002
_SLOW = 0.006

Delivery = Callable[[Any], None]


class Network:
    """Links between all nodes, and between the harness and each node (which no fault touches)."""

    def __init__(self, loop: Loop, seed: int) -> None:
        self._loop = loop
        self._seed = seed
        self._streams: dict[tuple[str, str], Random] = {}
        self._grudge: Grudge = {}

    def cut(self, grudge: Grudge) -> None:
        """From now on packets that arrive against the grudge are dropped, also those already on their way."""
        self._grudge = grudge

    def send(self, source: Node, destination: Node, deliver: Delivery, packet: object) -> None:
        """Let `deliver(packet)` happen at the destination: usually once, sometimes late, twice or never."""
        chance = self._stream(source, destination).random
        fate = chance()
        if fate < _LOSS:
            return
        self._loop.after(self._delay_ns(chance), self._arrive, (source, destination, deliver, packet))
        if fate < _LOSS + _DUPLICATE:
            self._loop.after(self._delay_ns(chance), self._arrive, (source, destination, deliver, packet))

    def call(self, node: Node, deliver: Delivery, packet: object) -> None:
        """Let `deliver(packet)` happen, surely and once, after the delay between the harness and a node."""
        chance = self._stream("harness", node).random
        self._loop.after(_LATENCY_NS + int(chance() * _JITTER_NS), deliver, packet)

    def _arrive(self, parcel: tuple[Node, Node, Delivery, object]) -> None:
        source, destination, deliver, packet = parcel
        if source not in self._grudge.get(destination, ()):
            deliver(packet)

    def _delay_ns(self, chance: Callable[[], float]) -> int:
        if chance() < _SLOW:
            return int(chance() * _SLOW_NS)
        return _LATENCY_NS + int(chance() * _JITTER_NS)

    def _stream(self, source: str, destination: str) -> Random:
        stream = self._streams.get((source, destination))
        if stream is None:
            stream = self._streams[source, destination] = Random(f"{self._seed}/link/{source}/{destination}")
        return stream
