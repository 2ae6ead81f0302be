"""The stage, once for each environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ground import GROUNDS, Ground
from harness.adapters.raft_register import RaftRegister
from stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]


@pytest.fixture(
    params=["sim", pytest.param("local", marks=pytest.mark.local), pytest.param("docker", marks=pytest.mark.docker)]
)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """One environment after the other."""
    return GROUNDS[request.param](tmp_path / "nodes")


@pytest.fixture
def play(ground: Ground) -> Callable[[Scenario], None]:
    """A function that plays a scenario on a new cluster, and sees that nothing is left of it."""

    def play_on_new_cluster(scenario: Scenario) -> None:
        adapter = RaftRegister()
        environment = ground.make(adapter)

        async def main() -> None:
            try:
                await environment.setup()
                await scenario(Stage(environment, adapter, ground))
            finally:
                await environment.teardown()

        environment.run(main)
        assert ground.left() == []

    return play_on_new_cluster
