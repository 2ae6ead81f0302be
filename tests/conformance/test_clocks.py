"""Clocks that are set wrong, as the nodes themselves read them: the same on every environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ground import EVERYWHERE, NODES
from harness.environments.base import Node
from harness.environments.faults import ClockSetting
from stage import Stage

Play = Callable[[Callable[[Stage], Awaitable[None]]], None]

_TOLERANCE_S = 0.25


async def reading(stage: Stage, node: Node) -> tuple[float, float]:
    """The true time and the node's, in seconds, at about the same moment."""
    status = await stage.status(node)
    return stage.environment.now_ns() / 1e9, status["clock_ns"] / 1e9


async def error_s(stage: Stage, node: Node) -> float:
    """By how much the node's clock is ahead of the environment's, which began at another time."""
    true_s, node_s = await reading(stage, node)
    return node_s - true_s


async def rate(stage: Stage, node: Node) -> float:
    """How fast the node's clock runs, measured over a second."""
    true_s, node_s = await reading(stage, node)
    await stage.environment.sleep(1.0)
    later_true_s, later_node_s = await reading(stage, node)
    return (later_node_s - node_s) / (later_true_s - true_s)


async def shifted(stage: Stage, node: Node, right_s: float, offset_s: float) -> None:
    """Wait until the node's clock is off by so much."""

    async def off() -> bool:
        return abs(await error_s(stage, node) - right_s - offset_s) < _TOLERANCE_S

    await stage.eventually(f"the clock of {node} is off by {offset_s} s", off)


async def running_at(stage: Stage, node: Node, wanted: float) -> None:
    async def runs() -> bool:
        return abs(await rate(stage, node) - wanted) < 0.1 * wanted

    await stage.eventually(f"the clock of {node} runs at {wanted} times the true rate", runs)


FAKETIME = [
    pytest.param("libfaketime", marks=pytest.mark.docker),
    pytest.param("local-libfaketime", marks=pytest.mark.local),
]


@pytest.mark.parametrize("ground", [*EVERYWHERE, *FAKETIME], indirect=True)
def test_an_offset_moves_one_clock_whatever_the_node_is_doing(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        right_s = {node: await error_s(stage, node) for node in NODES}
        running, standing, dead = NODES
        await environment.pause(standing)
        await environment.kill(dead)
        await environment.set_clock(running, ClockSetting(offset_ms=20_000))
        await environment.set_clock(standing, ClockSetting(offset_ms=-3_000))
        await environment.set_clock(dead, ClockSetting(offset_ms=5_000))
        await environment.resume(standing)
        await environment.start(dead)
        await shifted(stage, running, right_s[running], 20)
        await shifted(stage, standing, right_s[standing], -3)
        await shifted(stage, dead, right_s[dead], 5)
        await environment.kill(running)  # a dead process does not set the machine's clock right
        await environment.start(running)
        await shifted(stage, running, right_s[running], 20)
        for node in NODES:
            await environment.set_clock(node, ClockSetting())
            await shifted(stage, node, right_s[node], 0)
        await stage.leader()

    play(scenario)


def test_a_clock_runs_at_the_rate_it_is_given(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        right_s = await error_s(stage, "n1")
        for wanted in (3.0, 0.25):
            await stage.environment.set_clock("n1", ClockSetting(rate=wanted))
            await running_at(stage, "n1", wanted)
        await stage.environment.set_clock("n1", ClockSetting())
        await running_at(stage, "n1", 1.0)
        await shifted(stage, "n1", right_s, 0)

    play(scenario)
