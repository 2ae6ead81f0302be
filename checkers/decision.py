"""What an engine says of a history. All of them say it in this form, and none is believed on its word."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from checkers.models import State


class Answer(Enum):
    """How a search ended."""

    LINEARIZED = "linearized"
    REFUTED = "refuted"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer and what led to it. Operations are positions in the history that was asked about.

    `order` is the linearization found; what never happened is absent. `core` are operations that contradict each
    other, `sentence` says how. `blocked` is one up to whose return the history is refuted, -1 if it is not known;
    `states` were possible then, and no others. `why` says why this engine was asked, `progress` how far an
    exhausted search got.
    """

    answer: Answer
    engine: str
    why: str = ""
    order: Sequence[int] = ()
    core: Sequence[int] = ()
    sentence: str = ""
    blocked: int = -1
    states: tuple[State, ...] = ()
    progress: str = ""
