"""A stand-in for a system under test, so that environments are tested without one; and machines with ssh servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from harness.adapters.base import Place
from harness.environments import namespace
from harness.environments.base import CallFailed, ConnectFailed, Node
from harness.environments.realtime import RealTimeEnvironment
from sshd import Keys, Machine, container_machines, namespace_machines, no_namespaces

_ECHO = """
import asyncio, json, os, pathlib, signal, struct, sys, time

host, port, directory = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])

async def dial(target):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(target, port, local_addr=(host, 0)), 0.3)
    writer.close()

async def answer(request):
    if request.startswith(b"reach "):
        try:
            await dial(request.split()[1].decode())
        except (OSError, asyncio.TimeoutError):
            return b"no"
        return b"yes"
    if request == b"clock":
        return (directory / "clock.json").read_bytes()
    if request == b"time":
        return repr(time.time()).encode()
    if request == b"pid":
        return str(os.getpid()).encode()
    return request

async def serve(reader, writer):
    while header := await reader.read(4):
        (length,) = struct.unpack(">I", header)
        reply = await answer(await reader.readexactly(length))
        writer.write(struct.pack(">I", len(reply)) + reply)
        await writer.drain()

async def main():
    (directory / "trace.jsonl").open("a").write(json.dumps({"started": os.getpid()}) + "\\n")
    print("listening", flush=True)
    server = await asyncio.start_server(serve, host, port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    await server.serve_forever()

asyncio.run(main())
"""


class EchoAdapter:
    """A node that echoes frames; `reach ADDRESS` says whether it can open a connection to another node."""

    name = "echo"

    def command(self, python: str, node: Node, places: Mapping[Node, Place]) -> list[str]:
        place = places[node]
        return [python, "-c", _ECHO, place.address, str(place.port), place.directory]


@pytest.fixture(scope="session")
def echo() -> EchoAdapter:
    return EchoAdapter()


Ask = Callable[[RealTimeEnvironment, Node, str], Awaitable[str]]

_DEADLINE_S = 30.0


async def _ask(environment: RealTimeEnvironment, node: Node, question: str) -> str:
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            try:
                return await _ask_once(environment, node, question)
            except (ConnectFailed, CallFailed):  # a published port accepts connections before the node does
                await asyncio.sleep(0.01)


async def _ask_once(environment: RealTimeEnvironment, node: Node, question: str) -> str:
    connection = await environment.connect(node, 1.0)
    try:
        return (await connection.call(question.encode(), 5.0)).decode()
    finally:
        connection.close()


@pytest.fixture
def ask() -> Ask:
    """A function: what the node answers, once it listens."""
    return _ask


Answer = Callable[[RealTimeEnvironment, Node, str, str], Awaitable[None]]


async def _answers(environment: RealTimeEnvironment, node: Node, question: str, expected: str) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while await _ask(environment, node, question) != expected:
            await asyncio.sleep(0.01)


@pytest.fixture
def answers() -> Answer:
    """A function that waits until the node's answer is the expected one, and fails after a deadline."""
    return _answers


Session = Callable[[RealTimeEnvironment, Callable[[], Awaitable[None]]], None]


@pytest.fixture
def session() -> Session:
    """A function that runs a test's coroutine between the environment's `setup` and `teardown`."""

    def run(environment: RealTimeEnvironment, test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            try:
                await environment.setup()
                await test()
            finally:
                await environment.teardown()

        environment.run(main)

    return run


@pytest.fixture(
    scope="session",
    params=[pytest.param("namespaces", marks=pytest.mark.local), pytest.param("containers", marks=pytest.mark.docker)],
)
def machines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Node, Machine]]:
    """Two machines with ssh servers."""
    directory = tmp_path_factory.mktemp("machines")
    if request.param == "containers":
        with container_machines(("n1", "n2"), directory) as made:
            yield made
        return
    if (reason := no_namespaces()) is not None:
        pytest.skip(reason)
    if not namespace.inside():  # tests are called in the session inside, which makes the machines
        yield {node: Machine(node, "nowhere", Keys(directory), "admin") for node in ("n1", "n2")}
        return
    with namespace_machines(("n1", "n2"), directory) as made:
        yield made


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without keys, known hosts and configuration, and no agent."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home
