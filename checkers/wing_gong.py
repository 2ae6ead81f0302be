"""The reference search: is there an order that the model allows and that respects real time?

Wing and Gong's search (1993) with Lowe's memoisation (2017), written to be read: take an operation that nothing
unlinearized precedes, apply the model, remember the configuration, go on; backtrack where stuck. It takes any model.
Two rules of its own. What only looks, and agrees, is taken at once: whatever order follows, it could as well come
first. So could an operation that commutes with all that it need not precede (`Model.commutes`).
The other engines are tested against it, and an invalid verdict of theirs counts only once this search has refuted the
core that they name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checkers.budget import Meter, size_of
from checkers.decision import Answer, Decision
from checkers.history import NEVER, Operation
from checkers.models import Illegal, Model, State
from checkers.values import told_apart

if TYPE_CHECKING:
    import networkx as nx


NAME = "reference"
BYTES_OF_A_FRAME, BYTES_OF_A_MEMORY = 500, 300


@dataclass
class _Frame:
    """One configuration on the path: what is linearized (a bit an operation), the state, and what can be taken next."""

    linearized: int
    state: State
    enabled: tuple[int, ...]
    untried: Iterator[int]
    taken: int = -1


def search(operations: Sequence[Operation], model: Model, meter: Meter) -> Decision:
    """A linearization of all operations that returned, with any of those that did not, or a refutation.

    Exponential in the number of concurrent operations at worst; every configuration is visited at most once. The
    `states` of a refutation are those of the configurations in which only the last operation to return was missing:
    where that operation found itself.
    """
    held = meter.bytes
    found = _searched(operations, model, meter)
    meter.bytes = held
    return found


def _searched(operations: Sequence[Operation], model: Model, meter: Meter) -> Decision:
    from checkers.precedence import precedence_graph  # here, since networkx takes half a second to import

    graph = precedence_graph(operations, meter)
    if graph is None:
        return _exhausted(meter)
    merged = model.hindsight(operations) if model.hindsight is not None else None
    looks = [model.looks(operation) for operation in operations]
    commutes = [model.commutes is not None and model.commutes(operation) for operation in operations]
    tied = sorted((node for node in graph if not commutes[node]), key=lambda node: operations[node].call_rank)
    returned = [node for node in graph if operations[node].returned]
    required = sum(1 << node for node in returned)
    last = max(returned, key=lambda node: operations[node].return_rank, default=0)
    bits = len(operations) // 8 + BYTES_OF_A_MEMORY
    sources = tuple(node for node in graph if graph.in_degree(node) == 0)
    path = [_Frame(0, model.initial, sources, iter(sources))]
    seen = {(0, told_apart(model.initial))}
    before_last: dict[State, None] = {}
    while path:
        frame = path[-1]
        missing = required & ~frame.linearized
        if not missing:
            return Decision(Answer.LINEARIZED, NAME, order=[step.taken for step in path[:-1]])
        if missing == 1 << last:
            before_last[frame.state] = None
        for node in frame.untried:
            state = model.step(frame.state, operations[node])
            if not meter.spend():
                return _exhausted(meter)
            if merged is not None and not isinstance(state, Illegal):
                state = merged(state)
            linearized = frame.linearized | 1 << node
            if isinstance(state, Illegal):
                continue
            if looks[node] or (
                commutes[node] and operations[node].return_rank < _first_call(operations, tied, linearized)
            ):
                frame.untried = iter(())
            if (configuration := (linearized, told_apart(state))) in seen:
                continue
            freed = [after for after in graph.successors(node) if _is_free(graph, after, linearized)]
            enabled = (*(other for other in frame.enabled if other != node), *freed)
            if not meter.spend(0, bits + size_of(state) + BYTES_OF_A_FRAME + 8 * len(enabled)):
                return _exhausted(meter)
            seen.add(configuration)
            frame.taken = node
            observers_first = sorted(enabled, key=looks.__getitem__, reverse=True)
            path.append(_Frame(linearized, state, enabled, iter(observers_first)))
            break
        else:
            path.pop()
            meter.bytes -= BYTES_OF_A_FRAME + 8 * len(frame.enabled)
    states = tuple(sorted(before_last, key=repr))
    return Decision(Answer.REFUTED, NAME, blocked=last, states=states)


def _first_call(operations: Sequence[Operation], tied: Sequence[int], linearized: int) -> int:
    """When the first of those that do not commute is called, of those that are still to come."""
    return next((operations[node].call_rank for node in tied if not linearized >> node & 1), NEVER)


def _exhausted(meter: Meter) -> Decision:
    return Decision(Answer.EXHAUSTED, NAME, progress=f"{meter.steps} steps")


def _is_free(graph: "nx.DiGraph[int]", node: int, linearized: int) -> bool:
    """Whether everything that must come before the node is linearized."""
    return all(linearized >> earlier & 1 for earlier in graph.predecessors(node))
