"""What a leader knows about one peer's log, and how much it may send ahead of the answers.

While *probing*, where the logs part is unknown and one request is outstanding at a time. Once a request fits,
requests are pipelined: `next_index` moves on as they are sent, and a window bounds how many are unanswered. (etcd-
io/raft `tracker`.)
"""

from collections import deque


class Progress:
    """Replication state of one peer. `match` never falls while its leader leads."""

    __slots__ = ("_in_flight", "_window", "active", "match", "next_index", "nudged", "probing", "seen_match", "waiting")

    def __init__(self, next_index: int, window: int) -> None:
        self.match = 0
        self.next_index = next_index
        self.probing = True
        self.waiting = False  # probing, and the one request is unanswered
        self.nudged = False  # ask where the peer is, even if the window is full or nothing is left to send
        self.active = True  # heard from since the last CheckQuorum
        self.seen_match = 0  # `match` at the last heartbeat
        self._window = window
        self._in_flight: deque[int] = deque()

    def may_send(self, last_index: int) -> bool:
        """Return whether a request should go out now, given the leader's last index."""
        if self.nudged:
            return True
        if self.next_index > last_index:
            return False
        return not self.waiting if self.probing else self.has_room()

    def has_room(self) -> bool:
        """Return whether the window admits another request with entries."""
        return self.probing or len(self._in_flight) < self._window

    def sent(self, last_sent: int) -> None:
        """Note a request whose last entry is `last_sent` (or the entry before, when it carries none)."""
        self.nudged = False
        if self.probing:
            self.waiting = True
        elif last_sent >= self.next_index:
            self._in_flight.append(last_sent)
            self.next_index = last_sent + 1

    def acknowledged(self, index: int) -> bool:
        """Note that the peer holds everything up to `index`; return whether that is news."""
        while self._in_flight and self._in_flight[0] <= index:
            self._in_flight.popleft()
        if self.probing:
            self.probing = self.waiting = False
            self.next_index = max(self.match, index) + 1
        self.next_index = max(self.next_index, index + 1)
        if index <= self.match:
            return False
        self.match = index
        return True

    def rejected(self, prev_index: int, retry_index: int) -> bool:
        """Note that a request after `prev_index` did not fit; return whether that is news, and not an echo.

        `retry_index` is the last entry at which the logs may still agree.
        """
        if prev_index <= self.match or (self.probing and prev_index != self.next_index - 1):
            return False
        self.next_index = max(min(prev_index, retry_index + 1), self.match + 1)
        self.probing = True
        self.waiting = False
        self._in_flight.clear()
        return True

    def check_stalled(self, last_index: int) -> None:
        """At each heartbeat: ask a live peer again that acknowledged nothing since the last one (retries, Raft 5.1)."""
        if self.active and self.match < last_index and self.match == self.seen_match:
            self.nudged = True
        self.seen_match = self.match
