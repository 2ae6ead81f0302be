"""Who hears whom, and what that does to a cluster: the same on every environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ground import NODES
from harness.environments.base import CallFailed, Grudge, Node
from stage import READ, Stage, isolated

Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


def others_than(node: Node) -> tuple[Node, ...]:
    return tuple(other for other in NODES if other != node)


async def refuses_to_read(stage: Stage, node: Node) -> bool:
    """Whether the node, asked on the spot, does not answer with a value."""
    try:
        return not (await stage.call(node, READ))["ok"]
    except CallFailed:  # it still waits for a quorum to confirm that it leads
        return True


def test_an_isolated_leader_is_replaced_and_serves_no_reads_until_it_is_back(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        old = await stage.leader()
        term = (await stage.status(old))["term"]
        await stage.write(old, 1)
        await stage.environment.cut(isolated(old))
        new = await stage.leader_among(others_than(old), other_than=old)
        assert (await stage.status(new))["term"] > term
        await stage.write(new, 2)
        assert await refuses_to_read(stage, old)

        async def stepped_down() -> bool:  # it is cut off from the others only: the harness still reaches it
            return (await stage.status(old))["role"] != "leader"

        await stage.eventually(f"{old} steps down", stepped_down)
        assert (await stage.status(old))["term"] < (await stage.status(new))["term"]
        await stage.environment.heal()
        await stage.leader()
        assert await stage.read(old) == 2

    play(scenario)


def test_a_leader_that_nobody_hears_is_replaced(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        mute = await stage.leader()
        await stage.environment.cut({node: frozenset({mute}) for node in others_than(mute)})
        await stage.leader_among(others_than(mute), other_than=mute)
        await stage.environment.heal()
        await stage.leader()

    play(scenario)


def test_packets_are_dropped_by_the_grudge_in_force_and_by_nothing_else(play: Play) -> None:
    one_way: Grudge = {"n2": frozenset({"n1"})}
    bridge: Grudge = {"n1": frozenset({"n3"}), "n3": frozenset({"n1"})}

    async def scenario(stage: Stage) -> None:
        environment = stage.environment
        await stage.hear_all_but({})
        await environment.cut(one_way)  # n1 does not reach n2, but n2 reaches n1
        await stage.hear_all_but(one_way)
        await environment.cut(bridge)  # instead of the first, not on top of it
        await stage.hear_all_but(bridge)
        for node in ("n1", "n2"):
            await environment.kill(node)
            await environment.start(node)
        await stage.hear_all_but(bridge)  # the death of a process does not mend a cable
        await environment.heal()
        await stage.hear_all_but({})

    play(scenario)
