"""Real-time order: which operation returned before which other was called.

Lives here: the precedence graph as networkx sees it. Its transitive closure is the interval order of the history;
only the edges of the transitive reduction are drawn, and they are found by one sweep instead of by reducing the
closure.
"""

from collections.abc import Sequence
from heapq import heappop, heappush

import networkx as nx

from checkers.budget import Budget, Meter
from checkers.history import Operation

BYTES_OF_A_NODE, BYTES_OF_AN_EDGE = 700, 180


def precedence_graph(operations: Sequence[Operation], meter: Meter | None = None) -> "nx.DiGraph[int] | None":
    """The transitive reduction of real-time precedence; nodes are positions in `operations`.

    `a -> b` is drawn if `a` returned before `b` was called and nothing was both called and returned in between.
    O(n log n + edges), and there can be n^2 / 4 edges: None if the budget does not last.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    meter = meter or Meter(Budget())
    if not meter.spend(0, BYTES_OF_A_NODE * len(operations)):
        return None
    graph.add_nodes_from(range(len(operations)))
    latest: list[tuple[int, int]] = []  # (return rank, node) of returned operations that nothing has yet superseded
    waiting: list[tuple[int, int, int]] = []  # (return rank, call rank, node), soonest return first
    for node in sorted(range(len(operations)), key=lambda node: operations[node].call_rank):
        operation = operations[node]
        while waiting and waiting[0][0] < operation.call_rank:
            return_rank, call_rank, returned = heappop(waiting)
            latest = [entry for entry in latest if entry[0] > call_rank]
            latest.append((return_rank, returned))
        if not (meter.spend(0, BYTES_OF_AN_EDGE * len(latest)) and meter.read_clock()):
            return None
        graph.add_edges_from((earlier, node) for _, earlier in latest)
        if operation.returned:
            heappush(waiting, (operation.return_rank, operation.call_rank, node))
    return graph
