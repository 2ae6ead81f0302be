"""Several calls at once: none is left behind when one fails."""

from __future__ import annotations

import asyncio

import pytest

from harness.environments.together import all_of
from harness.errors import EnvironmentFailure


def test_every_call_ends_before_a_failure_is_raised() -> None:
    ended: list[str] = []

    async def call(name: str, seconds: float, fails: bool) -> str:
        await asyncio.sleep(seconds)
        ended.append(name)
        if fails:
            raise EnvironmentFailure(name)
        return name

    async def main() -> None:
        assert await all_of([call("a", 0, False), call("b", 0, False)]) == ["a", "b"]
        with pytest.raises(EnvironmentFailure, match=r"^quick$"):
            await all_of([call("quick", 0, True), call("slow", 0.05, False)])

    asyncio.run(main())
    assert ended == ["a", "b", "quick", "slow"]
