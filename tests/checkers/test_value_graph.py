"""Why a register of unique values was impossible: the graph of its values, the cycle in it, and the picture."""

from itertools import pairwise
from random import Random
from xml.etree import ElementTree

import pytest
from checker_oracle import register_history

from checkers import History, Model, Operation, Verdict, check, models
from checkers.drawing import svg
from checkers.value_graph import Edge, cycle, value_graph, with_writers


def write(value: int, call: int, back: int, process: int = 0) -> Operation:
    return Operation(f="write", value=value, call_time=call, return_time=back, process=process)


def cas(old: int, new: int, call: int, back: int, process: int = 0) -> Operation:
    return Operation(f="cas", value=(old, new), call_time=call, return_time=back, process=process)


def read(value: int, call: int, back: int, process: int = 0) -> Operation:
    return Operation(f="read", result=value, call_time=call, return_time=back, process=process)


CONTRADICTIONS = {
    "stale read": ([write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)], {1, 2}),
    "initial value came back": ([write(1, 0, 10), read(0, 20, 30)], {0, 1}),
    "inside a chain": ([write(1, 0, 10), cas(1, 2, 20, 30), cas(2, 3, 20, 30, 1), read(1, 40, 50)], {1, 2, 3}),
    "between two of a chain": (
        [write(1, 0, 10), cas(1, 2, 5, 30, 1), write(9, 12, 14, 2), read(9, 12, 20, 3), read(1, 22, 24, 4)],
        {1, 9},
    ),
    "replaced twice": ([write(1, 0, 10), cas(1, 2, 5, 30, 1), cas(1, 3, 5, 30, 2)], {2, 3}),
    "each needs the other": ([cas(2, 3, 0, 10), cas(3, 2, 0, 10, 1)], {2, 3}),
}


def violation_of(operations: list[Operation], model: Model) -> tuple[list[Edge], str]:
    result = check(operations, model)
    assert result.violation is not None
    told = with_writers(result.violation.window, result.violation.prefix, result.violation.judge)
    graph = value_graph(told, result.violation.judge)
    assert graph is not None
    return cycle(graph), svg(result.violation)


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_a_cycle_whose_edges_name_what_forces_them(name: str) -> None:
    operations, values = CONTRADICTIONS[name]
    edges, picture = violation_of(operations, models.cas_register(0))
    assert {int(edge.before) for edge in edges} <= values
    assert all(first.after == second.before for first, second in pairwise([*edges, edges[0]]))
    assert all(str(edge.second) in str(edge) or edge.first is None for edge in edges)
    root = ElementTree.fromstring(picture)
    arrows = [path for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("class") == "cycle"]
    assert len(arrows) == len(edges) >= 2


def test_a_value_that_nobody_wrote_has_no_cycle_but_is_marked() -> None:
    edges, picture = violation_of([write(1, 0, 10), read(7, 20, 30)], models.cas_register(0))
    assert edges == []
    assert "node unwritten" in picture


def test_a_linearizable_history_has_no_cycle_and_an_edge_is_what_real_time_says() -> None:
    model, judged = models.cas_register(0), 0
    for seed in range(2000):
        random = Random(seed)
        history = register_history(random, random.randint(1, 7), unique=True, blind_cas=False)
        graph = value_graph(history.operations, model)
        if graph is None:
            continue
        for _, _, force in graph.edges(data=True):
            first, second = force["first"], force["second"]
            tied = first is second or {first.f if first else "", second.f} == {"cas"}
            assert first is None or tied or first.return_rank < second.call_rank
        if check(history, model).verdict is Verdict.VALID:
            assert not cycle(value_graph(History(check(history, model).witness or (), "h").operations, model) or graph)
            judged += 1
    assert judged > 300


def test_values_written_twice_and_other_models_have_no_such_graph() -> None:
    assert value_graph([write(1, 0, 1), write(1, 2, 3)], models.cas_register(0)) is None
    assert value_graph([Operation(f="add", value=1, call_time=0, return_time=1)], models.get("counter")) is None


def test_text_in_a_picture_is_escaped() -> None:
    bad = [Operation(f="read", result="<b>&", call_time=0, return_time=1)]
    violation = check(bad, models.register("")).violation
    assert violation is not None
    assert "&lt;b&gt;&amp;" in svg(violation)
