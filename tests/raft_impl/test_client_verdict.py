"""The client never calls uncertain what is certain, nor the other way round."""

import asyncio

import pytest

from raft_impl.client import Client, OperationFailedError, OperationUnknownError
from raft_impl.codec import FrameReader, decode_incoming, frame
from raft_impl.types import Reply


class Script(asyncio.Protocol):
    """A server that plays one answer for each request: a Reply, "hang up" or "say nothing"."""

    def __init__(self, answers, seen):
        self._answers = answers
        self._seen = seen
        self._reader = FrameReader()

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        for body in self._reader.feed(data):
            request = decode_incoming(body)
            self._seen.append(request)
            answer = self._answers.pop(0)
            if answer == "hang up":
                self._transport.close()
            elif isinstance(answer, dict):
                self._transport.write(frame(Reply(request.id, **answer)))


def play(answers, use):
    """Return the requests that a client made of a scripted server."""
    seen = []

    async def run():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Script(answers, seen), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        async with Client({"n1": address}, timeout_s=0.4, attempt_s=0.2) as client:
            await use(client)
        server.close()

    asyncio.run(run())
    return seen


NOT_LEADER = {"ok": False, "error": "not_leader", "definite": True}
LOST = {"ok": False, "error": "leadership_lost", "definite": False}
MISMATCH = {"ok": False, "error": "mismatch", "definite": True, "value": 7, "version": 3}
SESSION = {"ok": True, "session": 5}


async def write(client):
    await client.write("x", 1)


async def numbered_cas(client):
    await client.open_session()
    await client.cas("x", 1, 2)


def test_a_refused_write_is_tried_again():
    assert len(play([NOT_LEADER, {"ok": True, "version": 1}], write)) == 2


@pytest.mark.parametrize("answer", [LOST, "hang up", "say nothing"])
def test_an_uncertain_write_without_a_session_is_not_tried_again(answer):
    with pytest.raises(OperationUnknownError):
        play([answer, {"ok": True, "version": 1}], write)


@pytest.mark.parametrize("answer", [LOST, "hang up", "say nothing"])
def test_an_uncertain_write_with_a_session_is_sent_again_under_its_number(answer):
    seen = play([SESSION, answer, {"ok": True, "version": 1}], numbered_cas)
    assert [(request.session, request.sequence) for request in seen[1:]] == [(5, 1), (5, 1)]


def test_a_mismatch_is_certain_even_after_an_uncertain_attempt():
    with pytest.raises(OperationFailedError) as failure:
        play([SESSION, LOST, MISMATCH], numbered_cas)
    assert (failure.value.code, failure.value.reply.value) == ("mismatch", 7)


def test_a_refusal_after_an_uncertain_attempt_is_uncertain():
    with pytest.raises(OperationUnknownError):
        play([SESSION, LOST, *[NOT_LEADER] * 50], numbered_cas)


def test_no_server_at_all_is_certain():
    async def use(_):
        async with Client({"n1": ("127.0.0.1", 1)}, timeout_s=0.2) as client:
            await client.write("x", 1)

    with pytest.raises(OperationFailedError, match="n1"):
        play([], use)
