"""The stage, once for each environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ground import EVERYWHERE, GROUNDS, Ground
from stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]


@pytest.fixture(params=EVERYWHERE)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """One environment after the other."""
    return GROUNDS[request.param](tmp_path / "nodes")


@pytest.fixture
def play(ground: Ground) -> Callable[[Scenario], None]:
    """A function that plays a scenario on a new cluster, and sees that nothing is left of it."""

    def play_on_new_cluster(scenario: Scenario) -> None:
        environment = ground.make(ground.adapter)

        async def main() -> None:
            try:
                await environment.setup()
                await scenario(Stage(environment, ground.adapter, ground))
            finally:
                await environment.teardown()

        environment.run(main)
        assert ground.left() == []

    return play_on_new_cluster
