"""The assertion that a history is linearizable.

Lives here: what an assertion's message says. The judging is `checkers`'.
"""

from __future__ import annotations

from collections.abc import Iterable

from checkers.budget import Budget
from checkers.history import History, Operation
from checkers.linearizable import check
from checkers.models import Model
from checkers.result import Verdict


def assert_linearizable(
    history: History | Iterable[Operation], model: Model | str = "register", *, seconds: float | None = None
) -> None:
    """Raise AssertionError unless some order of the operations respects real time and satisfies the model.

    The message has the shortest failing window, and why its marked operation cannot be placed. What could not be
    decided within `seconds` is not asserted either: the message then says how far it got. Raises HistoryError and
    ModelError for input that cannot be judged.

    Nor is a history in which nothing completed: nothing speaks against it, but a recorder that recorded nothing must
    not make a test pass.
    """
    __tracebackhide__ = True
    result = check(history, model, budget=Budget(seconds=seconds))
    if result.verdict is not Verdict.VALID:
        name = model if isinstance(model, str) else model.name
        what = "not linearizable" if result.verdict is Verdict.INVALID else "not known to be linearizable"
        raise AssertionError(f"{what} as a {name}: {result.reason}\n{result.render()}")
