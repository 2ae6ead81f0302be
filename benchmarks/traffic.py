"""What the packet queue costs and how exact it is, on loopback in a private namespace; JSON on stdout.

    python benchmarks/traffic.py [--round-trips 5000] [--datagrams 2000] [--seconds 3]

`round_trip_us`: one byte there and back over TCP, one of the two ways through a queue that does nothing, against no
queue; rounds of both alternate. `delay_50_ms`: how long single datagrams took, while the owner of the queue does
nothing else, while another thread of its process computes, and likewise with Python's switch interval of 5 ms lowered
to 0.1 ms. `flood`: datagrams a second that the queue decided while more came, and how many more came.
"""

import argparse
import json
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from harness.agent.queue import PacketQueue
from harness.agent.rules import queue_rules
from harness.agent.traffic import Traffic
from harness.environments import namespace

OURS, PEER = "127.0.1.2", "127.0.1.1"
CHAIN = "SB-benchmark"
COMPANY = ("idle", "busy", "busy_switching")
ROUNDS = 10
SPACING_S = 0.002
DEADLINE_S = 30.0

Counts = dict[str, int]


# -- the owner of the queue: a process of its own, as in the harness ---------------------------------------------------


def own(traffic: str, company: str) -> None:
    """Own the queue until the input ends; each line of it is answered by the counters."""
    queue = PacketQueue(1, Traffic(**json.loads(traffic)), seed=1)
    if company == "busy_switching":
        sys.setswitchinterval(1e-4)
    if company != "idle":
        threading.Thread(target=_compute, daemon=True).start()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(asdict(queue.counters())), flush=True)
    queue.close()


def _compute() -> None:
    while True:
        sum(range(1000))


class Owner:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def counters(self) -> Counts:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return dict(json.loads(self._process.stdout.readline()))


@contextmanager
def queue(company: str = "idle", **traffic: float) -> Iterator[Owner]:
    """Everything from PEER to OURS goes through a queue."""
    command = [sys.executable, __file__, "own", json.dumps(traffic), company]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            _restore(f":{CHAIN} - [0:0]", f"-I INPUT 1 -j {CHAIN}", *queue_rules(CHAIN, [PEER], OURS, 1))
            yield Owner(process)
            _restore(f"-D INPUT -j {CHAIN}", f"-F {CHAIN}", f"-X {CHAIN}")
        finally:
            process.kill()


def _restore(*lines: str) -> None:
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(["iptables-restore", "--noflush"], input=text, text=True, check=True, timeout=DEADLINE_S)


# -- measurements ------------------------------------------------------------------------------------------------------


def round_trips(count: int) -> dict[str, object]:
    """Medians of the rounds' medians."""
    with socket.create_server((OURS, 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), DEADLINE_S, (PEER, 0))
        theirs, _ = listener.accept()
    for connection in (ours, theirs):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    without, through = [], []
    for _ in range(ROUNDS):
        without.append(_median_us(ours, theirs, count // ROUNDS))
        with queue():
            through.append(_median_us(ours, theirs, count // ROUNDS))
    return {"none": round(statistics.median(without), 1), "queue": round(statistics.median(through), 1)}


def _median_us(ours: socket.socket, theirs: socket.socket, count: int) -> float:
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        ours.send(b"x")
        theirs.send(theirs.recv(1))
        ours.recv(1)
        times.append(time.perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def delays(count: int, company: str) -> dict[str, float]:
    """Milliseconds that datagrams took which were to take 50."""
    with queue(company, delay_ms=50), _datagrams() as (receiver, sender):
        threading.Thread(target=_send_evenly, args=(sender, receiver.getsockname(), count), daemon=True).start()
        taken = [_milliseconds_since(receiver.recv(64)) for _ in range(count)]
    return _spread(sorted(taken))


def _send_evenly(sender: socket.socket, address: tuple[str, int], count: int) -> None:
    for _ in range(count):
        sender.sendto(time.perf_counter_ns().to_bytes(8, "big"), address)
        time.sleep(SPACING_S)


def _milliseconds_since(stamp: bytes) -> float:
    return (time.perf_counter_ns() - int.from_bytes(stamp, "big")) / 1e6


def _spread(values: Sequence[float]) -> dict[str, float]:
    at = {"min": 0.0, "p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(values[int(share * (len(values) - 1))], 3) for name, share in at.items()}


def flood(seconds: float, **traffic: float) -> dict[str, object]:
    """Nobody reads the datagrams: what is measured is the queue."""
    with queue(**traffic) as owner, _datagrams() as (receiver, sender):
        address, begin = receiver.getsockname(), time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < seconds:
            for _ in range(100):
                sender.sendto(b"x", address)
        counters = owner.counters()
    decided, missed = (round(counters[name] / elapsed) for name in ("received", "missed"))
    return {**traffic, "decided_per_s": decided, "missed_per_s": missed}


@contextmanager
def _datagrams() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.settimeout(DEADLINE_S)
        receiver.bind((OURS, 0))
        sender.bind((PEER, 0))
        yield receiver, sender


def main() -> int:
    """Measure and print, inside a namespace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--round-trips", type=int, default=5000)
    parser.add_argument("--datagrams", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    if not namespace.inside():
        return namespace.reexecute([sys.executable, *sys.argv])
    result = {
        "machine": {"kernel": platform.release(), "python": platform.python_version()},
        "round_trip_us": round_trips(options.round_trips),
        "delay_50_ms": {company: delays(options.datagrams, company) for company in COMPANY},
        "flood": [flood(options.seconds), flood(options.seconds, delay_ms=50)],
    }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["own"]:
        own(*sys.argv[2:])
    else:
        sys.exit(main())
