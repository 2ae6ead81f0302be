"""A violation as a picture: its window as a timeline and, for a register of unique values, the cycle of values.

Lives here: SVG, written as text. What is drawn comes from `checkers.result` and `checkers.value_graph`.
"""

from collections.abc import Iterator, Sequence
from html import escape
from math import cos, pi, sin
from textwrap import wrap
from typing import TYPE_CHECKING

from checkers.history import NEVER, Operation
from checkers.result import Violation
from checkers.times import Times
from checkers.value_graph import Edge, cycle, value_graph, with_writers

if TYPE_CHECKING:
    import networkx as nx

WIDTH, MARGIN, ROW, LINE, LABEL, CHARACTERS = 900, 20, 30, 18, 250, 110
RADIUS, NODE = 120, 28
STYLE = (
    "text{font:13px sans-serif;fill:#222} .small{font-size:11px;fill:#555} .head{font-weight:bold}"
    " .bar{fill:#9db8d9} .bad{fill:#d9534f} .node{fill:#fff;stroke:#444;stroke-width:1.5}"
    " .unwritten{stroke-dasharray:4 3;stroke:#d9534f} .edge{fill:none;stroke:#bbb;marker-end:url(#grey)}"
    " .cycle{fill:none;stroke:#d9534f;stroke-width:2;marker-end:url(#red)} .told{fill:#d9534f}"
)
MARKER = (
    '<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
)


def svg(violation: Violation) -> str:
    """The picture as a document."""
    rows = sorted(violation.window, key=lambda one: one.call_rank)
    head = wrap(violation.sentence, CHARACTERS)
    parts = [_text(MARGIN, LINE * number, text, "head") for number, text in enumerate(head, 1)]
    height = LINE * len(head) + MARGIN
    parts += _timeline(rows, violation.blocked, height, Times(rows, violation.start))
    height += ROW * len(rows) + MARGIN
    graph = value_graph(with_writers(violation.window, violation.prefix, violation.judge), violation.judge)
    if graph is not None:
        edges = cycle(graph)
        parts += _values(graph, edges, height)
        height += 2 * (RADIUS + NODE + MARGIN) + LINE * (len(edges) + 1)
    defs = MARKER.format(name="grey", colour="#bbb") + MARKER.format(name="red", colour="#d9534f")
    root = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}">'
    return "\n".join([root, f"<style>{STYLE}</style><defs>{defs}</defs>", *parts, "</svg>", ""])


def _timeline(rows: Sequence[Operation], blocked: Operation, top: int, times: Times) -> Iterator[str]:
    """A bar for each operation, from its call to its return; equal distances between events, since order is all."""
    ranks = sorted({rank for one in rows for rank in (one.call_rank, one.return_rank) if rank != NEVER})
    step = (WIDTH - LABEL - 2 * MARGIN) / (len(ranks) + 1)
    place = {rank: LABEL + step * number for number, rank in enumerate(ranks, 1)} | {NEVER: WIDTH - MARGIN}
    for number, one in enumerate(rows):
        y = top + ROW * number
        kind = "bar bad" if one.call_rank == blocked.call_rank else "bar"
        start, end = place[one.call_rank], place[one.return_rank]
        yield _text(MARGIN, y + 15, str(one), "told" if "bad" in kind else "")
        yield f'<rect class="{kind}" x="{start:.0f}" y="{y}" width="{max(3, end - start):.0f}" height="20" rx="3"/>'
        yield _text(start + 4, y + 15, f"{times.called(one)} .. {times.returned(one)}{times.suffix}", "small")


def _values(graph: "nx.DiGraph[str]", edges: Sequence[Edge], top: int) -> Iterator[str]:
    """The values in a circle, those of the cycle in its order; under them a line for each edge of the cycle."""
    order = [edge.before for edge in edges]
    order += [value for value in graph if value not in order]
    centre_x, centre_y = WIDTH / 2, top + NODE + RADIUS
    angle = 2 * pi / len(order)
    at = {
        value: (centre_x - RADIUS * 1.6 * cos(angle * number), centre_y - RADIUS * sin(angle * number))
        for number, value in enumerate(order)
    }
    told = {(edge.before, edge.after): number for number, edge in enumerate(edges, 1)}
    for before, after in sorted(graph.edges, key=lambda edge: edge in told):
        yield _arrow(at[before], at[after], told.get((before, after)))
    for value, (x, y) in at.items():
        kind = "node" if graph.nodes[value]["written"] else "node unwritten"
        yield f'<circle class="{kind}" cx="{x:.0f}" cy="{y:.0f}" r="{NODE}"/>'
        yield _text(x, y + 5, _short(value), anchor="middle")
    top += 2 * (RADIUS + NODE + MARGIN)
    for number, edge in enumerate(edges, 1):
        yield _text(MARGIN, top + LINE * number, f"({number}) {edge.before} before {edge.after}, since {edge}", "told")


def _arrow(start: tuple[float, float], end: tuple[float, float], number: int | None) -> str:
    """A bent arrow from one circle to another, with its number if it is of the cycle."""
    (x1, y1), (x2, y2) = start, end
    length = max(1.0, ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    bend_x, bend_y = (x1 + x2) / 2 - dy * 30, (y1 + y2) / 2 + dx * 30
    kind = "edge" if number is None else "cycle"
    line = (
        f'<path class="{kind}" d="M{x1 + dx * NODE:.0f} {y1 + dy * NODE:.0f}'
        f'Q{bend_x:.0f} {bend_y:.0f} {x2 - dx * NODE:.0f} {y2 - dy * NODE:.0f}"/>'
    )
    return line if number is None else line + _text(bend_x, bend_y, str(number), "told")


def _short(text: str) -> str:
    return text if len(text) <= 7 else f"{text[:6]}..."


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'
