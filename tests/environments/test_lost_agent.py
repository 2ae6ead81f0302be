"""How long an agent is looked for whose machine is lost, so that a run is not held up by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from queue import SimpleQueue

import pytest

from harness.environments import agent_link
from harness.environments.agent_link import AgentLink, Channel
from harness.errors import EnvironmentFailure


class EchoAgent:
    """A channel to an agent that answers each question with its verb."""

    def __init__(self) -> None:
        self._answers: SimpleQueue[bytes] = SimpleQueue()

    def send(self, data: bytes) -> None:
        for line in data.splitlines():
            question = json.loads(line)
            self._answers.put(json.dumps({"id": question["id"], "ok": question["verb"]}).encode() + b"\n")

    def receive(self) -> bytes:
        return self._answers.get()

    def close(self) -> None:
        self._answers.put(b"")


class Machine:
    """Where agents are had, as long as it can be reached."""

    def __init__(self) -> None:
        self.reachable = True
        self.tries = 0
        self.channels: list[EchoAgent] = []

    async def connect(self) -> Channel:
        self.tries += 1
        if not self.reachable:
            raise EnvironmentFailure("no route")
        self.channels.append(EchoAgent())
        return self.channels[-1]

    def lose(self) -> None:
        """Its channels break, and it gives no new ones."""
        self.reachable = False
        for channel in self.channels:
            channel.close()


ATTEMPTS = 5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two attempts."""
    monkeypatch.setattr(agent_link, "_FIRST_PAUSE_S", 0.0)


def played(test: Callable[[Machine, AgentLink], Awaitable[None]]) -> None:
    """Run the test on a machine and the line to its agent."""

    async def main() -> None:
        machine = Machine()
        link = AgentLink("n1", machine.connect, ATTEMPTS)
        try:
            await test(machine, link)
        finally:
            link.close()

    asyncio.run(main())


async def refused(link: AgentLink) -> str:
    with pytest.raises(EnvironmentFailure) as raised:
        await link.ask("observe", {})
    return str(raised.value)


def test_a_lost_machine_gets_one_try_after_each_respite_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_link, "_RESPITE_S", 0.0)

    async def test(machine: Machine, link: AgentLink) -> None:
        machine.lose()
        for tries in (ATTEMPTS, ATTEMPTS + 1, ATTEMPTS + 2):
            await refused(link)
            assert machine.tries == tries
        machine.reachable = True
        assert await link.ask("observe", {}) == "observe"
        machine.lose()
        machine.tries = 0
        await refused(link)
        assert machine.tries > 1, "it was found again, so it is worth more than one attempt again"

    played(test)


def test_a_machine_at_which_each_try_takes_long_is_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_link, "_TRYING_S", 0.0)

    async def test(machine: Machine, link: AgentLink) -> None:
        machine.lose()
        await refused(link)
        assert machine.tries == 1

    played(test)
