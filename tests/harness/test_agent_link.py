"""The line to an agent: answers meet their questions, deadlines hold, and what is lost is asked again."""

from __future__ import annotations

import asyncio
import json
from queue import SimpleQueue

import pytest

from harness.environments import agent_link
from harness.environments.agent_link import AgentLink
from harness.errors import EnvironmentFailure
from waiting import async_eventually

DEADLINE_S = 10.0


class FakeChannel:
    """A channel to an agent that the test plays: it reads questions, and says what it likes, when it likes."""

    def __init__(self, answer=None):
        self.questions: list[dict] = []
        self.closed = False
        self._answer = answer
        self._said: SimpleQueue[bytes | OSError] = SimpleQueue()

    def send(self, data):
        if self.closed:
            raise BrokenPipeError("closed")
        for line in data.splitlines():
            question = json.loads(line)
            self.questions.append(question)
            if self._answer is not None and (reply := self._answer(question)) is not None:
                self.say(reply)

    def say(self, reply):
        """Let the agent say that: a reply, raw bytes, or an error of the channel; b"" is its end."""
        self._said.put(reply if isinstance(reply, bytes | OSError) else json.dumps(reply).encode() + b"\n")

    def receive(self):
        said = self._said.get()
        if isinstance(said, OSError):
            raise said
        return said

    def close(self):
        self.closed = True
        self._said.put(b"")


def echo(question):
    return {"id": question["id"], "ok": question.get("word")}


def silent(question):
    return None


def dying(error=b""):
    """An agent that is gone as soon as it is asked anything."""
    return lambda question: error


class Agents:
    """What connects a link to one agent after the other; an agent that is an exception cannot be reached."""

    def __init__(self, *agents):
        self.agents = list(agents)
        self.channels: list[FakeChannel] = []

    async def connect(self):
        agent = self.agents.pop(0) if len(self.agents) > 1 else self.agents[0]
        if isinstance(agent, Exception):
            raise agent
        self.channels.append(FakeChannel(agent))
        return self.channels[-1]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(agent_link, "_FIRST_PAUSE_S", 0.001)


def talk(agents, test, attempts=5):
    async def main():
        link = AgentLink("n1", agents.connect, attempts)
        try:
            return await asyncio.wait_for(test(link), 30)
        finally:
            link.close()

    return asyncio.run(main())


def test_a_question_is_a_line_with_a_number_and_gets_its_answer():
    agents = Agents(echo)
    assert talk(agents, lambda link: link.ask("say", {"word": "hello"})) == "hello"
    assert agents.channels[0].questions == [{"word": "hello", "id": 1, "verb": "say"}]
    assert agents.channels[0].closed


def test_answers_in_any_order_and_in_pieces_meet_their_questions():
    agents = Agents(silent)

    async def test(link):
        asking = [asyncio.create_task(link.ask("say", {"word": word})) for word in "abc"]
        await async_eventually(
            "all three are asked", lambda: agents.channels and len(agents.channels[0].questions) == 3, DEADLINE_S
        )
        (channel,) = agents.channels
        text = b"".join(json.dumps(echo(question)).encode() + b"\n" for question in reversed(channel.questions))
        for at in range(0, len(text), 7):
            channel.say(text[at : at + 7])
        return await asyncio.gather(*asking)

    assert talk(agents, test) == ["a", "b", "c"]


def test_what_an_agent_refuses_is_a_failure_and_is_not_asked_again():
    agents = Agents(lambda question: {"id": question["id"], "error": "iptables: no"})
    with pytest.raises(EnvironmentFailure, match=r"^n1: drop: iptables: no$"):
        talk(agents, lambda link: link.ask("drop", {}))
    assert len(agents.channels) == 1
    assert len(agents.channels[0].questions) == 1


def test_no_answer_in_time_is_a_failure_and_the_next_question_gets_a_new_agent():
    agents = Agents(silent, echo)

    async def test(link):
        with pytest.raises(EnvironmentFailure, match=r"^n1: kill: no answer within 0 s$"):
            await link.ask("kill", {}, deadline_s=0.05)
        return await link.ask("say", {"word": "again"})

    assert talk(agents, test) == "again"
    assert [channel.closed for channel in agents.channels] == [True, True]


def test_an_answer_that_comes_too_late_answers_nothing_else():
    agents = Agents(silent, silent)

    async def test(link):
        with pytest.raises(EnvironmentFailure):
            await link.ask("say", {"word": "first"}, deadline_s=0.05)
        asking = asyncio.create_task(link.ask("say", {"word": "second"}))
        await async_eventually(
            "the new agent is asked", lambda: len(agents.channels) == 2 and agents.channels[1].questions, DEADLINE_S
        )
        agents.channels[0].say({"id": 1, "ok": "late"})
        agents.channels[1].say({"id": 99, "ok": "nobody asked"})
        agents.channels[1].say({"id": 1, "ok": "second"})
        return await asking

    assert talk(agents, test) == "second"


@pytest.mark.parametrize("end", [b"", OSError("reset"), b"Traceback: not a reply\n"], ids=["end", "error", "noise"])
def test_a_question_whose_channel_was_lost_is_asked_again(end):
    agents = Agents(dying(end), dying(end), echo)
    assert talk(agents, lambda link: link.ask("say", {"word": "hello"})) == "hello"
    assert len(agents.channels) == 3
    assert all(len(channel.questions) == 1 for channel in agents.channels)


def test_a_channel_that_was_lost_meanwhile_is_made_anew():
    agents = Agents(echo)

    async def test(link):
        await link.ask("say", {"word": "one"})
        agents.channels[0].say(b"")
        await async_eventually("the loss is noticed", lambda: link._wire.lost, DEADLINE_S)
        return await link.ask("say", {"word": "two"})

    assert talk(agents, test) == "two"
    assert len(agents.channels) == 2


def test_every_question_that_was_open_on_a_lost_channel_is_asked_again():
    agents = Agents(silent, echo)

    async def test(link):
        asking = [asyncio.create_task(link.ask("say", {"word": word})) for word in "abc"]
        await async_eventually(
            "all three are asked", lambda: agents.channels and len(agents.channels[0].questions) == 3, DEADLINE_S
        )
        agents.channels[0].say(b"")
        return await asyncio.gather(*asking)

    assert talk(agents, test) == ["a", "b", "c"]


@pytest.mark.parametrize("refusal", [ConnectionRefusedError("refused"), EnvironmentFailure("refused")])
def test_an_agent_that_cannot_be_reached_is_a_failure_after_all_attempts_and_is_left_in_peace(refusal):
    agents, tried = Agents(refusal), []

    async def connect():
        tried.append(1)
        return await agents.connect()

    async def test():
        link = AgentLink("n1", connect, attempts=3)
        for _ in range(2):
            with pytest.raises(EnvironmentFailure, match=r"^n1: its agent cannot be reached: refused$"):
                await link.ask("say", {})
        assert len(tried) == 3, "the second question does not wait for attempts of its own"

    asyncio.run(test())


def test_an_agent_that_could_not_be_reached_is_tried_again_after_a_respite(monkeypatch):
    monkeypatch.setattr(agent_link, "_RESPITE_S", 0.0)
    agents = Agents(ConnectionRefusedError("refused"), echo)

    async def test(link):
        with pytest.raises(EnvironmentFailure):
            await link.ask("say", {})
        return await link.ask("say", {"word": "there"})

    assert talk(agents, test, attempts=1) == "there"


def test_whoever_gives_up_a_channel_does_not_take_the_next_one_with_it():
    """Two questions wait on one channel; one runs out of time, and a third gets a new channel before the second
    notices that its own is gone."""
    agents = Agents(silent, silent, echo)

    async def test(link):
        slow = asyncio.create_task(link.ask("say", {"word": "slow"}, deadline_s=20))
        hasty = asyncio.create_task(link.ask("say", {"word": "hasty"}, deadline_s=0.05))
        await async_eventually(
            "both are asked", lambda: agents.channels and len(agents.channels[0].questions) == 2, DEADLINE_S
        )

        async def third():
            with pytest.raises(EnvironmentFailure):
                await hasty
            return await link.ask("say", {"word": "third"}, deadline_s=20)

        asking = asyncio.create_task(third())
        await async_eventually(
            "the new agent is asked", lambda: len(agents.channels) == 2 and agents.channels[1].questions, DEADLINE_S
        )
        await async_eventually(
            "the other is asked, or a third agent is begun",
            lambda: len(agents.channels[1].questions) == 2 or len(agents.channels) > 2,
            DEADLINE_S,
        )
        assert not agents.channels[1].closed
        for question in agents.channels[1].questions:
            agents.channels[1].say(echo(question))
        return await asyncio.gather(slow, asking)

    assert talk(agents, test) == ["slow", "third"]
