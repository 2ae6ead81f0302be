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
    without a return time; `states` were possible just before, and no others. `window` is the
    smallest part of the prefix that was found to be contradictory by itself: `judge` is the model that refutes it.
    """

    key: Key
    blocked: Operation
    states: tuple[State, ...]
    prefix: Sequence[Operation]
    window: tuple[Operation, ...]
    sentence: str
    judge: Model

    def render(self) -> str:
        """The window, and the sentence."""
        return f"{self.table()}\n{self.sentence}"

    def table(self) -> str:
        """The window as a table in order of calls, the blocked operation marked."""
        where = "" if self.key is None else one_line(f" of key {self.key}")
        title = f"shortest failing window{where}: {len(self.window)} of {len(self.prefix)} operations"
        return "\n".join([title, *_table(self)])


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


def _table(violation: Violation) -> list[str]:
    """One line an operation: mark, when it was called and returned, and what it was."""
    rows = sorted(violation.window, key=lambda operation: operation.call_rank)
    timed = all(row.call_time is not None and (row.return_time is not None or not row.returned) for row in rows)
    times = [_moments(row, timed) for row in rows]
    widths = [max(len(pair[side]) for pair in times) for side in (0, 1)]
    return [
        f"  {'>' if row == violation.blocked else ' '} {call:>{widths[0]}} .. {back:>{widths[1]}}  {row}"
        for row, (call, back) in zip(rows, times, strict=True)
    ]


def _moments(row: Operation, timed: bool) -> tuple[str, str]:
    """When it was called and when it returned; the lines that say so where times are not known."""
    call, back = (row.call_time, row.return_time) if timed else (row.line, row.return_line)
    return str(call), str(back) if row.returned else "open"
