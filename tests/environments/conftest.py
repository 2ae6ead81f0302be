"""A stand-in for a system under test, so that environments are tested without one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.adapters.base import Place
from harness.environments.base import Node

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
