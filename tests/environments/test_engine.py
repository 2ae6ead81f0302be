"""Asking a Docker Engine that is absent, or that hangs. No engine is needed."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from harness.environments import engine
from harness.environments.engine import Engine
from harness.errors import EnvironmentFailure


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine that accepts connections and never says a word."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield


def test_a_call_that_hangs_fails_at_its_deadline(hanging: None) -> None:
    with pytest.raises(EnvironmentFailure, match=r"^docker: list: "):
        asyncio.run(Engine().call("list", lambda client: client.containers.list(), deadline_s=0.5))


def test_work_that_never_ends_does_not_keep_the_caller() -> None:
    released = threading.Event()

    class Stuck(Engine):
        def _client(self, timeout_s: float) -> NoReturn:
            released.wait(30)
            raise OSError("released")

    with pytest.raises(EnvironmentFailure, match=r"^docker: work: no answer within 0 s$"):
        asyncio.run(Stuck().call("work", lambda client: None, deadline_s=0.05))
    released.set()


def test_what_was_begun_ends_before_a_cancelled_caller_goes_on() -> None:
    begun, ended = threading.Event(), threading.Event()

    class Slow(Engine):
        def _client(self, timeout_s: float) -> NoReturn:
            begun.set()
            time.sleep(0.2)
            ended.set()
            raise OSError("late")

    async def main() -> None:
        call = asyncio.ensure_future(Slow().call("work", lambda client: None, deadline_s=30))
        await asyncio.to_thread(begun.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert ended.is_set()

    asyncio.run(main())


def test_an_engine_that_hangs_is_unavailable_in_one_line(hanging: None) -> None:
    reason = engine.unavailable()
    assert reason is not None
    assert reason.startswith("no Docker Engine answers at unix:")
    assert "\n" not in reason


def test_no_engine_is_unavailable_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    reason = engine.unavailable()
    assert reason is not None
    assert "(No such file or directory): start one, or set DOCKER_HOST" in reason
    assert "\n" not in reason
