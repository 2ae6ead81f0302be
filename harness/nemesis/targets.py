"""Targets: which nodes a fault is to hit, by name. Pure.

Lives here: Jepsen's node specifications. Must not live here: hitting them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from harness.environments.base import Node

_SIZES: Mapping[str, Callable[[int], int]] = {
    "one": lambda count: 1,
    "minority-third": lambda count: max(1, (count - 1) // 3),
    "minority": lambda count: max(1, (count - 1) // 2),
    "majority": lambda count: count // 2 + 1,
    "all": lambda count: count,
}

PRIMARIES = "primaries"
TARGETS: tuple[str, ...] = (*_SIZES, PRIMARIES)
"""The names that `resolve` understands."""


def draw(names: Sequence[str], random: Random) -> str:
    """A name to aim at: `primaries` every other time, else any of the others.

    Most bugs of a replicated system show only when its leader is hit, and the more nodes there are the less often a
    node that is drawn blindly is the leader.
    """
    others = [name for name in names if name != PRIMARIES]
    return PRIMARIES if random.random() < 0.5 else random.choice(others)


def resolve(target: str, nodes: Sequence[Node], primaries: Sequence[Node], random: Random) -> tuple[Node, ...]:
    """The nodes meant by a target's name, in the cluster's order. Without a primary, `primaries` means any one node."""
    if target == PRIMARIES and primaries:
        chosen = list(primaries)
    else:
        chosen = random.sample(nodes, _SIZES.get(target, _SIZES["one"])(len(nodes)))
    return tuple(node for node in nodes if node in chosen)
