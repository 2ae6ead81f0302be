"""Histories in, verdicts out: is what the clients saw possible on a single correct copy?

    from checkers import History, Operation, check, models

    operations = [
        Operation(process=0, f="write", value=1, call_time=0, return_time=10),
        Operation(process=1, f="read", result=0, call_time=20, return_time=30),
    ]
    print(check(operations, models.register(initial=0)).render())

Knows nothing of clusters; usable alone on anybody's history file.
"""

from typing import TYPE_CHECKING

from checkers import history, models
from checkers.budget import Budget
from checkers.history import Event, History, HistoryError, Operation
from checkers.models import ILLEGAL, Model, ModelError
from checkers.result import Result, Verdict, Violation, merge

if TYPE_CHECKING:
    from checkers.hindsight import unfinished
    from checkers.linearizable import check

__all__ = [
    "ILLEGAL",
    "Budget",
    "Event",
    "History",
    "HistoryError",
    "Model",
    "ModelError",
    "Operation",
    "Result",
    "Verdict",
    "Violation",
    "check",
    "history",
    "merge",
    "models",
    "unfinished",
]


def __getattr__(name: str) -> object:
    """`check` and `unfinished`, whose engines are imported only once somebody asks for them."""
    if name == "check":
        from checkers.linearizable import check

        return check
    if name == "unfinished":
        from checkers.hindsight import unfinished

        return unfinished
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
