"""Where a history may begin: at a blind write, which makes forgotten what was before it.

Lives here: the one deletion that cuts a long history short, for models with `overwrites`. Take an overwrite w that
returned, and whatever overlaps with it only overwrites or looks. Delete all that returned before w was called, and all
that only looks and was called before w returned. If the whole had a linearization, what is left has one: take the same
order, and leave out as well what never returned and came before w (it need not have happened). Before w then come only
overwrites, which are legal in any state; w leads to the state that it led to; from there on nothing has changed.
"""

from bisect import bisect_left
from collections.abc import Callable

from checkers.history import History, Operation
from checkers.models import Model

REFINEMENTS = 4


def latest_start(
    history: History, blocked: Operation, model: Model, refuted: Callable[[History], bool]
) -> tuple[History, Operation | None]:
    """The part from about the latest such write on that is still refuted, and that write; else the whole, and None.

    Looks back twice as far each time, so that the work depends on how far the cause lies back.
    """
    places = starts(history, blocked, model) if model.overwrites else []
    near, far, found = 0, 1, history
    while near < len(places):
        far = min(far, len(places))
        part = beginning_at(history, places[-far], model)
        if refuted(part):
            found = part
            break
        near, far = far, 2 * far
    if found is history:
        return history, None
    for _ in range(REFINEMENTS):
        middle = (near + far) // 2
        if middle == near:
            break
        part = beginning_at(history, places[-middle], model)
        if refuted(part):
            found, far = part, middle
        else:
            near = middle
    return found, history.operations[places[-far]]


def beginning_at(history: History, start: int, model: Model) -> History:
    """What is left when the overwrite at place `start` is the first that counts. O(n)."""
    first = history.operations[start]
    kept = [
        one
        for one in history.operations[:start]
        if not one.returned or (one.return_rank > first.call_rank and not model.looks(one))
    ]
    after = [
        one
        for one in history.operations[start:]
        if one.call_rank > first.return_rank or not (one.returned and model.looks(one))
    ]
    return History([*kept, *after], history.source)


def starts(history: History, blocked: Operation, model: Model) -> list[int]:
    """The places of the overwrites at which the history may begin, called before the blocked operation returned."""
    others = [
        one for one in history if one.returned and not (model.looks(one) or one.f in model.overwrites)
    ]  # in order of their calls
    calls = [one.call_rank for one in others]
    latest, returns = -1, []
    for one in others:
        latest = max(latest, one.return_rank)
        returns.append(latest)
    found = []
    for place, one in enumerate(history):
        if one.returned and one.f in model.overwrites and one.call_rank < blocked.return_rank:
            before = bisect_left(calls, one.call_rank)
            if bisect_left(calls, one.return_rank) == before and (before == 0 or returns[before - 1] < one.call_rank):
                found.append(place)
    return found
