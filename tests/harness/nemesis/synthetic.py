"""What a cluster might look like, made up: views and courses for whatever is pure in the nemesis.

Lives here: making such values, and drawing them. Must not live here: a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from hypothesis import strategies as st

from harness.adapters.base import Status
from harness.environments.base import Sight
from harness.nemesis import FAULTS
from harness.nemesis.fault import Aim, Asked, Course, Fault, Observation, Resolved, View
from harness.nemesis.schedule import draw

MS = 1_000_000
FIVE = ("n1", "n2", "n3", "n4", "n5")


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


def status(leader: str | None, node: str, term: int = 1, last: int = 0, clock_ns: int = 0, time_ns: int = 0) -> Status:
    """What a node says whose clock is read within a millisecond."""
    return Status(leader == node, term, leader, last, clock_ns, time_ns, error_ns=MS)


def calm(nodes: tuple[str, ...] = FIVE, leader: str | None = "n1", **fields: object) -> Observation:
    """Every node lives and follows the leader; whatever is in `fields` is so of every node."""
    sights = {node: Sight(pid=100 + index, **fields) for index, node in enumerate(nodes)}  # type: ignore[arg-type]
    return Observation(0, sights, {node: status(leader, node) for node in nodes})


def with_sights(seen: Observation, sights: Mapping[str, Sight]) -> Observation:
    """The same, but for what is seen of these nodes."""
    return Observation(seen.time_ns, {**seen.sights, **sights}, seen.statuses, seen.heard)


def drawn(fault: Fault, seed: int, **given: object) -> Asked:
    """What a window of the fault asks for."""
    return draw(Aim(fault, given, kinds=tuple(fault.choices.get("kind", ()))), Random(seed))


def resolved(fault: Fault, seed: int = 1, view: View | None = None, **given: object) -> Resolved:
    """What a window of the fault becomes, on five calm nodes if no view is given."""
    return fault.resolve(drawn(fault, seed, **given), view or View(FIVE, calm()), Random(seed))


def course(before: Observation, now: Observation, facts: object = None) -> Course:
    return Course(before, now, since=before, facts=facts)


seeds = st.integers(0, 1 << 32)
faults = st.sampled_from(list(FAULTS.values()))


def seen_by_chance(random: Random, nodes: tuple[str, ...] = FIVE) -> Observation:
    """Nodes in any state, of which some answer: each says who leads, and they need not agree."""

    def counts(*names: str) -> dict[str, int]:
        return {name: random.randrange(100) for name in names if random.random() < 0.5}

    sights = {
        node: Sight(
            pid=random.choice([None, *range(1, 9)]),
            paused=random.random() < 0.3,
            stopped_share=random.choice([0.0, 0.1, 0.8]),
            memory_megabytes=random.choice([0, 1, 500]),
            caught=counts("partition", "clients", "packets"),
            packets=counts("delayed", "dropped", "duplicated", "reordered"),
            disk=counts("delayed", "failed", "refused", "held"),
        )
        for node in nodes
    }
    statuses = {}
    for node in nodes:
        if sights[node].pid is not None and random.random() < 0.7:
            leader = random.choice([None, *nodes])
            times = random.randrange(10**10), random.randrange(10**10), random.randrange(10**7)
            statuses[node] = Status(leader == node, random.randrange(4), leader, random.randrange(10), *times)
    pairs = [(source, destination) for source in nodes for destination in nodes]
    heard = frozenset(pair for pair in pairs if random.random() < 0.2)
    return Observation(random.randrange(10**10), sights, statuses, heard)


def view_by_chance(random: Random) -> View:
    """A cluster of one to seven nodes, in any state."""
    nodes = names(random.randint(1, 7))
    held = frozenset(node for node in nodes if random.random() < 0.2)
    return View(nodes, seen_by_chance(random, nodes), random.choice([None, *nodes]), held)


# Drawn from a seed: hundreds of small values one by one would take hypothesis most of a test's time.
observations = seeds.map(lambda seed: seen_by_chance(Random(seed)))
views = seeds.map(lambda seed: view_by_chance(Random(seed)))
