"""The graph of states that a search fills. Histories of one model share it within a thread.

A search writes into its graph, so no other thread may have the same one. Nothing else is kept between checks.
"""

import threading
from functools import lru_cache

from checkers.compiled import Loops
from checkers.history import History
from checkers.models import Model
from checkers.state_graph import StateGraph
from checkers.values import told_apart

MOST_SHARED = 20_000  # kinds and states, above which a graph is not kept for other histories


def graph_for(history: History, model: Model, loops: Loops) -> StateGraph:
    """Return the graph for a search of this history, shared with other histories of the model where possible."""
    if not may_be_shared(model) or len(history.columns.kinds) > MOST_SHARED:
        return StateGraph(model, loops, history)
    initial = told_apart(model.initial)
    shared = _kept.graph(model, initial, loops)
    if len(shared.kinds) + len(shared.states) > MOST_SHARED:
        _kept.graph.cache_clear()
    return _kept.graph(model, initial, loops)


def may_be_shared(model: Model) -> bool:
    """Whether the transitions found for one history hold for all."""
    return model.hindsight is None


def _explored(model: Model, initial: object, loops: Loops) -> StateGraph:
    """Return an empty graph; `initial` distinguishes models that are equal but begin with 1 and 1.0."""
    return StateGraph(model, loops)


class _Kept(threading.local):
    """The graphs of one thread."""

    def __init__(self) -> None:
        self.graph = lru_cache(maxsize=16)(_explored)


_kept = _Kept()
