"""What a check says: the verdict, why, and what anyone needs to see it again.

Lives here: the three verdicts and how they merge, the result of a check, and its rendering as text. No checking lives
here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from checkers.history import Key, Operation
from checkers.models import Model, State
from checkers.shown import one_line
from checkers.times import Times
from checkers.wording import shown_key


class Verdict(StrEnum):
    """valid: a linearization exists, and was replayed; invalid: none exists; unknown: not decided."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """0 valid, 1 invalid, 2 unknown."""
        return {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.UNKNOWN: 2}[self]


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them: invalid, then unknown, then valid; of none, unknown."""
    seen = set(verdicts)
    for verdict in (Verdict.INVALID, Verdict.UNKNOWN):
        if verdict in seen:
            return verdict
    return Verdict.VALID if seen else Verdict.UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Violation:
    """Why a history is not linearizable.

    `blocked` is the operation that could not be placed: the first to return for which no order exists any more.
    `prefix` holds every operation called before that return (the shortest failing prefix), those still open then
    without a return time; `states` were possible just before, and no others. `window` is a part of the prefix that is
    contradictory by itself: `judge` is the model that refutes it. It is the `shortest` if no deletion that is allowed
    leaves a contradiction. `start` is when the run began, in the unit of the operations' times.
    """

    key: Key
    blocked: Operation
    states: tuple[State, ...]
    prefix: Sequence[Operation]
    window: tuple[Operation, ...]
    sentence: str
    judge: Model
    shortest: bool = False
    start: float = 0

    def render(self) -> str:
        """The window, and the sentence."""
        return f"{self.table()}\n{self.sentence}"

    def table(self) -> str:
        """The window as a table in order of calls, the blocked operation marked."""
        where = "" if self.key is None else one_line(f" of key {shown_key(self.key)}")
        what = "shortest failing window" if self.shortest else "a failing window"
        times = Times(self.window, self.start)
        title = f"{what}{where}: {len(self.window)} of {len(self.prefix)} operations{times.unit}"
        return "\n".join([title, *_table(self, times)])


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one check; `keys` holds the result of each key where keys were checked apart.

    `reason` is one sentence; `why` says why that `engine` decided. `witness` is a linearization that was replayed
    against the model (valid, and no keys); `violation` is set if invalid; `relevant` are the operations that the model
    judged.
    """

    verdict: Verdict
    reason: str
    engine: str
    operations: int
    why: str = ""
    key: Key = None
    steps: int = 0
    witness: Sequence[Operation] | None = field(default=None, repr=False)
    violation: Violation | None = field(default=None, repr=False)
    relevant: Sequence[Operation] = field(default=(), repr=False)
    keys: Sequence["Result"] = field(default=(), repr=False)

    @property
    def unfinished(self) -> list[Operation]:
        """The relevant operations that were never seen to return."""
        return [operation for operation in self.relevant if not operation.returned]

    @property
    def exit_code(self) -> int:
        """0 valid, 1 invalid, 2 unknown."""
        return self.verdict.exit_code

    def render(self) -> str:
        """All there is to say, the verdict in one sentence last."""
        evidence = [] if self.violation is None else [self.violation.table()]  # its sentence is in the reason
        return "\n".join([*evidence, f"{self.verdict}: {self.reason}"])


def _table(violation: Violation, times: Times) -> list[str]:
    """One line an operation: mark, when it was called and returned, and what it was."""
    rows = sorted(violation.window, key=lambda operation: operation.call_rank)
    pairs = [(times.called(row), times.returned(row)) for row in rows]
    widths = [max(len(pair[side]) for pair in pairs) for side in (0, 1)]
    blocked = violation.blocked.call_rank
    return [
        f"  {'>' if row.call_rank == blocked else ' '} {call:>{widths[0]}} .. {back:>{widths[1]}}  {row}"
        for row, (call, back) in zip(rows, pairs, strict=True)
    ]
