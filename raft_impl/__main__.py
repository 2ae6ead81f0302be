"""`python -m raft_impl`: one node, started from the command line.

Exit status: 0 after an orderly stop, 1 when its storage is damaged or fails, 254 when it was asked for nonsense.
"""

import argparse
import asyncio
import errno
import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from raft_impl.diskfile import faulty_files
from raft_impl.host import DiskFailedError, Host, HostConfig
from raft_impl.jsonlog import JsonLog
from raft_impl.links import Address
from raft_impl.node import Node, NodeConfig
from raft_impl.parts import UnknownMutantError, parts_of
from raft_impl.storage.boot import next_boot
from raft_impl.storage.files import DirectoryFiles, Files
from raft_impl.storage.wal import CorruptLogError
from raft_impl.tracefile import TraceFile

EXIT_STORAGE = 1
EXIT_USAGE = 254


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"raft_impl: {message}\n")


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _peer(text: str) -> tuple[str, Address]:
    name, separator, address = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=HOST:PORT")
    return name, _address(address)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _mutant(text: str) -> str:
    try:
        parts_of(text)
    except UnknownMutantError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m raft_impl", description="One node of a Raft register service.")
    parser.add_argument("--id", required=True, help="this node's name")
    parser.add_argument(
        "--listen", required=True, type=_address, metavar="HOST:PORT", help="for peers and clients alike"
    )
    parser.add_argument("--peer", action="append", default=[], type=_peer, metavar="ID=HOST:PORT", help="another node")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="the write-ahead log; made if absent")
    parser.add_argument("--heartbeat-ms", type=_positive, default=50, metavar="N")
    parser.add_argument(
        "--election-ms", type=_positive, default=400, metavar="N", help="shortest; the longest is twice it"
    )
    parser.add_argument("--tick-ms", type=_positive, default=10, metavar="N", help="the unit in which both are counted")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="append one JSON line for each transition")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append the log to a file instead of stderr")
    parser.add_argument("--clock", type=Path, metavar="FILE", help="a file that sets this node's clock wrong")
    parser.add_argument(
        "--clock-base",
        choices=("monotonic", "realtime"),
        default="monotonic",
        help="what the node's clock counts; realtime is for tools that fake the wall clock",
    )
    parser.add_argument("--disk", type=Path, metavar="FILE", help="a file that makes this node's disk faulty")
    parser.add_argument("--mutant", type=_mutant, metavar="ID", help="run a known-bad variant")
    parser.add_argument("--seed", type=int, metavar="N", help="of the election timeouts; default: from the system")
    return parser


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    names = [name for name, _ in options.peer]
    if len(set(names)) < len(names):
        parser.error("--peer: each peer once")
    if options.id in names:
        parser.error(f"--peer {options.id}: that is this node itself")
    if options.election_ms < 2 * options.heartbeat_ms:
        parser.error("--election-ms must be at least twice --heartbeat-ms")
    if options.heartbeat_ms < options.tick_ms:
        parser.error("--heartbeat-ms must be at least --tick-ms")
    return options


def _node_config(options: argparse.Namespace) -> NodeConfig:
    return NodeConfig(
        node=options.id,
        voters=tuple(sorted([options.id, *(name for name, _ in options.peer)])),
        election_ticks=options.election_ms // options.tick_ms,
        heartbeat_ticks=options.heartbeat_ms // options.tick_ms,
        mutant=options.mutant,
    )


def _rng(options: argparse.Namespace) -> random.Random:
    return random.Random(os.urandom(16) if options.seed is None else f"{options.seed}/{options.id}")


def _open_files(path: Path, disk: Path | None) -> Files:
    try:
        files = DirectoryFiles(path)
        return files if disk is None else faulty_files(files, disk)
    except BlockingIOError:
        raise OSError(errno.EAGAIN, "another process uses it", str(path)) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


async def _serve(options: argparse.Namespace, node: Node, log: JsonLog, trace: TraceFile | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = HostConfig(options.listen, dict(options.peer), options.tick_ms, options.heartbeat_ms)
    now_ns = time.time_ns if options.clock_base == "realtime" else time.monotonic_ns
    await Host(config, node, log, now_ns, trace, options.clock).run(stop)


def _say(message: str) -> None:
    print(f"raft_impl: {message}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node; return the exit status."""
    options = _parse(arguments)
    try:
        log = JsonLog(options.log.open("a", encoding="utf-8") if options.log else sys.stderr, options.id)
        trace = TraceFile(options.trace) if options.trace else None
        files = _open_files(options.data, options.disk)
        boot = next_boot(options.data)
    except (OSError, ValueError) as error:
        _say(f"cannot use the files given: {error}")
        return EXIT_USAGE
    try:
        node = Node(_node_config(options), files, _rng(options), trace, boot)
    except CorruptLogError as error:
        _say(f"refusing to start: the log in {options.data} is damaged: {error}")
        return EXIT_STORAGE
    except OSError as error:
        _say(f"cannot open the log in {options.data}: {error}")
        return EXIT_STORAGE
    if node.wal.recovered.cut_bytes:
        log.event("torn_tail_cut", bytes=node.wal.recovered.cut_bytes)
    return _run(options, node, log, trace)


def _run(options: argparse.Namespace, node: Node, log: JsonLog, trace: TraceFile | None) -> int:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options, node, log, trace))
    except DiskFailedError as error:
        _say(f"stopped, since the disk failed: {error}")
        return EXIT_STORAGE
    except OSError as error:
        _say(f"cannot listen on {options.listen[0]}:{options.listen[1]}: {os.strerror(error.errno or 0)}")
        return EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
