"""What a packet queue does, seen on the wire: a probe of the standard library alone, run here and in containers.

    wire.py echo ADDRESS                          send everything back, over TCP and UDP, until killed
    wire.py own NUMBER TRAFFIC SEED               own a queue until standard input ends, then print its counters
    wire.py measure OWN PEER PLAN                 observe OWN <- PEER before, during and after a fault; JSON

PLAN is the JSON of `Plan`. Only packets from PEER to OWN meet the fault, so a round trip meets it once. Both sockets
are open before the fault begins, and the same ones are used to the end.

The package `agent` must be importable: in a checkout by PYTHONPATH=harness.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from random import Random
from typing import TypedDict

from agent.netlink import QueueSocket
from agent.queue import PacketQueue
from agent.rules import loss_rules, queue_rules
from agent.traffic import Traffic

PORT = 7777
CHAIN = "SB-wire"
NUMBER = 7
SEED = 1
QUIET_S = 0.5
DEADLINE_S = 20.0


class Plan(TypedDict):
    traffic: dict[str, float] | None
    """For the packet queue; None: only the rule of `loss`."""
    loss: float
    datagrams: int
    spacing_ms: float
    bytes: int
    round_trips: int
    stream_bytes: int
    end: str
    """How the queue ends: heal, or kill to kill its owner while the rules are there."""


# -- the peer ----------------------------------------------------------------------------------------------------------


def echo(address: str) -> None:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, PORT))
    listener = socket.create_server((address, PORT))
    threading.Thread(target=_echo_datagrams, args=(datagrams,), daemon=True).start()
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_echo_stream, args=(connection,), daemon=True).start()


def _echo_datagrams(datagrams: socket.socket) -> None:
    while True:
        data, sender = datagrams.recvfrom(65536)
        datagrams.sendto(data, sender)


def _echo_stream(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(65536):
        connection.sendall(data)


# -- the fault ---------------------------------------------------------------------------------------------------------


def own(number: int, traffic: Traffic, seed: int) -> None:
    queue = PacketQueue(number, traffic, seed)
    print("ready", flush=True)
    sys.stdin.read()
    print(json.dumps(asdict(queue.counters())))
    queue.close()


def restore(*lines: str) -> None:
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(["iptables-restore", "--wait", "5", "--noflush"], input=text, text=True, check=True)


@contextmanager
def chain(rules: list[str]) -> Iterator[None]:
    restore(f":{CHAIN} - [0:0]", f"-I INPUT 1 -j {CHAIN}", *rules)
    try:
        yield
    finally:
        restore(f"-D INPUT -j {CHAIN}", f"-F {CHAIN}", f"-X {CHAIN}")


@contextmanager
def owner(traffic: dict[str, float]) -> Iterator[subprocess.Popen[str]]:
    """The process that owns the queue; killed at the latest here."""
    command = [sys.executable, __file__, "own", str(NUMBER), json.dumps(traffic), str(SEED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def left() -> list[str]:
    """What the fault left here: the queue if it cannot be had, and the chain."""
    try:
        QueueSocket(NUMBER, 1).close()
    except OSError as error:
        return [str(error)]
    rules = subprocess.run(["iptables", "-w", "-S"], capture_output=True, text=True, check=True).stdout
    return [rule for rule in rules.splitlines() if CHAIN in rule]


# -- the probe ---------------------------------------------------------------------------------------------------------


class Probe:
    """One connection and one datagram socket to the peer, for the whole measurement."""

    def __init__(self, ours: str, peer: str, plan: Plan) -> None:
        self._plan = plan
        self._stream = socket.create_connection((peer, PORT), timeout=DEADLINE_S, source_address=(ours, 0))
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._datagrams.bind((ours, 0))
        self._datagrams.connect((peer, PORT))
        self._datagrams.setblocking(False)
        self._sequence = 0

    def observe(self) -> dict[str, object]:
        """What the plan asks for."""
        self._stream_through(self._plan["stream_bytes"])
        return self._observe(self._plan["datagrams"], self._plan["round_trips"])

    def look(self) -> dict[str, object]:
        """Enough to see that there is no fault."""
        return self._observe(400, 20)

    def _observe(self, datagrams: int, round_trips: int) -> dict[str, object]:
        return {"round_trips_ms": [self._round_trip_ms() for _ in range(round_trips)], **self._burst(datagrams)}

    def _round_trip_ms(self) -> float:
        begin = time.perf_counter()
        self._stream.sendall(b"x")
        self._stream.recv(1)
        return 1000 * (time.perf_counter() - begin)

    def _stream_through(self, count: int) -> None:
        """Send so many bytes while reading them back, and fail if they are others."""
        data = Random(SEED).randbytes(count)
        sender = threading.Thread(target=self._stream.sendall, args=(data,))
        sender.start()
        received = bytearray()
        while len(received) < count:
            piece = self._stream.recv(65536)
            assert piece, "the connection ended"
            received += piece
        sender.join()
        assert received == data

    def _burst(self, count: int) -> dict[str, object]:
        """Send evenly; what came back, in that order: [number, ms since it was sent, ms since the first was sent]."""
        sent: list[float] = []
        arrivals: list[list[float]] = []
        first, begin = self._sequence, time.perf_counter()
        padding = bytes(self._plan["bytes"] - 8)
        for index in range(count):
            self._collect(begin + index * self._plan["spacing_ms"] / 1000, first, sent, arrivals)
            sent.append(time.perf_counter())
            self._datagrams.send((first + index).to_bytes(8, "big") + padding)
        self._sequence += count
        before = -1
        while before < len(arrivals):
            before = len(arrivals)
            self._collect(time.perf_counter() + QUIET_S, first, sent, arrivals)
        return {"sent": len(sent), "arrivals": arrivals}

    def _collect(self, until: float, first: int, sent: list[float], arrivals: list[list[float]]) -> None:
        """Take what comes until then; always what is there."""
        while select.select([self._datagrams], [], [], max(0.0, until - time.perf_counter()))[0]:
            number = int.from_bytes(self._datagrams.recv(65536)[:8], "big") - first
            now = time.perf_counter()
            if number >= 0:
                arrivals.append([number, 1000 * (now - sent[number]), 1000 * (now - sent[0])])


def measure(ours: str, peer: str, plan: Plan) -> dict[str, object]:
    probe = Probe(ours, peer, plan)
    result: dict[str, object] = {"before": probe.look()}
    if plan["traffic"] is None:
        with chain(loss_rules(CHAIN, [peer], ours, plan["loss"])):
            result["during"] = probe.observe()
    else:
        _measure_queue(ours, peer, plan["traffic"], plan["end"], probe, result)
    return {**result, "after": probe.look(), "left": left()}


def _measure_queue(
    ours: str, peer: str, traffic: dict[str, float], end: str, probe: Probe, result: dict[str, object]
) -> None:
    rules = queue_rules(CHAIN, [peer], ours, NUMBER, duplicates="duplicate" in traffic)
    with chain(rules), owner(traffic) as process:
        result["during"] = probe.observe()
        if end == "kill":
            process.send_signal(signal.SIGKILL)
            process.wait()
            result["killed"] = probe.look()
        else:
            counters, _ = process.communicate(timeout=DEADLINE_S)
            result["counters"] = json.loads(counters)


def main(role: str, *arguments: str) -> None:
    if role == "echo":
        echo(*arguments)
    elif role == "own":
        own(int(arguments[0]), Traffic(**json.loads(arguments[1])), int(arguments[2]))
    else:
        print(json.dumps(measure(arguments[0], arguments[1], json.loads(arguments[2]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
