"""Packets: what nodes get from their peers comes late, out of order, twice, slowly or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import msgspec

from harness.agent.traffic import Traffic
from harness.environments.base import Capability, Environment, Node, Sight
from harness.nemesis.fault import (
    Asked,
    Course,
    Evidence,
    Fault,
    Resolved,
    View,
    by_node,
    caught,
    nodes_of,
    not_catching,
    rise,
    still_catching,
    with_unseen,
)
from harness.nemesis.parameters import rate_kbit, share, time_ms
from harness.nemesis.targets import WEIGHTS, choose

_KINDS: Mapping[str, Traffic] = {
    "delay": Traffic(delay_ms=50, jitter_ms=10),
    "loss": Traffic(loss=0.2),
    "duplicate": Traffic(duplicate=0.1),
    "reorder": Traffic(delay_ms=50, reorder=0.25),
    "rate": Traffic(rate_kbit=1000),
}
"""What each kind does unless it is told otherwise (the sizes of Jepsen's `net` packet faults)."""

_FIELDS = {
    "delay": "delay_ms",
    "jitter": "jitter_ms",
    "loss": "loss",
    "duplicate": "duplicate",
    "reorder": "reorder",
    "rate": "rate_kbit",
}


_FATES = {
    "delay_ms": "delayed",
    "loss": "dropped",
    "duplicate": "duplicated",
    "reorder": "reordered",
    "rate_kbit": "delayed",
}
"""What must have become of packets, for each number that is asked of the traffic to be believed."""


class Packets(Fault):
    name = "packets"
    about = "what comes from peers is late, lost, doubled, out of order or slow"
    requires = "iptables and NET_ADMIN, or a private namespace; statistic, NFQUEUE and TEE in the kernel"
    proof = "packets that each node's filter dropped, or its queue delayed, doubled or reordered"
    capability = Capability.PACKET_QUEUE
    needs = {"loss": Capability.PACKET_LOSS, "duplicate": Capability.PACKET_DUPLICATE}
    choices = {"kind": dict.fromkeys(_KINDS, 1), "target": {**WEIGHTS, "all": 10}}
    parameters = {
        "delay": time_ms("50ms"),
        "jitter": time_ms("10ms"),
        "loss": share("20%"),
        "duplicate": share("10%"),
        "reorder": share("25%"),
        "rate": rate_kbit("1mbit"),
    }

    kind_of = {**{kind: kind for kind in _KINDS}, "jitter": "delay"}

    def objection(self, given: Asked) -> str | None:
        """Numbers of several kinds go together here."""
        traffic = _traffic(given) if "kind" in given else {}
        jittered = "jitter" in given and traffic["jitter_ms"] > traffic["delay_ms"]
        return f"jitter is at most the delay, which is {traffic['delay_ms']:g} ms" if jittered else None

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        traffic = _traffic(asked)
        # A packet cannot leave before it came, so no queue takes more jitter than delay.
        traffic["jitter_ms"] = min(traffic["jitter_ms"], traffic["delay_ms"])
        # Nothing can become of packets that never arrive.
        nodes = choose(str(asked["target"]), view.hearing, random)
        return {"nodes": nodes, "kind": asked["kind"], "traffic": traffic}

    def told(self, resolved: Resolved) -> str:
        traffic = resolved["traffic"]
        assert isinstance(traffic, dict)
        words = ", ".join(f"{name} {value:g}" for name, value in traffic.items() if value)
        return f"{words} to {', '.join(nodes_of(resolved))}"

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        traffic = msgspec.convert(resolved["traffic"], Traffic)
        await environment.shape(dict.fromkeys(nodes_of(resolved), traffic))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.shape({})

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        """Packets to each node must have been caught, and of what is to become of some, each must have been seen.

        Not at each node: of the few packets that a node gets in a short time, chance may let none overtake another.
        """
        traffic, nodes = msgspec.convert(resolved["traffic"], Traffic), nodes_of(resolved)
        fates = sorted({fate for number, fate in _FATES.items() if getattr(traffic, number)})
        met = {f"packets_{fate}": by_node((node, _met(course, node, fate)) for node in nodes) for fate in fates}
        held = caught(course, resolved, self.name) if all(met.values()) else {}
        return with_unseen(met, [node for node in nodes if node not in held]) if any(met.values()) else None

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        idle = [node for node in nodes_of(resolved) if _queue_is_gone(resolved, course.now.sights[node])]
        return f"the queue of {', '.join(idle)} is gone" if idle else not_catching(course.now, resolved, self.name)

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        return still_catching(course.now, self.name)


def _traffic(asked: Asked) -> dict[str, float]:
    """What the kind does, but for the numbers that were given."""
    changed = {_FIELDS[name]: value for name, value in asked.items() if name in _FIELDS}
    return {**msgspec.to_builtins(_KINDS[str(asked["kind"])]), **changed}


def _queue_is_gone(resolved: Resolved, sight: Sight) -> bool:
    traffic = msgspec.convert(resolved["traffic"], Traffic)
    return not sight.packets and traffic != Traffic(loss=traffic.loss)


def _met(course: Course, node: Node, fate: str) -> int:
    """How many packets met that fate. Where there is no queue, all that a filter caught were dropped."""
    now = course.now.sights.get(node)
    if fate == "dropped" and now is not None and fate not in now.packets:
        return rise(course, node, lambda sight: sight.caught.get(Packets.name, 0))
    return rise(course, node, lambda sight: sight.packets.get(fate, 0))
