"""Disks: syncs are slow or fail, nothing more fits, or what was not synced is lost as by a loss of power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import msgspec

from harness.environments.base import Capability, Environment, Node
from harness.environments.faults import DiskSetting
from harness.nemesis.fault import (
    Asked,
    Course,
    Evidence,
    Fault,
    Resolved,
    View,
    at_each,
    by_node,
    nodes_of,
    rise,
    still_dead,
)
from harness.nemesis.parameters import time_ms
from harness.nemesis.targets import WEIGHTS, choose

_KINDS: Mapping[str, DiskSetting] = {
    "slow": DiskSetting(sync_delay_ms=200),
    "fail": DiskSetting(sync_error=True),
    "full": DiskSetting(full=True),
    "lose": DiskSetting(volatile=True),
}
_REFUSAL_NS = 800_000_000
"""How long a write that is refused is waited for: not as long as evidence is (`nemesis.life`), so that a full disk is
believed even if nobody had more to write than still fitted."""
_ENDS_NODES = ("fail", "full")
"""A node ends at the first write that fails or is refused."""
_COUNTERS = {"slow": "delayed", "fail": "failed", "full": "refused", "lose": "held"}


class Disk(Fault):
    name = "disk"
    about = "syncs are slow or fail, the disk is full, or unsynced writes are lost with the process"
    requires = "the service's file layer; full: a tmpfs of the node's own, where there can be one"
    proof = "writes that the service's file layer delayed, failed, refused or held back; no space is free"
    capability = Capability.DISK
    choices = {"kind": dict.fromkeys(_KINDS, 1), "target": {**WEIGHTS, "leader": 5, "one": 6}}
    parameters = {"delay": time_ms("200ms")}
    kind_of = {"delay": "slow"}
    # A node whose disk fails stops, and losing writes means to kill it.
    holds_nodes = True
    window = (0.5, 1.5)

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        kind = str(asked["kind"])
        setting = msgspec.to_builtins(_KINDS[kind])
        if kind == "slow" and "delay" in asked:
            setting["sync_delay_ms"] = asked["delay"]
        # A disk that nobody writes to cannot be seen to be faulty.
        nodes = choose(str(asked["target"]), view.following, random)
        if kind in _ENDS_NODES:
            # And nobody writes any more once there is no majority: the last of them must still be able to vote in one.
            nodes = _at_most((len(view.nodes) + 1) // 2, nodes, random)
        return {"nodes": nodes, "kind": kind, "setting": setting}

    def told(self, resolved: Resolved) -> str:
        return f"{resolved['kind']} disk of {', '.join(nodes_of(resolved))}"

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        setting = msgspec.convert(resolved["setting"], DiskSetting)
        await environment.on_all(nodes_of(resolved), lambda node: environment.set_disk(node, setting))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        async def repair(node: Node) -> None:
            if resolved["kind"] == "lose":
                await environment.kill(node)  # with what it holds: that is the loss of power
            await environment.set_disk(node, DiskSetting())
            await environment.start(node)

        await environment.on_all(nodes_of(resolved), repair)

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        counter = _COUNTERS[str(resolved["kind"])]
        counts = by_node(
            (node, rise(course, node, lambda sight: sight.disk.get(counter, 0))) for node in nodes_of(resolved)
        )
        if counter == "refused" and (free := _free_bytes(resolved, course)):
            # A few writes still fit into the last page of their file: one that is refused is waited for, not for ever.
            waited = course.now.time_ns - course.before.time_ns >= _REFUSAL_NS
            full = not any(free.values()) and (counts or waited)
            return {"free_bytes": free, counter: counts} if full else None
        return at_each({counter: counts}, nodes_of(resolved))

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        full = [node for node, free in _free_bytes(resolved, course).items() if free == 0]
        if full:
            return f"the disk of {', '.join(full)} is still full"
        return still_dead(resolved, course)


def _at_most(count: int, nodes: Sequence[Node], random: Random) -> tuple[Node, ...]:
    """Some of the nodes, in their order, if they are more than that."""
    chosen = random.sample(nodes, count) if len(nodes) > count else nodes
    return tuple(node for node in nodes if node in chosen)


def _free_bytes(resolved: Resolved, course: Course) -> dict[Node, int]:
    """What is free on the disks of those nodes that have one of their own."""
    free = {node: course.now.sights[node].disk_free_bytes for node in nodes_of(resolved)}
    return {node: size for node, size in free.items() if size is not None}
