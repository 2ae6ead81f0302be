"""How a packet queue begins, ends and lives with other rules, between addresses of the private namespace."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pytest

from harness.agent.netlink import QueueSocket
from harness.agent.queue import PacketQueue
from harness.agent.rules import queue_rules
from harness.agent.traffic import Fate, Scheduler, Traffic
from waiting import eventually

pytestmark = pytest.mark.local

PEER, OTHER, OURS = "127.0.1.1", "127.0.1.3", "127.0.1.2"
DEADLINE_S = 10.0


def test_what_is_held_is_released_at_the_end() -> None:
    with rules(queue_rules("SB-a", [PEER], OURS, 1)), Datagrams() as datagrams:
        queue = PacketQueue(1, Traffic(delay_ms=60_000), seed=1)
        datagrams.send(PEER, b"held")
        eventually("it is held", lambda: queue.counters().held == 1, DEADLINE_S)
        queue.close()
        assert datagrams.receive() == b"held"
        assert not queue.running
        queue.close()


def test_only_the_sources_named_are_held() -> None:
    with rules(queue_rules("SB-a", [PEER], OURS, 1)), Datagrams() as datagrams, queueing(1, delay_ms=200):
        datagrams.send(PEER, b"first")
        datagrams.send(OTHER, b"second")
        assert [datagrams.receive(), datagrams.receive()] == [b"second", b"first"]


def test_two_queues_work_one_after_the_other() -> None:
    both = [*queue_rules("SB-a", [PEER], OURS, 1), *queue_rules("SB-b", [PEER], OURS, 2)]
    with rules(both), Datagrams() as datagrams, queueing(1, delay_ms=60) as one, queueing(2, delay_ms=40) as two:
        begin = time.monotonic()
        datagrams.send(PEER, b"slow")
        assert datagrams.receive() == b"slow"
        assert 0.1 <= time.monotonic() - begin < 0.2
        assert one.counters().delayed == two.counters().delayed == 1


def test_a_copy_is_one_packet_for_the_next_queue() -> None:
    both = [*queue_rules("SB-a", [PEER], OURS, 1), *queue_rules("SB-b", [PEER], OURS, 2)]
    with rules(both), Datagrams() as datagrams, queueing(1, duplicate=1), queueing(2, duplicate=1) as two:
        datagrams.send(PEER, b"four times")
        assert [datagrams.receive() for _ in range(4)] == [b"four times"] * 4
        assert two.counters().received == 2


def test_released_packets_meet_the_other_rules() -> None:
    behind = ["-A SB-b -s 127.0.1.1 -d 127.0.1.2 -p udp -m length --length 31 -j DROP"]
    with rules([*queue_rules("SB-a", [PEER], OURS, 1), *behind]), Datagrams() as datagrams, queueing(1, delay_ms=20):
        datagrams.send(PEER, b"bad")  # 31 bytes with its headers
        datagrams.send(PEER, b"good")
        assert datagrams.receive() == b"good"


def test_a_cut_drops_what_is_held() -> None:
    with rules(queue_rules("SB-a", [PEER], OURS, 1)), Datagrams() as datagrams, queueing(1, delay_ms=100) as queue:
        datagrams.send(PEER, b"held")
        eventually("it is held", lambda: queue.counters().held == 1, DEADLINE_S)
        with rules(["-A SB-b -s 127.0.1.1 -d 127.0.1.2 -j DROP"]):
            eventually("it is let go", lambda: queue.counters().held == 0, DEADLINE_S)
        datagrams.send(PEER, b"later")
        assert datagrams.receive() == b"later"


def test_a_packet_that_the_rules_cannot_copy_passes_once() -> None:
    """Traffic that duplicates, behind rules that do not, must not send a packet round in circles."""
    no_copies = queue_rules("SB-a", [PEER], OURS, 1, duplicates=False)
    with rules(no_copies), Datagrams() as datagrams, queueing(1, duplicate=1) as queue:
        datagrams.send(PEER, b"first")
        datagrams.send(PEER, b"second")
        assert [datagrams.receive(), datagrams.receive()] == [b"first", b"second"]
        assert queue.counters().received == 2


def test_marks_of_others_stay() -> None:
    marking = ["-A SB-a -s 127.0.1.1 -j MARK --set-xmark 0x5/0xff"]
    seen = ["-A SB-b -s 127.0.1.1 -d 127.0.1.2 -m mark ! --mark 0x5/0xff -j DROP"]
    with (
        rules([*marking, *queue_rules("SB-a", [PEER], OURS, 1), *seen]),
        Datagrams() as datagrams,
        queueing(1, delay_ms=1),
    ):
        datagrams.send(PEER, b"marked")
        assert datagrams.receive() == b"marked"


def test_what_a_full_queue_cannot_take_passes() -> None:
    with (
        rules(queue_rules("SB-a", [PEER], OURS, 1)),
        Datagrams() as datagrams,
        closing(QueueSocket(1, max_length=10)) as queue,
    ):
        for number in range(30):
            datagrams.send(PEER, bytes([number]))
        assert [datagrams.receive()[0] for _ in range(20)] == list(range(10, 30))
        assert len(list(queue.receive(100))) == 10


def test_packets_that_came_too_fast_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    decide, go = Scheduler.decide, threading.Event()

    def decide_when_told(scheduler: Scheduler, now_ns: int, size: int) -> Fate:
        go.wait(DEADLINE_S)
        return decide(scheduler, now_ns, size)

    monkeypatch.setattr(Scheduler, "decide", decide_when_told)
    with rules(queue_rules("SB-a", [PEER], OURS, 1)), Datagrams() as datagrams, queueing(1) as queue:
        for _ in range(40_000):
            datagrams.send(PEER, b"")
        go.set()

        def all_are_counted() -> bool:
            """Gaps are seen by what comes after them, so send one more until there is none."""
            counters = queue.counters()
            if counters.received + counters.missed == datagrams.sent:
                return True
            datagrams.send(PEER, b"")
            return False

        eventually("all are counted", all_are_counted, DEADLINE_S)
        assert queue.counters().missed > 0


# -- means -------------------------------------------------------------------------------------------------------------


class Datagrams:
    """A socket of ours that receives, and one for each sender."""

    def __enter__(self) -> Datagrams:
        self._ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ours.bind((OURS, 0))
        self._ours.settimeout(DEADLINE_S)
        self.sent = 0
        self._senders = {address: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for address in (PEER, OTHER)}
        for address, sender in self._senders.items():
            sender.bind((address, 0))
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._ours, *self._senders.values()):
            one.close()

    def send(self, source: str, data: bytes) -> None:
        self._senders[source].sendto(data, self._ours.getsockname())
        self.sent += 1

    def receive(self) -> bytes:
        return self._ours.recv(65536)


@contextmanager
def rules(lines: Sequence[str]) -> Iterator[None]:
    """The rules in their chains, which INPUT jumps to in the order of their names."""
    chains = sorted({line.split()[1] for line in lines})
    created = [f":{chain} - [0:0]" for chain in chains]
    restore([*created, *(f"-A INPUT -j {chain}" for chain in chains), *lines])
    try:
        yield
    finally:
        restore([line for chain in chains for line in (f"-D INPUT -j {chain}", f"-F {chain}", f"-X {chain}")])


def restore(lines: Sequence[str]) -> None:
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(["iptables-restore", "--wait", "5", "--noflush"], input=text, text=True, check=True)


@contextmanager
def queueing(number: int, **traffic: float) -> Iterator[PacketQueue]:
    with closing(PacketQueue(number, Traffic(**traffic), seed=1)) as queue:
        yield queue
