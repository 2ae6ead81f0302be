"""The simulated network: when a packet arrives, if it does.

Lives here: which packets faults touch, and what an unbroken network does. Must not live here: what packets carry, who
reads them, or the rules of shaped traffic.

Each link draws from random streams of its own, so that what happens on one link never changes another, and a fault
that is not there changes nothing. Packets overtake each other: Raft must not depend on order, and a simulator that
kept it would hide that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from harness.agent.traffic import Traffic
from harness.environments.base import Grudge, Node
from harness.environments.sim.loop import Loop
from harness.environments.sim.shaping import PacketCounts, ShapedLink

_LATENCY_NS = 150_000
_JITTER_NS = 350_000
_SLOW_NS = 40_000_000
_LOSS = 0.001
_DUPLICATE = 0.002
_SLOW = 0.006

Delivery = Callable[[Any], None]


class Network:
    """Links between all nodes, and between the clients, which are one place, and each node.

    Faults act where packets arrive, as a node's own firewall and queues would, on packets already on their way too.
    """

    def __init__(self, loop: Loop, seed: int, size_bytes: Callable[[Any], int]) -> None:
        """`size_bytes` says how large a peer's packet is on the wire; it is asked on shaped links only."""
        self._loop = loop
        self._size_bytes = size_bytes
        self._links = _Streams(seed, "link")
        self._shapes = _Streams(seed, "shape")
        self._grudge: Grudge = {}
        self._deaf: frozenset[Node] = frozenset()
        self._shaped: dict[tuple[Node, Node], ShapedLink] = {}
        self._before: dict[tuple[str, Node], int] = {}
        self.counts: defaultdict[Node, PacketCounts] = defaultdict(PacketCounts)
        """What faults did to the packets that arrived at each node, since the beginning."""

    # -- faults --------------------------------------------------------------------------------------------------

    def cut(self, grudge: Grudge) -> None:
        """From now on packets that arrive against the grudge are dropped."""
        touched = {*self._grudge, *grudge}
        self._grudge = grudge
        self._count_anew(touched)

    def cut_clients(self, nodes: Iterable[Node]) -> None:
        """From now on these nodes, and no others, hear no client; what they say still reaches the clients."""
        touched, self._deaf = self._deaf, frozenset(nodes)
        self._count_anew(touched | self._deaf)

    def shape(self, node: Node, sources: Iterable[Node], traffic: Traffic) -> None:
        """From now on packets from each of the peers travel to the node like that; sound traffic lifts the fault.

        Each link has the whole rate for itself. What is on a slow link already stays as late as it is.
        """
        for source in sources:
            if traffic.is_sound:
                self._shaped.pop((source, node), None)
            else:
                self._shaped[source, node] = ShapedLink(traffic, self._shapes[source, node], self.counts[node])
        self._count_anew([node])

    def caught(self, node: Node) -> dict[str, int]:
        """How many packets each fault that is in force at the node has caught there since it is, by its kind."""
        counts = self._in_force(node)
        return {kind: count - self._before[kind, node] for kind, count in counts.items()}

    def _in_force(self, node: Node) -> dict[str, int]:
        """How many packets each kind of fault that is in force at the node has ever caught there."""
        counts, kinds = self.counts[node], dict[str, int]()
        if self._grudge.get(node):
            kinds["partition"] = counts.dropped
        if node in self._deaf:
            kinds["clients"] = counts.refused
        if any(destination == node for _, destination in self._shaped):
            kinds["packets"] = counts.shaped
        return kinds

    def _count_anew(self, nodes: Iterable[Node]) -> None:
        """Let what has come into force at these nodes, or is no more, count from now on, and what was go on."""
        for node in nodes:
            for kind in ("partition", "clients", "packets"):
                if kind not in (counts := self._in_force(node)):
                    self._before.pop((kind, node), None)
                else:
                    self._before.setdefault((kind, node), counts[kind])

    def shaped(self, node: Node) -> dict[str, int]:
        """How many packets shaped links did what to on their way to the node, in the words of a real packet queue."""
        counts = self.counts[node]
        return {
            "dropped": counts.lost,
            "delayed": counts.delayed,
            "duplicated": counts.duplicated,
            "reordered": counts.reordered,
        }

    # -- packets -------------------------------------------------------------------------------------------------

    def send(self, source: Node, destination: Node, deliver: Delivery, packet: object) -> None:
        """Let `deliver(packet)` happen at the destination: usually once, sometimes late, twice or never."""
        chance = self._links[source, destination].random
        fate = chance()
        if fate < _LOSS:
            return
        self._loop.after(_delay_ns(chance), self._arrive, (source, destination, deliver, packet))
        if fate < _LOSS + _DUPLICATE:
            self._loop.after(_delay_ns(chance), self._arrive, (source, destination, deliver, packet))

    def ask(self, node: Node, deliver: Delivery, packet: object) -> None:
        """Let `deliver(packet)` happen at the node, once, unless the node is cut off from clients when it arrives."""
        self._loop.after(self._client_delay_ns(node), self._arrive_from_client, (node, deliver, packet))

    def answer(self, node: Node, deliver: Delivery, packet: object) -> None:
        """Let `deliver(packet)` happen at a client of the node, surely and once."""
        self._loop.after(self._client_delay_ns(node), deliver, packet)

    def _arrive(self, parcel: tuple[Node, Node, Delivery, object]) -> None:
        source, destination, deliver, packet = parcel
        if self._grudge and source in self._grudge.get(destination, ()):
            self.counts[destination].dropped += 1
        elif self._shaped and (link := self._shaped.get((source, destination))) is not None:
            for delay_ns in link.delays_ns(self._loop.now_ns, self._size_bytes(packet)):
                self._loop.after(delay_ns, deliver, packet)
        else:
            deliver(packet)

    def _arrive_from_client(self, parcel: tuple[Node, Delivery, object]) -> None:
        node, deliver, packet = parcel
        if node in self._deaf:
            self.counts[node].refused += 1
        else:
            deliver(packet)

    def _client_delay_ns(self, node: Node) -> int:
        return _LATENCY_NS + int(self._links["harness", node].random() * _JITTER_NS)


class _Streams(dict[tuple[str, str], Random]):
    """The random stream of each link, for one purpose: made when it is first asked for."""

    def __init__(self, seed: int, purpose: str) -> None:
        super().__init__()
        self._prefix = f"{seed}/{purpose}"

    def __missing__(self, link: tuple[str, str]) -> Random:
        source, destination = link
        stream = self[link] = Random(f"{self._prefix}/{source}/{destination}")
        return stream


def _delay_ns(chance: Callable[[], float]) -> int:
    if chance() < _SLOW:
        return int(chance() * _SLOW_NS)
    return _LATENCY_NS + int(chance() * _JITTER_NS)
