"""Microseconds of CPU for a step of the core and of whole nodes, without disk and network; JSON on stdout.

python benchmarks/raft_core.py [--writes 20000] [--nodes 3]
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable

from raft_impl.core import CoreConfig, RaftCore
from raft_impl.log import Log
from raft_impl.node import Node, NodeConfig
from raft_impl.storage.memory import MemoryFiles
from raft_impl.trace import TraceRecord
from raft_impl.types import AppendEntries, Entry, HardState, Heartbeat, Request


def follower() -> RaftCore:
    """Return a core that has heard of a leader."""
    core = RaftCore(CoreConfig("n1", ("n1", "n2", "n3")), HardState(), Log(), random.Random(1))
    core.step("n2", Heartbeat(1, 0, 1))
    core.ready()
    return core


def step_heartbeat(count: int) -> float:
    """Return microseconds for a heartbeat taken in and its Ready."""
    core, message = follower(), Heartbeat(1, 0, 1)
    start = time.process_time()
    for _ in range(count):
        core.step("n2", message)
        core.ready()
    return 1e6 * (time.process_time() - start) / count


def step_append(count: int) -> float:
    """Return microseconds for a request of one entry taken in, its Ready, and its acknowledgement from storage."""
    core = follower()
    requests = [AppendEntries(1, i - 1, int(i > 1), (Entry(1, i, b"x" * 20),), i - 1) for i in range(1, count + 1)]
    start = time.process_time()
    for index, message in enumerate(requests, 1):
        core.step("n2", message)
        core.ready()
        core.persisted(1, index, 1)
    return 1e6 * (time.process_time() - start) / count


def cluster(count: int, size: int, trace: Callable[[TraceRecord], None] | None, batch: int, op: str) -> float:
    """Return microseconds for one operation on all nodes together, `batch` requests being taken in at a time."""
    names = tuple(f"n{number}" for number in range(1, size + 1))
    nodes = {name: Node(NodeConfig(name, names), MemoryFiles(), random.Random(name), trace) for name in names}
    leader = nodes["n1"]

    def pump() -> None:
        busy = True
        while busy:
            busy = False
            for name, node in nodes.items():
                while (effects := node.poll()) is not None:
                    busy = True
                    for peer, message in effects.messages:
                        nodes[peer].receive(name, message)
                    if effects.sync:
                        node.sync_target()()
                        node.synced()

    while leader.core.role != "leader":
        leader.tick()
        pump()
    start = time.process_time()
    for first in range(0, count, batch):
        for number in range(first, first + batch):
            leader.request(1, Request(number, op, "x", number))
        pump()
    return 1e6 * (time.process_time() - start) / count


def best(measure: Callable[[], float]) -> float:
    """Return the smallest of three measurements: what disturbs can only add."""
    return round(min(measure() for _ in range(3)), 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    count, size = options.writes, options.nodes
    results = {
        "core_step_heartbeat_us": best(lambda: step_heartbeat(count)),
        "core_step_append_us": best(lambda: step_append(count)),
        "cluster_write_us": best(lambda: cluster(count, size, None, 1, "write")),
        "cluster_write_traced_us": best(lambda: cluster(count, size, lambda record: None, 1, "write")),
        "cluster_write_batches_of_64_us": best(lambda: cluster(count, size, None, 64, "write")),
        "cluster_read_us": best(lambda: cluster(count, size, None, 1, "read")),
    }
    json.dump({"nodes": size, "results": results}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
