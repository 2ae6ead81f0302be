"""Operations that are legal in no state that any order of all operations can reach, however often each takes place."""

from collections.abc import Iterable, Sequence

from checkers.state_graph import StateGraph
from checkers.transitions import IRRELEVANT

FEW_STATES = 32  # more are not looked at
HOPELESS = "no order of the operations, however often each takes place, leads to a state that allows it"


def first_hopeless(graph: StateGraph, events: Sequence[int], kind_of: Sequence[int]) -> int:
    """Return the first operation to return that is legal in no state; -1 if there is none, or it is hard to say.

    Sound, since every operation may take place at any time here, and as often as it likes.
    """
    flags = graph.loops.listed(graph.flags)
    relevant = [code for code in events if flags[kind_of[code if code >= 0 else ~code]] != IRRELEVANT]
    legal = _legal_kinds(graph, {kind_of[code]: None for code in relevant if code >= 0})
    if legal is None:
        return -1
    return next((~code for code in relevant if code < 0 and kind_of[~code] not in legal), -1)


def _legal_kinds(graph: StateGraph, usable: Iterable[int]) -> set[int] | None:
    """Return the kinds that are legal in any state that these kinds can reach; None if there are many states.

    Asks the model, which may know, or looks at all states.
    """
    if graph.model.possible is not None:
        fits = graph.model.possible([graph.kinds[kind] for kind in usable])
        return {kind for kind in usable if fits(graph.kinds[kind])}
    reached, legal = {0}, set()
    waiting = [0]
    while waiting:
        state = waiting.pop()
        for kind in usable:
            after = graph.step(kind, state)
            if after >= 0:
                legal.add(kind)
                if after not in reached:
                    reached.add(after)
                    waiting.append(after)
                    if len(reached) > FEW_STATES:
                        return None
    return legal
