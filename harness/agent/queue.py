"""The owner of one packet queue: takes packets from the kernel, holds them, and gives verdicts in time.

Lives here: the thread with its clock, and the counts that are the evidence. Must not live here: what becomes of a
packet (traffic), bytes (netlink), rules (rules).

The thread sleeps in select until a packet comes or the next one is due. select and not poll: its time-out has
microseconds. A thread is timely in a process that does nothing else. Where other threads compute, it waits for the
interpreter's lock; `sys.setswitchinterval(1e-4)` keeps that short (benchmarks/traffic.py measures all three).

However the process ends, the kernel drops the packets that are held, and lets all later ones through.
"""

from __future__ import annotations

import heapq
import select
import socket
import threading
import time
from dataclasses import dataclass, replace
from random import Random

from .netlink import DROP, REPEAT, Packet, QueueSocket, Verdict
from .rules import marks
from .traffic import NOTICEABLE_NS, Scheduler, Traffic

_MAX_LENGTH = 65536
_BATCH = 64
"""Packets read before those that are due get their turn."""
_END_TIMEOUT_S = 5.0
_IDS = 1 << 32


@dataclass(slots=True)
class Counters:
    """How many packets had which fate since the queue began."""

    received: int = 0
    delayed: int = 0
    """Held for a time that can be noticed."""
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    """Released before a packet that came before them."""
    missed: int = 0
    """Passed unseen because they came faster than they were read. What passes because 65536 are held is not known here,
    but the counter of the rule knows all that came."""
    held: int = 0
    """Waiting now."""


class PacketQueue:
    """Queue `number` of this network namespace, doing `traffic` to its packets until it is closed.

    Packets come from the rules of `rules.queue_rules`. Raises OSError if the queue cannot be had: EPERM without
    NET_ADMIN, EPERM or EBUSY if another process owns it.
    """

    def __init__(self, number: int, traffic: Traffic, seed: int) -> None:
        self._scheduler = Scheduler(traffic, Random(seed))
        self._marks = marks(number)
        self._socket = QueueSocket(number, _MAX_LENGTH)
        self._counters = Counters()
        self._held: list[tuple[int, int, Verdict]] = []  # a heap: when to release, order of arrival, verdict
        self._last_id = 0
        self._open, self._closing = socket.socketpair()  # the end of one is what the thread sees of the other
        self._thread = threading.Thread(target=self._run, name=f"packet queue {number}", daemon=True)
        self._thread.start()

    def counters(self) -> Counters:
        """The counts until now, as a copy."""
        return replace(self._counters, held=len(self._held))

    @property
    def running(self) -> bool:
        """Whether packets are still taken: not after `close`, nor after a failure of the kernel's socket."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Release at once what is held, and give the queue up. Remove the rules before, or nothing new is held."""
        self._open.close()
        self._thread.join(_END_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._wait():
                self._receive()
                self._release(time.monotonic_ns())
            self._empty()
        finally:
            self._socket.close()
            self._closing.close()

    def _wait(self) -> bool:
        """Wait for a packet, the next release or the end; whether it is the end."""
        timeout_s = max(0, self._held[0][0] - time.monotonic_ns()) / 1e9 if self._held else None
        watched: tuple[QueueSocket | socket.socket, ...] = (self._socket, self._closing)
        readable, _, _ = select.select(watched, [], [], timeout_s)
        return self._closing in readable

    def _empty(self) -> None:
        """Release all that waits here, and in the kernel unless ever more comes."""
        for _ in range(_MAX_LENGTH // _BATCH):
            if not self._receive():
                break
        self._release(None)

    def _receive(self) -> int:
        """How many packets came, at most a batch."""
        before = self._counters.received
        # The time is taken for each packet: while one waits for the interpreter's lock, others come.
        arrivals = ((packet, time.monotonic_ns()) for packet in self._socket.receive(_BATCH))
        verdicts = [verdict for packet, now_ns in arrivals if (verdict := self._judge(packet, now_ns))]
        if verdicts:
            self._socket.give(verdicts)
        return self._counters.received - before

    def _judge(self, packet: Packet, now_ns: int) -> Verdict | None:
        """The verdict for a packet that need not wait; None if it is held from now on."""
        counters = self._counters
        counters.received += 1
        counters.missed += (packet.id - self._last_id - 1) % _IDS
        self._last_id = packet.id
        releases_ns, overtakes = self._scheduler.decide(now_ns, packet.size)
        if not releases_ns:
            counters.dropped += 1
            return Verdict(packet.id, DROP, packet.mark)
        twice = len(releases_ns) == 2
        counters.duplicated += twice
        counters.reordered += overtakes
        verdict = Verdict(packet.id, REPEAT, packet.mark | (self._marks.twice if twice else self._marks.released))
        if releases_ns[0] <= now_ns:
            return verdict
        counters.delayed += releases_ns[0] - now_ns >= NOTICEABLE_NS
        heapq.heappush(self._held, (releases_ns[0], counters.received, verdict))
        return None

    def _release(self, until_ns: int | None) -> None:
        """Give the verdicts that are due by then, or all of them."""
        due = []
        while self._held and (until_ns is None or self._held[0][0] <= until_ns):
            due.append(heapq.heappop(self._held)[2])
            if len(due) == _BATCH:
                self._socket.give(due)
                due = []
        if due:
            self._socket.give(due)
