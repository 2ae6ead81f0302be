"""What a fault is: how it is aimed, applied, undone and seen. Each fault is one small file.

Lives here: the contract, and what crosses it. Must not live here: any fault, or the order of things in a fault's life
(`nemesis.life` alone owns that).

Only `apply` and `undo` touch the cluster. Aiming, and judging whether the fault can be seen and is gone again, are
pure: they are told everything that was looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import ClassVar, Final

from harness.adapters.base import Status
from harness.environments.base import Capability, Environment, Node, Pair, Sight
from harness.nemesis.parameters import Parameter

Asked = Mapping[str, object]
"""What a fault was asked for: a word for each of its choices, a number for each parameter that was given."""

DRAW: Final = "draw"
"""In what is asked for, a number that fixes what chance decides of this fault: then it becomes the same, on the same
cluster, whatever other faults there were before it."""

Resolved = Mapping[str, object]
"""What that became on the cluster as it was, as JSON: enough to do it again, and to undo it. It always has `nodes`."""

Evidence = Mapping[str, object]
"""What was seen of a fault, as JSON. Under `unseen`, if it is there, are nodes at which nothing was seen."""

_UNSEEN: Final = "unseen"


class NothingToHit(Exception):  # noqa: N818 - an outcome, not a malfunction
    """The cluster has nothing now that this fault could be done to; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What was looked at, at one moment: nodes from outside, what they say of themselves, and who hears whom."""

    time_ns: int
    sights: Mapping[Node, Sight]
    statuses: Mapping[Node, Status]
    heard: frozenset[Pair] = frozenset()

    @property
    def leaders(self) -> tuple[Node, ...]:
        """Those who say that they lead. After a cut there may be two: the old one does not know yet.

        If nobody says so, whoever the others follow, in the highest term: that node cannot be asked now.
        """
        leading = tuple(node for node, status in self.statuses.items() if status.leads)
        followed = {status.leader for status in self.statuses.values() if status.term == self.term}
        return leading or tuple(node for node in sorted(self.sights) if node in followed - self.statuses.keys())

    @property
    def term(self) -> int:
        """The highest term that anybody is in; 0 if nobody answers."""
        return max((status.term for status in self.statuses.values()), default=0)


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the cluster when a fault is aimed at it.

    `former` is the last leader that was seen before the present one. `held` are the nodes whose processes another fault
    has in its hands: a dead node cannot be paused. `cut` are the directions of the network that a fault cuts.
    """

    nodes: tuple[Node, ...]
    now: Observation
    former: Node | None = None
    held: frozenset[Node] = frozenset()
    cut: frozenset[Pair] = frozenset()

    @property
    def up(self) -> tuple[Node, ...]:
        """The nodes that live, are not paused, and are in no other fault's hands."""
        return tuple(node for node in self._at_work if node not in self.held)

    @property
    def _at_work(self) -> tuple[Node, ...]:
        """The nodes that live and are not paused."""
        sights = self.now.sights
        alive = [node for node in self.nodes if (sight := sights.get(node)) and sight.pid is not None]
        return tuple(node for node in alive if not sights[node].paused)

    @property
    def answering(self) -> View:
        """The same view without the nodes that do not answer."""
        return self._without(node for node in self.nodes if node not in self.now.statuses)

    @property
    def following(self) -> View:
        """The same view without the nodes that follow nobody who leads in their term: they have nothing to write."""
        statuses = self.now.statuses
        leading = {(node, status.term) for node, status in statuses.items() if status.leads}
        return self._without(
            node
            for node in self.nodes
            if (status := statuses.get(node)) is None or (status.leader, status.term) not in leading
        )

    @property
    def hearing(self) -> View:
        """The same view without the nodes that no peer's packets can reach."""
        at_work = self._at_work
        return self._without(
            node for node in self.nodes if all(peer == node or (peer, node) in self.cut for peer in at_work)
        )

    def _without(self, nodes: Iterable[Node]) -> View:
        return replace(self, held=self.held | frozenset(nodes))


@dataclass(frozen=True, slots=True)
class Course:
    """What was seen of a fault: just before it, when it had just been applied (None then), and now.

    `facts` is what `apply` returned.
    """

    before: Observation
    now: Observation
    since: Observation | None = None
    facts: object = None


class Fault(ABC):
    """One kind of fault (Jepsen's nemesis package). Stateless: all that a window of it needs is in its `Resolved`."""

    name: ClassVar[str]
    about: ClassVar[str]
    """What it does, in a few words for a table."""
    requires: ClassVar[str] = "nothing"
    """What the machine must have for it, in a few words."""
    proof: ClassVar[str]
    """By what it is believed, in a few words."""
    may_break: ClassVar[str] = "nothing outside the node"
    """What it may do to the machine that it runs on."""
    capability: ClassVar[Capability]
    """What an environment must be able to do for it."""
    needs: ClassVar[Mapping[str, Capability]] = {}
    """What it must be able to do instead for some of its kinds."""
    choices: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    """For each question that may be answered with a word, the words and how often each is drawn."""
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    """The numbers that may be given; what is not given is drawn, or left at its default."""
    kind_of: ClassVar[Mapping[str, str]] = {}
    """The kind that a number belongs to: to give the number is to ask for that kind."""
    asks_nodes: ClassVar[bool] = False
    """Whether it is seen in what nodes say of themselves, which takes longer than to look at them from outside."""
    holds_nodes: ClassVar[bool] = False
    """Whether the processes of its nodes are in its hands, so that no other such fault may hit them meanwhile."""
    silences_nodes: ClassVar[bool] = False
    """Whether its nodes cannot be asked anything as long as it is in force."""
    window: ClassVar[tuple[float, float]] = (0.5, 0.5)
    """For how many intervals it is in force, and for how many it is not, about."""

    @property
    def needed(self) -> Mapping[str, Capability]:
        """What an environment must be able to do for each of its kinds; without kinds, under an empty word."""
        return {kind: self.needs.get(kind, self.capability) for kind in self.choices.get("kind", ("",))}

    def objection(self, given: Asked) -> str | None:
        """Why these words and numbers make no sense together; None if they do."""
        kind = given.get("kind")
        strange = [name for name in given if self.kind_of.get(name, kind) != kind]
        return f"{strange[0]} is a number of {self.name}:{self.kind_of[strange[0]]}, not of {kind}" if strange else None

    @abstractmethod
    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        """What is to be done, on the cluster as it is. Pure. Raises `NothingToHit`."""

    @abstractmethod
    def told(self, resolved: Resolved) -> str:
        """What it became, in a few words: `n3 from n1, n2`."""

    @abstractmethod
    async def apply(self, environment: Environment, resolved: Resolved) -> object:
        """Do it; what the environment said of it. Raises `EnvironmentFailure`."""

    @abstractmethod
    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        """Undo it, also when it was done only in part, or not at all. Raises `EnvironmentFailure`."""

    @abstractmethod
    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        """What proves that it is in force; None if nothing does. Pure."""

    @abstractmethod
    def standing(self, resolved: Resolved, course: Course) -> str | None:
        """What is still to be seen of it after it was undone; None if nothing is. Pure."""

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        """What was in force and is not any more, though nobody has undone it; None if that cannot be told. Pure."""
        return None

    def after(self, resolved: Resolved, course: Course) -> Evidence:
        """What is seen once it is undone, that belongs to its evidence. Pure."""
        return {}

    def pairs(self, resolved: Resolved) -> frozenset[Pair]:
        """The directions of the network that it cuts, in which packets have to be sent to see it."""
        return frozenset()


def nodes_of(resolved: Resolved) -> tuple[Node, ...]:
    """The nodes that a fault was aimed at."""
    nodes = resolved["nodes"]
    assert isinstance(nodes, Sequence)
    return tuple(map(str, nodes))


def rise(course: Course, node: Node, count: Callable[[Sight], int]) -> int:
    """By how much a node's counter has risen since before the fault; 0 if it began anew meanwhile."""
    before, now = course.before.sights.get(node), course.now.sights.get(node)
    return max(0, count(now) - (count(before) if before else 0)) if now else 0


def by_node(values: Iterable[tuple[Node, object]]) -> dict[Node, object]:
    """Evidence node by node, without those of whom there is none."""
    return {node: value for node, value in values if value}


def at_each(found: Mapping[str, Mapping[Node, object]], nodes: Iterable[Node]) -> Evidence | None:
    """Evidence of all kinds that there must be, node by node, with the nodes of which some is lacking; None of none."""
    unseen = [node for node in nodes if not all(found_there.get(node) for found_there in found.values())]
    return with_unseen(found, unseen) if any(found.values()) else None


def with_unseen(found: Evidence, nodes: Sequence[Node]) -> Evidence:
    """The evidence, with the nodes of which some is lacking."""
    return {**found, _UNSEEN: nodes} if nodes else found


def unseen(evidence: object) -> tuple[Node, ...]:
    """The nodes of which evidence is lacking, where there is some of others."""
    nodes = evidence.get(_UNSEEN, ()) if isinstance(evidence, Mapping) else ()
    return tuple(map(str, nodes))


def believed(evidence: object) -> bool:
    """Whether it proves the fault, at each of its nodes."""
    return bool(evidence) and not unseen(evidence)


def caught(course: Course, resolved: Resolved, kind: str) -> dict[Node, object]:
    """How many packets of that kind of fault each of its nodes has caught; nodes that caught none are left out."""
    return by_node((node, rise(course, node, lambda sight: sight.caught.get(kind, 0))) for node in nodes_of(resolved))


def not_catching(now: Observation, resolved: Resolved, kind: str) -> str | None:
    """Which of its nodes have no filter of that kind any more; None if all have."""
    nodes = [node for node in nodes_of(resolved) if kind not in now.sights[node].caught]
    return f"packets to {', '.join(nodes)} are not caught any more" if nodes else None


def still_catching(now: Observation, kind: str) -> str | None:
    """Which nodes still have a filter of that kind; None if none has."""
    nodes = [node for node, sight in now.sights.items() if kind in sight.caught]
    return f"packets to {', '.join(nodes)} are still caught" if nodes else None


def still_dead(resolved: Resolved, course: Course) -> str | None:
    """Which of its nodes do not run now; None if all do."""
    dead = [node for node in nodes_of(resolved) if course.now.sights[node].pid is None]
    return f"{', '.join(dead)} did not start again" if dead else None


@dataclass(frozen=True, slots=True)
class Aim:
    """One fault of a test: which, what is fixed of it, and how often."""

    fault: Fault
    given: Asked = field(default_factory=dict)
    interval_s: float = 10.0
    rarity: float = 1.0
    """How many times as long as usual it takes from one window to the next; windows are as long as ever."""
    kinds: tuple[str, ...] = ()
    """Those of its kinds that can be done here; none if it has no kinds."""
