"""Who must agree: arithmetic over a configuration of voters, without any state of its own.

The core asks three questions (is the vote won, is this set enough, what index has a quorum reached) and does not know
how they are answered; a joint configuration would answer them by asking two majorities.
"""

from collections.abc import Collection, Mapping
from enum import Enum
from itertools import repeat


class Decision(Enum):
    """The state of a vote."""

    WON = "won"
    LOST = "lost"
    PENDING = "pending"


class Majority:
    """More than half of `voters`."""

    def __init__(self, voters: tuple[str, ...]) -> None:
        self.voters = voters
        self.size = self._size(len(voters))

    def _size(self, count: int) -> int:
        return count // 2 + 1

    def includes(self, nodes: Collection[str]) -> bool:
        """Return whether `nodes` hold a quorum among them. O(voters)."""
        return sum(voter in nodes for voter in self.voters) >= self.size

    def decide(self, votes: Mapping[str, bool]) -> Decision:
        """Return how an election stands, given the votes that have come in. O(voters)."""
        granted = sum(votes.get(voter, False) for voter in self.voters)
        if granted >= self.size:
            return Decision.WON
        refused = sum(not votes.get(voter, True) for voter in self.voters)
        return Decision.LOST if refused > len(self.voters) - self.size else Decision.PENDING

    def reached(self, position: Mapping[str, int]) -> int:
        """Return the largest number that a quorum has reached; a voter not in `position` stands at 0. O(n log n)."""
        positions = sorted(map(position.get, self.voters, repeat(0)), reverse=True)
        return positions[self.size - 1]
