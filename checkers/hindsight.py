"""What a valid history says of its unfinished operations: must, may or cannot have happened.

Lives here: two questions about each, put to the engines. Without it, is the history still linearizable? If not, it
must have happened. Made to happen, is it? If not, it cannot have. A question that the budget does not answer leaves
it at may.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec.structs import replace

from checkers.budget import Budget, Meter
from checkers.decision import Answer
from checkers.engines import decide
from checkers.guard import guarded
from checkers.history import NEVER, History, Operation
from checkers.models import Model
from checkers.result import Result

Fate = Literal["must", "may", "cannot"]
STEPS_EACH = 100_000
END = NEVER - 1


def unfinished(result: Result, model: Model) -> Iterator[tuple[Operation, Fate]]:
    """Each unfinished operation of a valid result (of one key) and its fate, in order of calls. Two decisions each."""
    if result.witness is None:
        return
    model = guarded(model)
    for operation in result.unfinished:
        without = [one for one in result.relevant if one is not operation]
        forced = replace(operation, return_rank=END)
        with_it = [forced if one is operation else one for one in result.relevant]
        if _refuted(without, model):
            yield operation, "must"
        elif _refuted(with_it, model):
            yield operation, "cannot"
        else:
            yield operation, "may"


def _refuted(operations: list[Operation], model: Model) -> bool:
    return decide(History(operations, "part"), model, "auto", Meter(Budget(steps=STEPS_EACH))).answer is Answer.REFUTED
