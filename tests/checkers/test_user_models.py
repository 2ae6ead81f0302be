"""Models as users write them: plain values in, one clear line for what is no state, never a wrong verdict."""

import asyncio
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fuzz_models import mistake_of

from checkers import ILLEGAL, Model, ModelError, Operation, Verdict, check, models

ENGINES = ("auto", "search", "reference")


def op(f: str, value: object = None, result: object = None, at: int = 0) -> Operation:
    return Operation(f=f, value=value, result=result, call_time=at, return_time=at + 1)


def in_turn(*operations: Operation) -> list[Operation]:
    return [op(one.f, one.value, one.result, 10 * place) for place, one in enumerate(operations)]


@pytest.mark.parametrize("first", range(0, 2400, 300))
def test_naive_models_are_judged_as_brute_force_judges_them(first: int) -> None:
    count: Counter[str] = Counter()
    for seed in range(first, first + 300):
        assert not mistake_of(seed, 7, count), f"seed {seed}"
    assert count["reported"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_gets_the_values_that_were_recorded(engine: str) -> None:
    seen: list[object] = []

    def step(state: object, operation: Operation) -> object:
        seen.extend([operation.value, operation.result])
        return state if operation.result is True and operation.value == (True, 1, frozenset({False})) else ILLEGAL

    history = [op("ask", [True, 1, {False}], True)]
    assert check(history, Model("plain", 0, step), engine=engine).verdict is Verdict.VALID  # type: ignore[arg-type]
    assert {type(value) for value in seen} == {tuple, bool}


@pytest.mark.parametrize("engine", ENGINES)
def test_states_that_are_equal_but_not_the_same_are_two(engine: str) -> None:
    @dataclass(frozen=True)
    class Box:
        held: object

    def step(state: Box, operation: Operation) -> object:
        if operation.f == "put":
            return Box(operation.value)
        return state if repr(operation.result) == repr(state.held) else ILLEGAL

    model = Model("box", Box(None), step)  # type: ignore[arg-type]
    both = [Operation(f="put", value=value, process=n, call_time=0, return_time=5) for n, value in enumerate((1, True))]
    for value in (1, True):
        assert check([*both, op("get", None, value, 10)], model, engine=engine).verdict is Verdict.VALID
    assert check([*both, op("get", None, 1.0, 10)], model, engine=engine).verdict is Verdict.INVALID


def changes(state: list[int], operation: Operation) -> object:
    return state


class Bag:
    """A state that its step changes in place."""

    def __init__(self) -> None:
        self.items: list[object] = []


def fills(bag: Bag, operation: Operation) -> object:
    bag.items.append(operation.value)
    return bag


def counts() -> Callable[[int, Operation], object]:
    calls = []

    def step(state: int, operation: Operation) -> object:
        calls.append(operation)
        return state + len(calls)

    return step


async def waits(state: int, operation: Operation) -> object:
    return await asyncio.sleep(0, state)


def yields(state: int, operation: Operation) -> object:
    yield state


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("initial", "step", "said"),
    [
        (0, lambda s, o: o.result == s, "gave False for a state .* give the next state, or ILLEGAL"),
        (0, lambda s, o: (True, s), r"gave \(True, 0\) for a state .* give the state alone"),
        ((), lambda s, o: (True, s), r"gave \(True, \(\)\) for a state .* give the state alone"),
        (0, lambda s, o: None, "gave None for a state"),
        (0, lambda s, o: NotImplemented, "gave NotImplemented for a state"),
        (0, lambda s, o: ValueError("no"), "gave ValueError"),
        (0, lambda s, o: {s}, "unhashable type: 'set'; use a frozenset"),
        (0, lambda s, o: [s], "unhashable type: 'list'; use a tuple"),
        (0, lambda s, o: {"a": s}, "unhashable type: 'dict'; use a tuple of pairs"),
        (0, lambda s, o: iter([s]), "gave an iterator"),
        (0, lambda s, o: lambda: s, "gave a function"),
        (0, waits, "something to await .* plain function"),
        (0, yields, "gave an iterator"),
        (0, lambda s: s, r"its step takes \(s\), and is called with \(state, operation\)"),
        ([], changes, r"the initial state \[\]: unhashable type: 'list'; use a tuple"),
        (set(), changes, r"the initial state set\(\): unhashable type: 'set'; use a frozenset"),
        ({}, changes, r"the initial state {}: unhashable type: 'dict'; use a tuple of pairs"),
        (Bag(), fills, "changed the state that it was given .* give a new state"),
        (0, counts(), "for one and the same state .* let it depend on its two arguments alone"),
    ],
)
def test_a_misuse_is_one_line_that_says_what_to_do(engine: str, initial: object, step: object, said: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match=said) as caught:
            check(in_turn(op("a", 1, 1), op("b", 2, 2)), Model("mine", initial, step), engine=engine)  # type: ignore[arg-type]
    assert "model mine" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_state_is_found_also_where_no_engine_had_to_ask() -> None:
    """The order of the returns is a linearization: nobody asks what a `check` of 2 gives at first."""

    def step(state: int, operation: Operation) -> object:
        return operation.value if operation.f == "set" or state == operation.value else False

    with pytest.raises(ModelError, match="gave False for a state"):
        check(in_turn(op("set", 2), op("check", 2)), Model("mine", 0, step))  # type: ignore[arg-type]


def test_booleans_are_states_of_a_model_that_begins_with_one() -> None:
    def step(held: bool, operation: Operation) -> object:
        return ILLEGAL if held == (operation.f == "take") else not held

    lock = Model("lock", False, step)  # type: ignore[arg-type]
    assert check(in_turn(op("take"), op("give"), op("take")), lock).verdict is Verdict.VALID
    assert check(in_turn(op("take"), op("take")), lock).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "gave None"),
        (True, "gave True"),
        ("ab", "gave 'ab'"),
        ([True], "gave True for one of the states"),
        ([None], "gave None for one of the states"),
        ([ILLEGAL], "ILLEGAL"),
        ([[1]], "no hash"),
    ],
)
def test_a_model_that_may_go_several_ways_gives_a_list_of_states(found: object, said: str) -> None:
    mine = models.nondeterministic("mine", [0], lambda state, operation: found)  # type: ignore[arg-type, return-value]
    with pytest.raises(ModelError, match=f"model mine .*{said}") as caught:
        check(in_turn(op("a"), op("b")), mine)
    assert "\n" not in str(caught.value)


def test_a_model_that_may_go_several_ways_tells_states_apart() -> None:
    def steps(state: object, operation: Operation) -> list[object]:
        if operation.f == "any":
            return [1, True, 1.0]
        return [state] if type(state) is type(operation.result) and state == operation.result else []

    mine = models.nondeterministic("mine", [True, 1], steps)  # type: ignore[arg-type]
    for value in (1, True, 1.0):
        assert check(in_turn(op("any"), op("see", None, value)), mine).verdict is Verdict.VALID
    assert check(in_turn(op("any"), op("see", None, 1), op("see", None, True)), mine).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reads": "read"}, "`reads` is a set of names, not the text 'read'; give {'read'}"),
        ({"operations": "add"}, "`operations` is a set of names, not the text 'add'"),
        ({"overwrites": 3}, "`overwrites` is a set of names, not 3"),
        ({"reads": [1]}, "`reads` is a set of names, and 1 is none"),
        ({"per_key": "no"}, "`per_key` is True or False, not 'no'"),
        ({"observes": None}, "`observes` is a function, not None"),
        ({"step": 3}, "`step` is a function, not 3"),
    ],
)
def test_a_wrong_argument_of_a_model_is_one_line(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        Model(**{"name": "mine", "initial": 0, "step": lambda s, o: s, **fields})  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_names_may_come_in_any_collection() -> None:
    model = Model("mine", 0, lambda s, o: s, reads=["read"])  # type: ignore[arg-type]
    assert model.reads == frozenset({"read"})
