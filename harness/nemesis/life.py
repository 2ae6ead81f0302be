"""A fault's life, from what was asked for to the last trace of it.

    resolve the target -> write its undo to the ledger, synced -> apply -> gather evidence
    ... the window ...
    gather evidence -> undo -> confirm that it is undone -> strike it from the ledger

Lives here: that order, and nowhere else. Must not live here: what any fault does (one file each), when it comes
(`nemesis.schedule`), or where the ledger is kept (`harness.ledger`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from harness.cluster import Cluster
from harness.environments.base import Environment, Node, Pair
from harness.errors import EnvironmentFailure
from harness.nemesis.fault import (
    DRAW,
    Asked,
    Course,
    Evidence,
    Fault,
    NothingToHit,
    Observation,
    Resolved,
    View,
    believed,
    nodes_of,
)
from harness.nemesis.targets import LEADER

_ELECTION_S = 2.0
"""How long a fault waits for a leader, or for anything, to hit: a few elections. Other faults wait meanwhile."""

_LEADER_POLL_S = 0.1
"""How soon a leader, or anything to hit, is looked for again: a small part of an election."""

_SPREAD_S = 0.6
"""How long a fault that wants the leader waits at most once there is one: about an election timeout, so that it meets a
leader at any moment of its life."""

_BELIEF_S = 1.0
"""How long evidence is waited for when a fault begins. What shows later is seen at its end."""

_CONFIRMATION_S = 10.0
"""How long a fault may take to be gone after it was undone: a node has to start again meanwhile."""

_POLL_S = 0.02
"""How soon a fault is looked at again: most are seen, or gone, at the second look."""


class Ledger(Protocol):
    """Where the undo of every fault that is in force is written down."""

    def enter(self, fault: str, resolved: Resolved, told: str) -> int:
        """Write it down, durably, before the fault is applied; the number of the entry. Raises `EnvironmentFailure`."""

    def strike(self, number: int) -> None:
        """The fault is gone."""


@dataclass(frozen=True, slots=True)
class Window:
    """A fault that is in force, or may be."""

    fault: Fault
    resolved: Resolved
    entry: int
    course: Course
    evidence: Evidence | None = None


class Life:
    """The faults of one run. One window of each kind is open at a time."""

    def __init__(self, environment: Environment, cluster: Cluster, ledger: Ledger, random: Random) -> None:
        self._environment = environment
        self._cluster = cluster
        self._ledger = ledger
        self._random = random
        self._windows: dict[str, Window] = {}
        self._leader: Node | None = None
        self._former: Node | None = None

    # -- the beginning ---------------------------------------------------------------------------------------------

    async def begin(self, fault: Fault, asked: Asked, again: Resolved | None = None) -> Mapping[str, object]:
        """What became of it, as the history keeps it. Raises `EnvironmentFailure`; the window is open all the same.

        `again` is what it became in another run, and is to become now: then nothing is aimed at.
        """
        if fault.name in self._windows:  # it was ended, but not undone
            await self.end(fault)
        random = Random(f"draw/{asked[DRAW]}") if DRAW in asked else self._random
        try:
            view, resolved = await self._resolve(fault, asked, again, random)
        except NothingToHit as nothing:
            return {"skipped": str(nothing)}
        pairs = fault.pairs(resolved)
        before = replace(view.now, heard=await self._environment.heard(pairs)) if pairs else view.now
        entry = self._ledger.enter(fault.name, resolved, fault.told(resolved))
        self._windows[fault.name] = window = Window(fault, resolved, entry, Course(before, before))
        began_ns = self._environment.now_ns()
        facts = await fault.apply(self._environment, resolved)
        window = await self._believe(replace(window, course=Course(before, before, facts=facts)))
        self._windows[fault.name] = window
        return {
            "nodes": nodes_of(resolved),
            "told": fault.told(resolved),
            "resolved": resolved,
            "applied_ns": began_ns,
            "evidence": window.evidence,
            "believed_ms": (self._environment.now_ns() - began_ns) / 1e6 if believed(window.evidence) else None,
            **_state(before),
        }

    async def _resolve(
        self, fault: Fault, asked: Asked, again: Resolved | None, random: Random
    ) -> tuple[View, Resolved]:
        """What is to be hit, and the cluster as it was then. Raises `NothingToHit` if that is so for a while."""
        deadline_ns = self._after_ns(_ELECTION_S)
        now = await (self._aim(asked, random, deadline_ns) if again is None else self._observe())
        while True:
            view = View(self._environment.nodes, now, self._former, self._held(), self._cut())
            try:
                return view, fault.resolve(asked, view, random) if again is None else _possible(fault, again, view)
            except NothingToHit:
                if self._environment.now_ns() >= deadline_ns:
                    raise
            await self._environment.sleep(_LEADER_POLL_S)
            now = await self._observe()

    async def _aim(self, asked: Asked, random: Random, deadline_ns: int) -> Observation:
        """What the fault is aimed by. One that wants the leader waits until the deadline for an election to end.

        And then some more, by chance: a fault that came always as soon after an election as it can be made would meet
        a leader at one moment of its life only.
        """
        now = await self._observe()
        if LEADER not in (asked.get("target"), asked.get("shape")):
            return now
        while not now.leaders and self._environment.now_ns() < deadline_ns:
            await self._environment.sleep(_LEADER_POLL_S)
            now = await self._observe()
        if now.leaders:
            await self._environment.sleep(random.random() * _SPREAD_S)
            later = await self._observe()
            now = later if later.leaders else now
        return now

    def _held(self) -> frozenset[Node]:
        """The nodes that are in some fault's hands."""
        return _nodes_of(window for window in self._windows.values() if window.fault.holds_nodes)

    def _cut(self) -> frozenset[Pair]:
        """The directions of the network that some fault cuts."""
        return frozenset(pair for window in self._windows.values() for pair in window.fault.pairs(window.resolved))

    async def _believe(self, window: Window) -> Window:
        """The window with its evidence, as soon as there is some, and with what was seen first."""
        deadline_ns = self._after_ns(_BELIEF_S)
        while True:
            now = await self._look(window, _asked(window))
            course = replace(window.course, since=window.course.since or now, now=now)
            evidence = window.fault.seen(window.resolved, course)
            if believed(evidence) or self._environment.now_ns() >= deadline_ns:
                return replace(window, course=course, evidence=evidence)
            window = replace(window, course=course)
            await self._environment.sleep(_POLL_S)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def end(self, fault: Fault, *, only_if_seen: bool = False) -> Mapping[str, object]:
        """What was seen at last. Raises `EnvironmentFailure` if the fault is not gone; then it may be ended again.

        With `only_if_seen`, a fault that lacks evidence stays in force, so that it can still be felt.
        """
        window = self._windows.get(fault.name)
        if window is None:
            return {"skipped": "nothing to undo"}
        window, lost = await self._last_look(window)
        if only_if_seen and not believed(window.evidence):
            self._windows[fault.name] = window
            return {"goes_on": "not seen yet", "evidence": window.evidence}
        await fault.undo(self._environment, window.resolved)
        confirmed = await self._confirm(window)
        del self._windows[fault.name]
        self._ledger.strike(window.entry)
        evidence = window.evidence and {**window.evidence, **fault.after(window.resolved, confirmed)}
        return {"undone": True, "evidence": evidence, "lost": lost, **_state(window.course.now)}

    async def _last_look(self, window: Window) -> tuple[Window, str | None]:
        """The window with what can be seen before it is undone, and what of it is in force no more.

        If nothing can be seen, it is undone all the same.
        """
        try:
            # A node that is silenced is asked all the same: what is seen of that are questions that do not reach it.
            nodes = None if believed(window.evidence) else self._environment.nodes
            course = replace(window.course, now=await self._look(window, nodes))
        except EnvironmentFailure:
            return window, None
        last = window.fault.seen(window.resolved, course)
        evidence = last if believed(last) or not believed(window.evidence) else window.evidence
        lost = window.fault.lost(window.resolved, course) if believed(evidence) else None
        return replace(window, course=course, evidence=evidence), lost

    async def _confirm(self, window: Window) -> Course:
        """What was seen when it was gone. Raises `EnvironmentFailure` if it does not go."""
        deadline_ns = self._after_ns(_CONFIRMATION_S)
        while True:
            course = replace(window.course, now=await self._observe(_asked(window)))
            standing = window.fault.standing(window.resolved, course)
            if standing is None:
                return course
            if self._environment.now_ns() >= deadline_ns:
                raise EnvironmentFailure(f"not undone: {standing}")
            await self._environment.sleep(_POLL_S)

    def _after_ns(self, seconds: float) -> int:
        """The time so long from now."""
        return self._environment.now_ns() + int(seconds * 1e9)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def _look(self, window: Window, asked: Sequence[Node] | None = None) -> Observation:
        """What can be seen now. Probes are sent first, so that counters have counted them."""
        pairs = window.fault.pairs(window.resolved)
        heard = await self._environment.heard(pairs) if pairs else frozenset()
        return replace(await self._observe(asked), heard=heard)

    async def _observe(self, asked: Sequence[Node] | None = None) -> Observation:
        """What the cluster shows; and remember who led, for whoever wants to hit a former leader.

        If nobody is named, all are asked but those who cannot answer: they would only keep everybody waiting.
        """
        if asked is None:
            silent = _nodes_of(window for window in self._windows.values() if window.fault.silences_nodes)
            asked = [node for node in self._environment.nodes if node not in silent]
        now = await self._cluster.observe(asked)
        leading = [(status.term, node) for node, status in now.statuses.items() if status.leads]
        _, leader = max(leading, default=(0, None))
        if leader is not None and leader != self._leader:
            self._leader, self._former = leader, self._leader
        return now


def _possible(fault: Fault, again: Resolved, view: View) -> Resolved:
    """What a fault became in another run, if its nodes can be hit now. Raises `NothingToHit`."""
    down = [node for node in nodes_of(again) if node not in view.up] if fault.holds_nodes else []
    if down:
        raise NothingToHit(f"{', '.join(down)} is not up")
    return again


def _nodes_of(windows: Iterable[Window]) -> frozenset[Node]:
    """The nodes that any of the faults was aimed at."""
    return frozenset(node for window in windows for node in nodes_of(window.resolved))


def _asked(window: Window) -> Sequence[Node]:
    """The nodes whose own words the fault is seen in."""
    return nodes_of(window.resolved) if window.fault.asks_nodes else ()


def _state(now: Observation) -> Mapping[str, object]:
    """Who led, and in which term: from one to the other end of a window it is seen whether that has changed."""
    return {"leaders": now.leaders, "term": now.term}
