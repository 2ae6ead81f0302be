"""Faults that somebody has to keep up, each in a process of its own, so that it outlives the agent that began it.

    python3 -m harness.agent.load slow PID_FILE SHARE               the node stands still for that share of the time
    python3 -m harness.agent.load memory MEGABYTES FILE             so much memory is taken, and used; FILE says what
                                                                    the process had for itself before
    python3 -m harness.agent.load packets NUMBER TRAFFIC SEED FILE  packets of a queue are held up; FILE counts them

Lives here: those loops. Must not live here: starting and ending them (the agent does, as it does the node).
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .process import Process
from .queue import PacketQueue
from .traffic import Traffic

PERIOD_S = 0.1
_PAGE_BYTES = 4096
_TOUCH_PERIOD_S = 1.0
_COUNT_PERIOD_S = 0.02


def slow(pid_file: Path, share: float) -> None:
    """Stop and continue the process for ever; it is left going on when this one is asked to end."""
    process = Process(pid_file)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            process.signal(signal.SIGSTOP)
            time.sleep(PERIOD_S * share)
            process.signal(signal.SIGCONT)
            time.sleep(PERIOD_S * (1 - share))
    finally:
        process.signal(signal.SIGCONT)


def memory(megabytes: int, own: Path) -> None:
    """Hold that much memory and touch every page of it again and again, so that it cannot be swapped out for good."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _replace(own, {"kilobytes": resident_kilobytes("self")})
    held = bytearray(megabytes << 20)
    while True:
        for offset in range(0, len(held), _PAGE_BYTES):
            held[offset] = 1
        time.sleep(_TOUCH_PERIOD_S)


def packets(number: int, traffic: Traffic, seed: int, counts: Path) -> None:
    """Own the queue of that number, and keep the file up to date with what was done to its packets."""
    # Not an event that the handler sets: it may come while this thread holds the event's own lock, and wait for ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    queue = PacketQueue(number, traffic, seed)
    try:
        while queue.running:
            time.sleep(_COUNT_PERIOD_S)
            _replace(counts, asdict(queue.counters()))
    finally:
        queue.close()


def resident_kilobytes(pid: int | str) -> int:
    """How much memory a process has, of what is not swapped out."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _replace(path: Path, counts: dict[str, int]) -> None:
    """Let the file hold these, whole at every moment."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(counts), encoding="ascii")
    beside.replace(path)


def main(kind: str, *arguments: str) -> None:
    """Keep up one kind of fault until SIGTERM."""
    if kind == "slow":
        slow(Path(arguments[0]), float(arguments[1]))
    elif kind == "memory":
        memory(int(arguments[0]), Path(arguments[1]))
    else:
        number, traffic, seed, counts = arguments
        packets(int(number), Traffic(**json.loads(traffic)), int(seed), Path(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
