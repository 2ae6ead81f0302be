"""Targets: which nodes a fault is to hit, by name. Pure.

Lives here: Jepsen's node specifications, and those that look at what nodes say of themselves. Must not live here:
hitting them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from harness.environments.base import Node
from harness.nemesis.fault import NothingToHit, View

LEADER: Final = "leader"

WEIGHTS: Mapping[str, int] = {
    "leader": 10,
    "one": 4,
    "minority-third": 2,
    "minority": 2,
    "majority": 1,
    "all": 1,
    "former-leader": 1,
    "edge": 1,
    "behind": 1,
}
"""How often a fault aims at what, unless it knows better.

Most bugs of a replicated system show only when its leader is hit; and while a majority is down, nothing is left to see.
"""

MEANING: Mapping[str, str] = {
    "one": "any node",
    "minority-third": "as many as a third leaves out: (n-1)/3",
    "minority": "as many as may fail: (n-1)/2",
    "majority": "more than half",
    "all": "every node",
    "leader": "whoever says that it leads",
    "former-leader": "who led before the present leader",
    "edge": "as many followers as may fail: the leader keeps the barest quorum",
    "behind": "the node with the shortest log",
}

_SIZES: Mapping[str, Callable[[int], int]] = {
    "one": lambda count: 1,
    "minority-third": lambda count: max(1, (count - 1) // 3),
    "minority": lambda count: max(1, (count - 1) // 2),
    "majority": lambda count: count // 2 + 1,
    "all": lambda count: count,
}


def choose(target: str, view: View, random: Random) -> tuple[Node, ...]:
    """The nodes that a target's name means now, in the cluster's order; only such as are up.

    Where nobody is what the name says, any one node is taken instead. Raises `NothingToHit` if no node is up.
    """
    up = view.up
    if not up:
        raise NothingToHit("no node is up that this could be seen on")
    if target in _SIZES:
        wanted = min(len(up), _SIZES[target](len(view.nodes)))
        chosen: Sequence[Node] = random.sample(up, wanted)
    else:
        chosen = _SPECIAL[target](up, view, random) or [random.choice(up)]
    return tuple(node for node in view.nodes if node in chosen)


def _leader(up: Sequence[Node], view: View, random: Random) -> Sequence[Node]:
    return [node for node in view.now.leaders if node in up]


def _former(up: Sequence[Node], view: View, random: Random) -> Sequence[Node]:
    return [node for node in up if node == view.former and node not in view.now.leaders]


def _edge(up: Sequence[Node], view: View, random: Random) -> Sequence[Node]:
    followers = [node for node in up if node not in view.now.leaders]
    return random.sample(followers, min(len(followers), _SIZES["minority"](len(view.nodes))))


def _behind(up: Sequence[Node], view: View, random: Random) -> Sequence[Node]:
    known = [node for node in up if node in view.now.statuses]
    return [min(known, key=lambda node: view.now.statuses[node].last)] if known else []


_SPECIAL: Mapping[str, Callable[[Sequence[Node], View, Random], Sequence[Node]]] = {
    LEADER: _leader,
    "former-leader": _former,
    "edge": _edge,
    "behind": _behind,
}
