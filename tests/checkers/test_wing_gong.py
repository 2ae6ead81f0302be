"""The reference search and its precedence graph, each against an oracle that is too simple to be wrong."""

from random import Random

import networkx as nx
import pytest
from checker_oracle import by_permutations, by_subsets, register_history
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import Budget, History, Operation, Verdict, check, models
from checkers.budget import Meter
from checkers.decision import Answer
from checkers.precedence import precedence_graph
from checkers.replay import replay
from checkers.wing_gong import search

SIZES = st.integers(1, 6)
RANDOMS = st.randoms(use_true_random=False)


@given(RANDOMS, SIZES)
@settings(deadline=None, max_examples=150)
def test_the_two_oracles_agree(random: Random, size: int) -> None:
    history, model = register_history(random, size - 1 or 1), models.cas_register(0)
    assert by_permutations(history.operations, model) == by_subsets(history.operations, model)


@given(RANDOMS, st.integers(1, 30))
@settings(deadline=None)
def test_the_sweep_is_the_transitive_reduction(random: Random, size: int) -> None:
    operations = register_history(random, size).operations
    closure = nx.DiGraph()
    closure.add_nodes_from(range(len(operations)))
    closure.add_edges_from(
        (a, b)
        for a, first in enumerate(operations)
        for b, second in enumerate(operations)
        if first.return_rank < second.call_rank
    )
    assert set(precedence_graph(operations).edges) == set(nx.transitive_reduction(closure).edges)


@pytest.mark.parametrize("name", ["cas-register", "versioned-register"])
@given(RANDOMS, st.integers(1, 7))
@settings(deadline=None, max_examples=300)
def test_the_reference_agrees_with_brute_force_and_its_witness_replays(name: str, random: Random, size: int) -> None:
    history, model = register_history(random, size), models.get(name, 0)
    operations = [operation for operation in history if model.relevant(operation)]
    found = search(operations, model, Meter(Budget()))
    assert (found.answer is Answer.LINEARIZED) == by_subsets(history.operations, model)
    if found.answer is Answer.LINEARIZED:
        assert replay([operations[node] for node in found.order], operations, model) is None


@given(RANDOMS, st.integers(2, 7))
@settings(deadline=None, max_examples=200)
def test_a_violation_is_the_first_failing_prefix_and_its_window_fails_alone(random: Random, size: int) -> None:
    history, model = register_history(random, size), models.cas_register(0)
    violation = check(history, model, engine="reference").violation
    if violation is None:
        return
    assert not by_subsets(violation.prefix, model)
    assert not by_subsets(violation.window, model)
    relevant = history.part([place for place, one in enumerate(history) if model.relevant(one)])
    returns = sorted((one.return_rank, place) for place, one in enumerate(relevant) if one.returned)
    earlier = [place for rank, place in returns if rank < violation.blocked.return_rank]
    if earlier:
        assert by_subsets(relevant.prefix(earlier[-1]).operations, model)


def test_a_replay_refuses_what_is_no_linearization() -> None:
    history = History.of_operations(
        [
            Operation(f="write", value=1, call_time=0, return_time=1),
            Operation(f="read", result=1, call_time=2, return_time=3),
        ]
    )
    write, read = history
    model = models.register(0)
    assert replay([write, read], history.operations, model) is None
    late = History.of_operations([write, Operation(f="write", value=2, call_time=2, return_time=3)]).operations
    assert "comes after" in str(replay(late[::-1], late, model))
    assert "is missing" in str(replay([write], history.operations, model))
    assert "twice" in str(replay([write, write, read], history.operations, model))
    assert "illegal" in str(replay([read], history.operations, model))


def test_a_long_sequential_history_needs_no_recursion() -> None:
    operations = [
        Operation(f="write", value=number, call_time=2 * number, return_time=2 * number + 1) for number in range(2000)
    ]
    assert check(operations, "register", engine="reference").verdict is Verdict.VALID


def blind_histories(size: int) -> list[Operation]:
    """All concurrent, all different, and a read of what nobody wrote: every order has to be tried."""
    writes = [
        Operation(f="cas", value=(n, n + 1), error="mismatch", status="fail", call_time=0, return_time=9)
        for n in range(size)
    ]
    writes += [Operation(f="write", value=n, call_time=0, return_time=9) for n in range(size)]
    return [*writes, Operation(f="read", result=-1, call_time=0, return_time=9)]


def test_a_spent_step_budget_is_unknown() -> None:
    result = check(blind_histories(8), models.cas_register(0), budget=Budget(steps=1000), engine="reference")
    assert result.verdict is Verdict.UNKNOWN
    assert "budget of 1000 steps is spent" in result.reason


def test_a_spent_time_budget_is_unknown() -> None:
    ticks = iter(range(10_000))
    result = check(
        blind_histories(8),
        models.cas_register(0),
        budget=Budget(seconds=3),
        engine="reference",
        clock=lambda: next(ticks),
    )
    assert result.verdict is Verdict.UNKNOWN
    assert "time budget of 3 s is spent" in result.reason


def test_a_spent_memory_budget_is_unknown() -> None:
    result = check(blind_histories(8), models.cas_register(0), budget=Budget(bytes=10_000), engine="reference")
    assert result.verdict is Verdict.UNKNOWN
    assert "memory budget of 10000 bytes is spent" in result.reason
