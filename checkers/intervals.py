"""Operations given as intervals: which of them make sense, and what comes before what.

Lives here: the checks of `History.of_operations`, and the ranking by time. An interval is closed: two operations that
touch at one instant are concurrent, so that at equal times calls come before returns.
"""

from array import array
from collections.abc import Callable
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from checkers.history import NEVER, STATUSES, HistoryError, Operation
from checkers.limits import DEFAULT, too_deep
from checkers.value_table import depth
from checkers.values import PLAIN, NotAValueError, freeze

if TYPE_CHECKING:
    Integers = array[int]


def checked(operation: Operation, source: str, number: int) -> Operation:
    """The operation with hashable values and its number as its index; raises HistoryError where it makes no sense."""
    one = operation
    problem = _problem(one)
    if problem:
        raise HistoryError(f"{source}: operation {number} ({one}) {problem}")
    found: dict[str, Any] = {}
    try:
        for name, value in (("value", one.value), ("result", one.result), ("actual", one.actual), ("key", one.key)):
            if type(value) not in PLAIN:
                if depth(value, DEFAULT.nesting) > DEFAULT.nesting:
                    raise HistoryError(f"{source}: operation {number}: {name} has {too_deep(DEFAULT)}")
                found[name] = freeze(value)
    except NotAValueError as error:
        raise HistoryError(f"{source}: operation {number} ({one}): {name} {value!r} {error}") from None
    if one.status == "info" or one.return_time is None:  # what it is said to have answered, nobody got
        found |= {"status": "info", "return_time": None, "result": None, "version": None, "actual": UNSET}
    return msgspec.structs.replace(operation, call_index=number, **found)


def _problem(one: Operation) -> str:
    """What is wrong with the fields of an operation; nothing if they are in order."""
    if type(one.f) is not str or not one.f:
        return f"has f {one.f!r}; f is the name of the operation"
    if one.status not in STATUSES:
        return f"has status {one.status!r}; it is one of {', '.join(STATUSES)}"
    if isinstance(one.process, bool) or not isinstance(one.process, int | str):
        return f"has process {one.process!r}; a process is a whole number or a text"
    if one.version is not None and (isinstance(one.version, bool) or not isinstance(one.version, int)):
        return f"has version {one.version!r}; a version is a whole number"
    if one.error is not None and not isinstance(one.error, str):
        return f"has error {one.error!r}; an error is a text"
    if not isinstance(one.echoed, bool):
        return f"has echoed {one.echoed!r}; it is True or False"
    if not _is_time(one.call_time):
        return f"has call_time {one.call_time!r}; a time is a number, and every operation has the time of its call"
    if one.return_time is None:
        return ""
    if not _is_time(one.return_time):
        return f"has return_time {one.return_time!r}; a time is a number, and None where an operation never returned"
    if one.return_time < one.call_time:  # type: ignore[operator]
        return f"returns at {one.return_time}, before its call at {one.call_time}"
    return ""


def _is_time(time: object) -> bool:
    return isinstance(time, Real) and not isinstance(time, bool) and isfinite(time)


def ranked(operations: list[Operation]) -> "tuple[list[Operation], Integers]":
    """The operations with distinct ranks, in order of their calls, and the events; at one instant calls come first."""
    moments = [(operation.call_time, 0, operation.call_index, number) for number, operation in enumerate(operations)]
    moments += [
        (operation.return_time, 1, operation.return_index, number)
        for number, operation in enumerate(operations)
        if operation.return_time is not None
    ]
    moments.sort()
    calls, returns, places = [0] * len(operations), [NEVER] * len(operations), [0] * len(operations)
    order: list[int] = []
    events = array("q")
    for rank, (_, returning, _, number) in enumerate(moments):
        if returning:
            returns[number] = rank
            events.append(~places[number])
        else:
            calls[number], places[number] = rank, len(order)
            events.append(len(order))
            order.append(number)
    replace: Callable[..., Operation] = msgspec.structs.replace
    return [replace(operations[one], call_rank=calls[one], return_rank=returns[one]) for one in order], events
