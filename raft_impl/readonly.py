"""ReadIndex: linearizable reads without writing to the log (Ongaro's dissertation 6.4).

A read waits for a *round* of heartbeats that starts after it arrived. When a quorum has answered that round or a
later one, no later leader can have committed anything before the read began, so the commit index at the round's start
is recent enough. One round is under way at a time; reads that arrive meanwhile share the next one.
"""

from collections import deque
from collections.abc import Callable, Mapping

import msgspec


class ConfirmedRead(msgspec.Struct, frozen=True, gc=False):
    """A read that may be served from any state that has applied everything up to `index`."""

    index: int
    context: int


class _Round(msgspec.Struct, frozen=True):
    number: int
    index: int
    contexts: list[int]


class ReadQueue:
    """The reads of one leader in one term."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._waiting: list[int] = []
        self._rounds: deque[_Round] = deque()
        self._answered: dict[str, int] = {node: 0}
        self.round = 0

    def add(self, context: int) -> None:
        """Take in a read; rounds that have already started will not confirm it."""
        self._waiting.append(context)

    def wants_round(self) -> bool:
        """Return whether reads wait and no round is under way to wait for."""
        return bool(self._waiting) and not self._rounds

    def start_round(self, read_index: int | None) -> int:
        """Return the number of a new round. It takes along what waits, unless `read_index` is not known yet (None)."""
        self.round += 1
        self._answered[self._node] = self.round
        if self._waiting and read_index is not None:
            self._rounds.append(_Round(self.round, read_index, self._waiting))
            self._waiting = []
        return self.round

    def answered(self, node: str, number: int) -> None:
        """Note that `node` has answered round `number`."""
        if number > self._answered.get(node, 0):
            self._answered[node] = number

    def confirmed(self, reached: Callable[[Mapping[str, int]], int]) -> list[ConfirmedRead]:
        """Return, once, the reads of every round that a quorum has answered; `reached` is the quorum's arithmetic."""
        reads: list[ConfirmedRead] = []
        if not self._rounds:
            return reads
        number = reached(self._answered)
        while self._rounds and self._rounds[0].number <= number:
            done = self._rounds.popleft()
            reads.extend(ConfirmedRead(done.index, context) for context in done.contexts)
        return reads
