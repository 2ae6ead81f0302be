"""Every engine against brute force, and each other; every witness replayed, every core refuted."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from checker_oracle import by_subsets, register_history, text_history, versioned_history
from fuzz import OBJECTS, judged, wrong
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from checkers import Budget, History, ModelError, Operation, Verdict, check, kernel, keyed, models, text_trie, witness
from checkers.budget import Meter
from checkers.compiled import Loops
from checkers.decision import Answer
from checkers.engines import decide
from checkers.frontier import Frontier
from checkers.replay import replay
from checkers.state_graph import StateGraph
from checkers.unique_register import columns_of
from checkers.unique_register import decide as decide_register

RANDOMS = st.randoms(use_true_random=False)


def relevant(history: History, model: models.Model) -> list[Operation]:
    return [operation for operation in history if model.relevant(operation)]


@pytest.mark.parametrize("engine", ["auto", "search", "reference"])
@given(RANDOMS, st.integers(1, 8), st.booleans())
@settings(deadline=None, max_examples=250)
def test_an_engine_agrees_with_brute_force(engine: str, random: Random, size: int, unique: bool) -> None:
    history, model = register_history(random, size, unique=unique), models.cas_register(0)
    operations = relevant(history, model)
    decision = decide(history, model, engine, Meter(Budget()))
    assert (decision.answer is Answer.LINEARIZED) == by_subsets(operations, model)
    if decision.answer is Answer.LINEARIZED:
        order = [history.operations[place] for place in decision.order]
        assert replay(order, operations, model) is None


@pytest.mark.parametrize("made", [register_history, versioned_history, text_history])
def test_what_check_says_is_true_and_proved(made: Callable[[Random, int], History]) -> None:
    kinds = {register_history: models.cas_register(0), versioned_history: models.versioned_register(0)}
    model = kinds.get(made, models.get("kv-unsplit"))
    for seed in range(1200):
        random = Random(seed)
        history = made(random, random.randint(2, 7))
        result = check(history, model)
        if not any(one.returned for one in result.relevant):
            continue
        assert result.verdict is not Verdict.UNKNOWN, seed
        assert (result.verdict is Verdict.VALID) == by_subsets(history.operations, model), seed
        if result.violation is not None:
            window = result.violation.window
            assert not by_subsets(window, result.violation.judge), seed
            assert result.violation.blocked.call_rank in {one.call_rank for one in window}, seed


def test_the_search_on_many_histories(loops: Loops) -> None:
    model = models.cas_register(0)
    graph = StateGraph(model, loops)
    for seed in range(2000):
        random = Random(seed)
        history = register_history(random, random.randint(1, 8))
        operations = History(relevant(history, model), "h")
        found = Frontier(operations.columns, graph, loops).decide(Meter(Budget()))
        assert found is not None
        assert (found.answer is Answer.LINEARIZED) == by_subsets(history.operations, model), seed
        if found.answer is Answer.LINEARIZED:
            order = [operations.operations[place] for place in found.order]
            assert replay(order, operations.operations, model) is None, seed


def test_the_register_engine_on_many_histories(loops: Loops) -> None:
    model, applied = models.cas_register(0), 0
    for seed in range(3000):
        random = Random(seed)
        history = register_history(random, random.randint(1, 8), unique=True, blind_cas=False)
        operations = relevant(history, model)
        columns = columns_of(operations, 0, loops)
        assert columns is not None
        if isinstance(columns, int):
            assert not by_subsets([operations[columns]], model), seed
            continue
        answer = decide_register(columns[0], loops)
        applied += answer.applies
        if answer.applies:
            assert (answer.witness is not None) == by_subsets(operations, model), seed
            core = [operations[columns[1][row]] for row in answer.core]
            assert not core or not by_subsets(core, model), seed
    assert applied > 2000


MODELS = ["versioned-register", "counter", "set", "queue", "stack", "mutex", "kv", "kv-unsplit"]


@pytest.mark.parametrize("name", MODELS)
@given(RANDOMS, st.integers(1, 6))
@settings(deadline=None, max_examples=100)
def test_every_model_is_judged_as_brute_force_would(name: str, random: Random, size: int) -> None:
    model = models.get(name)
    history = random_history(random, size, sorted(model.operations))
    operations = relevant(history, model)
    for engine in ("search", "auto"):
        decision = decide(history, model, engine, Meter(Budget()))
        assert (decision.answer is Answer.LINEARIZED) == by_subsets(operations, model)


def random_history(random: Random, size: int, names: list[str]) -> History:
    """Operations of those names with small numbers for arguments and results, sets and texts where they belong."""
    operations = []
    for process in range(size):
        f = random.choice(names)
        small, call = random.randint(0, 2), random.randint(0, 12)
        value = {"cas": (small, random.randint(0, 2)), "append": "ab"[small % 2], "put": "b"}.get(f, small)
        result: object = random.randint(0, 2)
        if f == "get":
            result = random.choice(["", "a", "b", "ab", "ba"])
        if f == "read" and "remove" in names:
            result = tuple(range(random.randint(0, 2)))
        operation = Operation(
            f=f,
            value=value,
            result=result,
            process=process,
            call_time=call,
            return_time=call + random.randint(0, 6),
            key=random.choice("xy") if "append" in names else None,
        )
        version = random.choice([None, None, random.randint(0, 2)])
        operations.append(replace(operation, status="info" if random.random() < 0.15 else "ok", version=version))
    return History.of_operations(operations)


def test_more_operations_than_a_word_has_bits_may_be_open() -> None:
    writes = [Operation(f="cas", value=(n, n + 1), process=n, call_time=0, return_time=1000 + n) for n in range(80)]
    good = [*writes, Operation(f="read", result=80, call_time=2000, return_time=2001)]
    assert check(good, models.cas_register(0), engine="search").verdict is Verdict.VALID
    bad = [*writes, Operation(f="read", result=79, call_time=2000, return_time=2001)]
    assert check(bad, models.cas_register(0), engine="search").verdict is Verdict.INVALID


def test_the_register_engine_says_when_it_does_not_apply() -> None:
    twice = [Operation(f="write", value=1, call_time=n, return_time=n + 5) for n in range(2)]
    with pytest.raises(ModelError, match="the register engine does not apply"):
        check([*twice, Operation(f="read", result=1, call_time=3, return_time=4)], "register", engine="register")


def test_the_fuzz_test_finds_nothing_in_its_first_histories_and_asks_every_engine(tmp_path: Path) -> None:
    count, mistake = judged((0, 1200, 9, str(tmp_path)))
    assert mistake == ""
    assert count["histories"] == 1200
    assert all(count[f"auto: {engine}"] for engine in ("register", "versions"))
    assert all(count[f"{name}: {verdict}"] for name in OBJECTS for verdict in ("valid", "invalid"))


def test_it_finds_nothing_where_operations_are_made_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkers.history.MOST_MADE", 0)
    count, mistake = judged((0, 1200, 9, str(tmp_path)))
    assert mistake == ""
    assert all(count[f"auto: {engine}"] for engine in ("register", "versions"))


def test_the_fuzz_test_would_find_a_wrong_decision() -> None:
    history = register_history(Random(1), 6)
    operations = [one for one in history if models.cas_register(0).relevant(one)]
    truth = by_subsets(operations, models.cas_register(0))
    said = decide(history, models.cas_register(0), "search", Meter(Budget()))
    assert wrong(said, history, operations, models.cas_register(0), truth) == ""
    assert wrong(said, history, operations, models.cas_register(0), not truth).startswith("the ")


def test_the_machine_code_is_made_anew_when_any_loop_has_changed() -> None:
    pytest.importorskip("numba", reason="it is numba that keeps the machine code")
    from checkers.machine_code import SEARCH, Compiled

    assert {module.__name__ for module in (kernel, keyed, text_trie, witness)} < {module.__name__ for module in SEARCH}
    newest = max((str(module.__file__) for module in SEARCH), key=os.path.getmtime)
    assert Compiled.search["run_in"].py_func.__code__.co_filename == newest  # type: ignore[attr-defined]
