"""Nodes start, serve, stop, die and stand still: the same on every environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from ground import NODES, Ground
from harness.adapters.base import Place
from harness.adapters.raft_register import RaftRegister
from harness.environments.base import CallFailed, Capability, ConnectFailed, Node
from harness.errors import EnvironmentFailure, UsageError
from stage import STATUS, Fields, Stage, ask

Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


def test_a_cluster_forms_and_every_client_reads_what_any_client_wrote(play: Play, tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        leader = await stage.leader()
        for number, node in enumerate(NODES):
            status = await stage.call(node, STATUS)
            assert (status["node"], status["leader"]) == (node, leader)
            await stage.write(node, number)
            assert [await stage.read(reader) for reader in NODES] == [number] * len(NODES)
        await stage.environment.fetch(tmp_path / "fetched")
        for node in NODES:
            assert {file.name for file in (tmp_path / "fetched" / node).iterdir()} == set(stage.ground.logs)
            assert f'"node":"{node}"' in (tmp_path / "fetched" / node / "trace.jsonl").read_text()
        await stage.environment.fetch(stage.ground.directory)  # where the files may be already
        assert stage.ground.said == []

    play(scenario)


class Broken(RaftRegister):
    """A system under test whose second node cannot be started."""

    def command(self, python: str, node: Node, places: Mapping[Node, Place]) -> list[str]:
        if node == NODES[1]:
            raise EnvironmentFailure(f"{node} is broken")
        return super().command(python, node, places)


def test_teardown_is_safe_after_a_setup_that_failed_and_twice(ground: Ground) -> None:
    environment = ground.make(Broken(mutant="no such mutant"))

    async def main() -> None:
        with pytest.raises((EnvironmentFailure, UsageError)):
            await environment.setup()
        await environment.teardown()
        await environment.teardown()

    environment.run(main)
    assert ground.left() == []


def test_every_kind_of_fault_is_declared(ground: Ground) -> None:
    assert {"partition", "clock", "kill", "pause"} <= set(ground.make(RaftRegister()).capabilities) <= set(Capability)


def test_a_killed_node_is_gone_at_once_and_keeps_what_it_had_written(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment, leader = stage.environment, await stage.leader()
        await stage.write(leader, 7)
        connection = await environment.connect(leader, 1.0)
        boot = (await ask(connection, STATUS, 1.0))["boot"]
        await environment.start(leader)  # it runs, so nothing happens
        assert (await ask(connection, STATUS, 1.0))["boot"] == boot
        await environment.kill(leader)
        assert not await environment.running(leader)
        with pytest.raises(CallFailed):
            await ask(connection, STATUS, 1.0)
        with pytest.raises((ConnectFailed, CallFailed)):
            await stage.call(leader, STATUS)
        await environment.kill(leader)  # it is dead, so nothing happens
        for node in NODES:
            await environment.kill(node)
        for node in NODES:
            await environment.start(node)
        assert (await stage.status(leader))["boot"] == boot + 1
        assert await stage.read(leader) == 7

    play(scenario)


def test_a_node_that_was_stopped_in_order_comes_back(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment, leader = stage.environment, await stage.leader()
        await stage.write(leader, 7)
        for _ in range(2):  # the second time it is stopped already
            await environment.stop(leader)
            assert not await environment.running(leader)
        others = tuple(node for node in NODES if node != leader)
        await stage.leader_among(others, other_than=leader)
        await stage.write(others[0], 8)
        await environment.start(leader)
        assert await environment.running(leader)
        await stage.leader()
        assert await stage.read(leader) == 8

    play(scenario)


def test_a_paused_node_lives_but_answers_only_when_it_is_resumed(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        environment, node = stage.environment, await stage.leader()
        await environment.resume(node)  # it is not paused, so nothing happens
        connections = [await environment.connect(node, 1.0) for _ in range(2)]
        for _ in range(2):  # the second time it is paused already
            await environment.pause(node)
        assert await environment.running(node)
        with pytest.raises(CallFailed):
            await ask(connections[0], STATUS, 0.3)
        waiting: list[Fields] = []

        async def wait() -> None:
            waiting.append(await ask(connections[1], STATUS, 60.0))

        environment.spawn(wait())
        others = tuple(other for other in NODES if other != node)
        await stage.leader_among(others, other_than=node)
        assert waiting == []
        await environment.resume(node)

        async def answered() -> bool:
            return waiting != []

        await stage.eventually(f"{node} answers what was asked while it stood still", answered)
        await stage.leader()

    play(scenario)
