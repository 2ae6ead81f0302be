"""E11: a quorum is n // 2."""

from raft_impl.core import RaftCore
from raft_impl.mutants.base import Mutant
from raft_impl.parts import Parts
from raft_impl.quorum import Majority


class _HalfRoundedDown(Majority):
    def _size(self, count: int) -> int:
        return max(count // 2, 1)


class MajorityOneShort(RaftCore):
    def _majority(self, voters: tuple[str, ...]) -> Majority:
        return _HalfRoundedDown(voters)


MUTANT = Mutant("E11", "a quorum is n // 2", "election safety, leader completeness", Parts(core=MajorityOneShort))
