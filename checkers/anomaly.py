"""A few operations that no order explains, found without a search.

Lives here: what the rules of a model say of a history (`Model.anomaly`), and by which model the operations they name
are refuted. The rules are in `checkers.stale`, `checkers.elements`, `checkers.takes` and `checkers.sums`, each with the
reason why it is sound. They look at every operation once, so that a small contradiction is found whatever surrounds it.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

from checkers.history import Operation

if TYPE_CHECKING:
    from checkers.model import Model


class Anomaly(NamedTuple):
    """Operations that contradict each other, the one that shows it, and how.

    `aspect` is the part of the state that they contradict each other about, in a tuple, if it is not the whole.
    `loose`: they do so under the model's `loose`, in which an update does not need the state that it replaced.
    """

    core: tuple[Operation, ...]
    blocked: Operation
    sentence: str
    aspect: tuple[Hashable, ...] = ()
    loose: bool = False

    def judge(self, model: "Model") -> "Model":
        """The model that refutes the core by itself."""
        from checkers.parts import judge_of  # here, since models are made of these

        judge = judge_of(model, self.aspect[0]) if self.aspect else model
        return judge.loose or judge if self.loose else judge
