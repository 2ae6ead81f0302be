"""Throughput and latency of three nodes on loopback, syncing to disk, under 1, 64 and 256 clients; JSON on stdout.

    python benchmarks/raft.py [--seconds 5] [--clients 1,64,256] [--data DIR]

Nodes and load share the machine. Each client has a connection to the leader of its own and one operation outstanding.
"""

import argparse
import asyncio
import importlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from raft_impl import codec
from raft_impl.client import Client
from raft_impl.types import Request

Addresses = dict[str, tuple[str, int]]


def free_addresses(count: int) -> Addresses:
    """Return addresses that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = {f"n{number}": ("127.0.0.1", one.getsockname()[1]) for number, one in enumerate(sockets, 1)}
    for one in sockets:
        one.close()
    return addresses


@contextmanager
def cluster(data: Path) -> Iterator[Addresses]:
    """Three node processes, stopped at the end."""
    addresses = free_addresses(3)
    processes = [subprocess.Popen(_command(name, addresses, data)) for name in addresses]
    try:
        yield addresses
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=10)


def _command(name: str, addresses: Addresses, data: Path) -> list[str]:
    command = [sys.executable, "-m", "raft_impl", "--id", name, "--listen", "{}:{}".format(*addresses[name])]
    for peer, (host, port) in addresses.items():
        if peer != name:
            command += ["--peer", f"{peer}={host}:{port}"]
    return [*command, "--data", str(data / name), "--log", str(data / f"{name}.log")]


class LoadClient(asyncio.Protocol):
    """One client: sends the next request when the reply has come, until the deadline."""

    def __init__(self, request: Callable[[int], Request], deadline: float) -> None:
        self._request = request
        self._deadline = deadline
        self._reader = codec.FrameReader()
        self._count = 0
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        for body in self._reader.feed(data):
            now = time.perf_counter()
            self.latencies.append(now - self._sent_at)
            self.errors += b"\xa2ok\xc3" not in body
            if now > self._deadline:
                self._transport.close()
                return
            self._next()

    def _next(self) -> None:
        self._count += 1
        self._sent_at = time.perf_counter()
        self._transport.write(codec.frame(self._request(self._count)))


async def measure(address: tuple[str, int], clients: int, seconds: float, op: str) -> dict[str, object]:
    """Return rate and latencies of one load."""
    loop = asyncio.get_running_loop()
    start = time.perf_counter()

    def client(number: int) -> LoadClient:
        key = f"k{number % 16}"
        return LoadClient(lambda count: Request(count, op, key, "v" * 16 if op == "write" else None), start + seconds)

    loads = [(await loop.create_connection(lambda n=n: client(n), *address))[1] for n in range(clients)]  # type: ignore[misc]
    await asyncio.gather(*(load.done for load in loads))
    elapsed = time.perf_counter() - start
    latencies = sorted(latency for load in loads for latency in load.latencies)
    return {
        "op": op,
        "clients": clients,
        "operations_per_s": round(len(latencies) / elapsed),
        "p50_ms": round(1000 * statistics.median(latencies), 2),
        "p99_ms": round(1000 * latencies[int(0.99 * (len(latencies) - 1))], 2),
        "errors": sum(load.errors for load in loads),
    }


async def run(addresses: Addresses, counts: list[int], seconds: float) -> list[dict[str, object]]:
    """Return the measurements of all loads against one cluster."""
    async with Client(addresses, timeout_s=20) as client:
        await client.write("ready", True)
        leader = (await client.status(next(iter(addresses)))).leader
    assert leader is not None
    return [await measure(addresses[leader], count, seconds, op) for op in ("write", "read") for count in counts]


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", default="1,64,256")
    parser.add_argument("--data", type=Path, default=None, help="where the logs go; default: a temporary directory")
    options = parser.parse_args()
    counts = [int(count) for count in options.clients.split(",")]
    with (
        tempfile.TemporaryDirectory(dir=options.data) as data,
        cluster(Path(data)) as addresses,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        results = runner.run(run(addresses, counts, options.seconds))
    json.dump({"nodes": 3, "cores": os.cpu_count(), "results": results}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
