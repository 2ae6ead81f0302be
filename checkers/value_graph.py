"""Which value must come before which: why a register with unique values cannot have held them in any order.

Lives here: the graph as networkx, for the few operations of a window. A register holds a value for one stretch of
time, and a cas ties the stretches of its two values together. So there is an edge

- from the value that a cas replaced to the value that it wrote;
- from one chain of values so tied to another, from the last of the one to the first of the other, if an operation on
  the one returned before an operation on the other was called;
- against the chain, if an operation on a later value returned before one on an earlier value was called;
- both ways between two values whose cas replaced the same one.

Every edge has the operations that force it. A cycle is a contradiction; where there is one, a shortest is found.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise, permutations
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET

from checkers.history import Operation
from checkers.models import Model, cas_argument
from checkers.registers import holds_one_value
from checkers.version_order import value_after
from checkers.wording import shown

if TYPE_CHECKING:
    import networkx as nx

MOST_VALUES = 200
Force = tuple[Operation | None, Operation]
_return_rank, _call_rank = attrgetter("return_rank"), attrgetter("call_rank")


class Edge(NamedTuple):
    """One step of a cycle: the value `before` must come before the value `after`; `first` and `second` force it.

    `first` returned before `second` was called; or it is None: the register began with `before`; or the two are one
    cas, or two that replaced the same value.
    """

    before: str
    after: str
    first: Operation | None
    second: Operation

    def __str__(self) -> str:
        """In words, as under an arrow."""
        if self.first is None:
            return "the register began with it"
        if self.first is self.second:
            return f"[{self.second}] ties them together"
        if self.first.return_rank < self.second.call_rank:
            return f"[{self.first}] had returned when [{self.second}] was called"
        return f"[{self.first}] and [{self.second}] replaced the same value"


def value_graph(operations: Sequence[Operation], model: Model) -> "nx.DiGraph[str] | None":
    """The values, as text, with their `operations` and whether any `written`; edges with `first` and `second`.

    None for a model that is no register of single values, and where a value has two possible writers. O(values^2).
    """
    import networkx as nx

    told = [
        one for one in operations if holds_one_value(model) and model.relevant(one) and value_after(one) is not UNSET
    ]
    touching: dict[str, list[Operation]] = {shown(model.initial): []}
    for one in told:
        touching.setdefault(_after(one), []).append(one)
        if _is_cas(one):
            touching.setdefault(_before(one), [])
    writers = {value: sum(map(_writes, found)) + (value == shown(model.initial)) for value, found in touching.items()}
    if not told or max(writers.values()) > 1 or len(touching) > MOST_VALUES:
        return None
    graph: nx.DiGraph[str] = nx.DiGraph()
    for value, found in touching.items():
        graph.add_node(value, operations=tuple(found), written=writers[value] > 0)
    cas = [one for one in told if _is_cas(one)]
    for one in cas:
        _force(graph, _before(one), _after(one), (one, one))
    chains = _chains(graph)
    for chain in chains:
        for early, late in combinations(chain, 2):
            _force(graph, late, early, _order(touching[late], touching[early]))
    for mine, theirs in permutations(chains, 2):
        first = None if mine[0] == shown(model.initial) else [one for value in mine for one in touching[value]]
        _force(graph, mine[-1], theirs[0], _order(first, [one for value in theirs for one in touching[value]]))
    for one, other in permutations(cas, 2):
        if _before(one) == _before(other):
            _force(graph, _after(one), _after(other), (one, other))
    return graph


def with_writers(window: Sequence[Operation], prefix: Sequence[Operation], model: Model) -> list[Operation]:
    """A window and, from the prefix that it is of, what wrote the values that it speaks of, in order of calls.

    A window does without the writer of a value whose overwriting shows by itself; a graph does not.
    """
    if not holds_one_value(model):
        return [*window]
    found = {one.call_rank: one for one in window}
    waiting = [*window]
    while waiting:
        one = waiting.pop()
        values = {value for value in (_before(one) if _is_cas(one) else None, _after(one)) if value is not None}
        for other in prefix:
            if _writes(other) and other.call_rank not in found and _after(other) in values:
                found[other.call_rank] = other
                waiting.append(other)
    return [found[rank] for rank in sorted(found)]


def cycle(graph: "nx.DiGraph[str]") -> list[Edge]:
    """A shortest cycle of the graph, edge by edge; empty if it has none."""
    import networkx as nx

    found: list[str] = []
    for before, after in graph.edges:
        if nx.has_path(graph, after, before):
            path: list[str] = nx.shortest_path(graph, after, before)
            if not found or len(path) < len(found):
                found = path
    return [Edge(one, other, **graph.edges[one, other]) for one, other in pairwise([*found, *found[:1]])]


def _force(graph: "nx.DiGraph[str]", before: str, after: str, force: Force | None) -> None:
    """Adds an edge if something forces it and nothing else did."""
    if force is not None and not graph.has_edge(before, after):
        graph.add_edge(before, after, first=force[0], second=force[1])


def _order(mine: Sequence[Operation] | None, theirs: Sequence[Operation]) -> Force | None:
    """Two operations of which mine returned before theirs was called, if there are such; None is the very beginning."""
    if not theirs or mine == []:
        return None
    second = max(theirs, key=_call_rank)
    first = min(mine, key=_return_rank) if mine is not None else None
    return (first, second) if first is None or first.return_rank < second.call_rank else None


def _chains(graph: "nx.DiGraph[str]") -> list[list[str]]:
    """The values tied together by cas, in order; a value that two cas replaced ends its chain."""
    followed = {value: next(iter(graph.successors(value))) for value in graph if graph.out_degree(value) == 1}
    chains, left = [], set(graph)
    starts = [value for value in graph if all(followed.get(before) != value for before in graph.predecessors(value))]
    for start in [*starts, *graph]:
        chain, value = [], start
        while value in left:
            left.remove(value)
            chain.append(value)
            value = followed.get(value, start)
        if chain:
            chains.append(chain)
    return chains


def _before(cas: Operation) -> str:
    return shown(cas_argument(cas)[0])


def _after(operation: Operation) -> str:
    return shown(value_after(operation))


def _writes(operation: Operation) -> bool:
    return operation.f != "read" and operation.status != "fail"


def _is_cas(operation: Operation) -> bool:
    return operation.f == "cas" and _writes(operation)
