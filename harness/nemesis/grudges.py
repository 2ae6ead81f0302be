"""Grudges: who refuses to hear whom. Pure functions from nodes to a `Grudge` (destination -> sources dropped).

Lives here: the shapes of partitions and their names. Must not live here: applying them (an environment does), or
finding out who leads (`fault.Observation.leaders`). The shapes are those of `jepsen.nemesis` and of
`jepsen.nemesis.combined`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from harness.environments.base import Grudge, Node

Components = Sequence[Sequence[Node]]


def complete_grudge(components: Components) -> Grudge:
    """No traffic outside one's component (Jepsen `complete-grudge`)."""
    everyone = frozenset(node for component in components for node in component)
    cut = {node: everyone - frozenset(component) for component in components for node in component}
    return {node: sources for node, sources in cut.items() if sources}


def bisect(nodes: Sequence[Node]) -> Components:
    """The nodes in two halves, the smaller one first (Jepsen `bisect`)."""
    middle = len(nodes) // 2
    return nodes[:middle], nodes[middle:]


def split_one(nodes: Sequence[Node], loner: Node) -> Components:
    """One node alone, the others together (Jepsen `split-one`)."""
    return [loner], [node for node in nodes if node != loner]


def bridge(nodes: Sequence[Node]) -> Grudge:
    """Two halves that do not hear each other, and one node between them that both hear (Jepsen `bridge`)."""
    left, right = bisect(nodes)
    middle = right[0] if right else None
    cut = {node: sources - {middle} for node, sources in complete_grudge((left, right)).items() if node != middle}
    return {node: sources for node, sources in cut.items() if sources}


def majorities_ring(nodes: Sequence[Node], random: Random) -> Grudge:
    """Every node hears a majority, no two of them the same one (Jepsen `majorities-ring`).

    Up to five nodes: windows of a majority over a shuffled cycle; a window's middle node drops all outside it. With
    more nodes the ring is not enough: links are added between nodes of least degree until each has a majority.
    """
    if len(nodes) <= 5:
        return _perfect_ring(random.sample(nodes, len(nodes)))
    return _stochastic_ring(nodes, random)


def _perfect_ring(cycle: Sequence[Node]) -> Grudge:
    count = len(cycle)
    majority = count // 2 + 1
    grudge = {}
    for start in range(count):
        window = [cycle[(start + step) % count] for step in range(majority)]
        grudge[window[majority // 2]] = frozenset(cycle) - frozenset(window)
    return {node: sources for node, sources in grudge.items() if sources}


def _stochastic_ring(nodes: Sequence[Node], random: Random) -> Grudge:
    majority = len(nodes) // 2 + 1
    heard: dict[Node, set[Node]] = {node: {node} for node in nodes}
    while (poorest := min(heard, key=lambda node: len(heard[node]))) and len(heard[poorest]) < majority:
        candidates = [node for node in nodes if node not in heard[poorest]]
        fewest = min(len(heard[node]) for node in candidates)
        friend = random.choice([node for node in candidates if len(heard[node]) == fewest])
        heard[poorest].add(friend)
        heard[friend].add(poorest)
    everyone = frozenset(nodes)
    return {node: everyone - friends for node, friends in heard.items() if everyone - friends}


def one_way(components: Components) -> Grudge:
    """The first component is not heard by the others, but hears them."""
    mute, others = components[0], [node for component in components[1:] for node in component]
    return {node: frozenset(mute) for node in others if mute}


def _one(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return complete_grudge(split_one(nodes, random.choice(nodes)))


def _halves(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return complete_grudge(bisect(random.sample(nodes, len(nodes))))


def _minority_third(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    shuffled = random.sample(nodes, len(nodes))
    third = max(1, (len(nodes) - 1) // 3)
    return complete_grudge((shuffled[:third], shuffled[third:]))


def _bridge(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return bridge(random.sample(nodes, len(nodes)))


def _ring(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return majorities_ring(nodes, random)


def _leader(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    alone = list(leaders) or [random.choice(nodes)]
    return complete_grudge([*([node] for node in alone), [node for node in nodes if node not in alone]])


def _one_way(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return one_way(split_one(nodes, random.choice(nodes)))


def _around_leader(nodes: Sequence[Node], leaders: Sequence[Node], random: Random, size: int) -> Grudge:
    """The leaders with as many others as make `size` together, against the rest."""
    others = [node for node in nodes if node not in leaders]
    ranked = [*leaders, *random.sample(others, len(others))]
    return complete_grudge((ranked[:size], ranked[size:]))


def _minority(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return _around_leader(nodes, leaders, random, max(1, (len(nodes) - 1) // 2))


def _majority(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    return _around_leader(nodes, leaders, random, len(nodes) // 2 + 1)


def _one_link(nodes: Sequence[Node], leaders: Sequence[Node], random: Random) -> Grudge:
    """Two nodes do not hear each other; everybody else hears both."""
    if len(nodes) < 2:
        return {}
    left, right = random.sample(nodes, 2)
    return {left: frozenset({right}), right: frozenset({left})}


def describe(grudge: Grudge) -> str:
    """The grudge in words, each link once: `n1 from n2, n3`, where neither hears the other; else `n2 deaf to n1`."""
    mutual = {node: {peer for peer in sources if node in grudge.get(peer, ())} for node, sources in grudge.items()}
    deaf = {node: set(sources) - mutual[node] for node, sources in grudge.items()}
    words: list[str] = []
    while any(mutual.values()):
        peers = set(max(sorted(mutual.items()), key=lambda item: len(item[1]))[1])
        alike = sorted(node for node in mutual if mutual[node] == peers)
        words.append(f"{', '.join(alike)} from {', '.join(sorted(peers))}")
        for node in alike:
            mutual[node] = set()
        for peer in peers:
            mutual[peer] -= set(alike)
    for unheard in sorted({tuple(sorted(sources)) for sources in deaf.values() if sources}):
        alike = sorted(node for node in deaf if deaf[node] == set(unheard))
        words.append(f"{', '.join(alike)} deaf to {', '.join(unheard)}")
    return "; ".join(words)


SHAPES: Mapping[str, Callable[[Sequence[Node], Sequence[Node], Random], Grudge]] = {
    "one": _one,
    "bisect": _halves,
    "minority-third": _minority_third,
    "bridge": _bridge,
    "majorities-ring": _ring,
    "leader": _leader,
    "one-way": _one_way,
    "one-link": _one_link,
    "leader-in-minority": _minority,
    "leader-in-majority": _majority,
}
"""A grudge for (nodes, who leads now, randomness), by the name that users and histories call it."""
