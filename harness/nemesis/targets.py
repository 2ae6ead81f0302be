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

WEIGHTS: Mapping[str, int] = {"primaries": 10, "one": 4, "minority-third": 2, "minority": 2, "majority": 1, "all": 1}
"""How often a package aims at what, unless it knows better.

Most bugs of a replicated system show only when its leader is hit; and while a majority is down, nothing is left to see.
"""


def draw(weights: Mapping[str, int], random: Random) -> str:
    """One of the names, as often as its weight says."""
    return random.choices(list(weights), list(weights.values()))[0]


def resolve(target: str, nodes: Sequence[Node], primaries: Sequence[Node], random: Random) -> tuple[Node, ...]:
    """The nodes meant by a target's name, in the cluster's order. Without a primary, `primaries` means any one node."""
    if target == PRIMARIES and primaries:
        chosen = list(primaries)
    else:
        chosen = random.sample(nodes, _SIZES.get(target, _SIZES["one"])(len(nodes)))
    return tuple(node for node in nodes if node in chosen)
