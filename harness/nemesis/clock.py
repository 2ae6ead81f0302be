"""Clocks: nodes' clocks are off, jump, run at the wrong rate or flip to and fro, and are set right again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

import msgspec

from harness.environments.base import Capability, Environment, Node
from harness.environments.faults import ClockSetting
from harness.nemesis.fault import (
    Asked,
    Course,
    Evidence,
    Fault,
    Observation,
    Resolved,
    View,
    at_each,
    by_node,
    nodes_of,
)
from harness.nemesis.parameters import factor, time_ms
from harness.nemesis.targets import WEIGHTS, choose

_MS_NS = 1_000_000
_TOLERANCE_NS = 5 * _MS_NS
"""What a clock that was set right may still seem to be off: it is set between two readings."""

_FARTHEST_MS = 1e12
"""Thirty years either way: what a 64-bit count of nanoseconds holds, and a node's timers bear."""

_CERTAINTY = 3
"""By how many times the error of its reading a clock must be off before that is believed."""


class Clock(Fault):
    name = "clock"
    about = "the node's clock is off, jumps, runs fast or slow, or flips to and fro"
    requires = "the service's node clock, or libfaketime"
    proof = "the node's clock, read before, during and after, against the harness' own"
    capability = Capability.CLOCK
    asks_nodes = True
    needs = {"rate": Capability.CLOCK_RATE, "strobe": Capability.CLOCK_RATE}
    choices = {"kind": {"offset": 2, "step": 2, "rate": 4, "strobe": 1}, "target": WEIGHTS}
    parameters = {
        "offset": time_ms("2s", least=-_FARTHEST_MS, most=_FARTHEST_MS),
        "step": time_ms("10s", least=-_FARTHEST_MS, most=_FARTHEST_MS),
        "rate": factor("1.5", 0.01, 100),
        "strobe": time_ms("200ms", least=1),
    }

    kind_of = {kind: kind for kind in parameters}

    def resolve(self, asked: Asked, view: View, random: Random) -> Resolved:
        # Only a clock that can be read can be seen to be wrong.
        nodes = choose(str(asked["target"]), view.answering, random)
        clocks = {node: msgspec.to_builtins(_wrong(asked, random)) for node in nodes}
        return {"nodes": nodes, "clocks": clocks}

    def told(self, resolved: Resolved) -> str:
        return "; ".join(f"{node} {_words(setting)}" for node, setting in _settings(resolved).items())

    async def apply(self, environment: Environment, resolved: Resolved) -> None:
        settings = _settings(resolved)
        await environment.on_all(list(settings), lambda node: environment.set_clock(node, settings[node]))

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await environment.on_all(nodes_of(resolved), lambda node: environment.set_clock(node, ClockSetting()))

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        wrong = {node: _departure(course.before, course.now, node) for node in nodes_of(resolved)}
        off_ms = {
            node: found[0] / _MS_NS for node, found in wrong.items() if found and abs(found[0]) > _CERTAINTY * found[1]
        }
        # A clock that does not answer any more, as when its node was killed meanwhile, says nothing against it.
        evidence = at_each({"off_ms": off_ms}, (node for node, found in wrong.items() if found))
        rates = _rates(resolved, course) if course.since is not None else {}
        return evidence and {**evidence, "rate": rates}

    def lost(self, resolved: Resolved, course: Course) -> str | None:
        """Only of clocks that were set off once: those that flip are right every other time."""
        right = [
            node
            for node, setting in _settings(resolved).items()
            if not setting.strobe_ms
            and (found := _departure(course.before, course.now, node))
            and abs(found[0]) + found[1] < abs(setting.offset_ms) * _MS_NS / 2
        ]
        return f"the clock of {', '.join(right)} is right again" if right else None

    def standing(self, resolved: Resolved, course: Course) -> str | None:
        """Only a clock that answers can be read; the others' are set right all the same."""
        off = {node: _departure(course.before, course.now, node) for node in nodes_of(resolved)}
        wrong = [node for node, found in off.items() if found and abs(found[0]) > _CERTAINTY * found[1] + _TOLERANCE_NS]
        return f"the clock of {', '.join(wrong)} is still wrong" if wrong else None


def _wrong(asked: Asked, random: Random) -> ClockSetting:
    """The clock of one node, with whatever was not given drawn."""
    kind = str(asked["kind"])
    given = asked.get(kind)
    value = None if given is None else float(str(given))
    if kind == "rate":
        return ClockSetting(rate=drift(random) if value is None else value)
    if kind == "strobe":
        usual_ms = Clock.parameters["strobe"].usual
        return ClockSetting(offset_ms=abs(bump_ms(random)), strobe_ms=usual_ms if value is None else value)
    drawn = bump_ms(random) if kind == "step" else skew_ms(random)
    return ClockSetting(offset_ms=drawn if value is None else value)


def skew_ms(random: Random) -> float:
    """An error as clocks have that nobody sets right: between a twentieth of a second and two seconds."""
    return round(random.choice((-1, 1)) * random.uniform(50, 2000), 3)


def bump_ms(random: Random) -> float:
    """A jump of Jepsen's size, in either direction: 1.5^(10+21U) milliseconds, so between 58 ms and 288 s.

    Jepsen begins at 11 ms, which cannot be told from the time that a question takes on a busy machine.
    """
    return round(random.choice((-1, 1)) * math.pow(1.5, 10 + 21 * random.random()), 3)


def drift(random: Random) -> float:
    """A rate between a fifth and five times the true one, at least a tenth off, evenly on a logarithmic scale."""
    return round(math.pow(5, random.choice((-1, 1)) * random.uniform(0.06, 1)), 3)


def _departure(before: Observation, now: Observation, node: Node) -> tuple[int, int] | None:
    """By how much the node's clock went further than the true one since before, and the error of that, in ns."""
    if node not in before.statuses or node not in now.statuses:
        return None
    then, later = before.statuses[node], now.statuses[node]
    departure_ns = (later.clock_ns - then.clock_ns) - (later.time_ns - then.time_ns)
    return departure_ns, max(1, then.error_ns + later.error_ns)


def _rates(resolved: Resolved, course: Course) -> dict[Node, object]:
    """The measured rates of those clocks that were to run fast or slow."""
    since = course.since or course.before
    wrong = [node for node, setting in _settings(resolved).items() if setting.rate != 1]
    return by_node((node, _rate(since, course.now, node)) for node in wrong)


def _rate(since: Observation, now: Observation, node: Node) -> float | None:
    """How fast the node's clock went between two looks at it; None if they are too close to tell."""
    departure = _departure(since, now, node)
    if departure is None:
        return None
    passed_ns = now.statuses[node].time_ns - since.statuses[node].time_ns
    return round(1 + departure[0] / passed_ns, 4) if passed_ns > _CERTAINTY * departure[1] else None


def _settings(resolved: Resolved) -> Mapping[Node, ClockSetting]:
    return msgspec.convert(resolved["clocks"], dict[str, ClockSetting])


def _words(setting: ClockSetting) -> str:
    if setting.rate != 1:
        return f"x{setting.rate:g}"
    flips = f" every {setting.strobe_ms:g} ms" if setting.strobe_ms else ""
    return f"{setting.offset_ms / 1000:+.3f} s{flips}"
