"""What a model does wrong: the same line from every engine, with the place of the operation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checkers import ILLEGAL, Event, History, Model, ModelError, Operation, Verdict, check, models, unfinished
from checkers.budget import Budget, Meter
from checkers.decision import Answer, Decision
from checkers.explain import shortest
from checkers.models import Illegal
from checkers.windows import Refuter

ENGINES = ("auto", "search", "reference")


def op(f: str, call: int, back: int | None, **more: object) -> Operation:
    return Operation(f=f, call_time=call, return_time=back, **more)  # type: ignore[arg-type]


def model(step: Callable[..., object], **more: object) -> Model:
    return Model("mine", 0, step, **more)  # type: ignore[arg-type]


def fails(state: object, operation: Operation) -> object:
    """Raises off the path that the returns take."""
    if operation.f == "b" and state == 0:
        raise ZeroDivisionError("x\n  y")
    return "done"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_raises_is_named_with_the_line_of_the_operation(engine: str) -> None:
    events = [
        (0, "invoke", "b"),
        (1, "invoke", "a"),
        (1, "ok", "a"),
        (0, "ok", "b"),
        (0, "invoke", "b"),
        (0, "ok", "b"),
    ]
    history = History.of_events(
        [Event(index=n, time=n, type=kind, process=who, f=f) for n, (who, kind, f) in enumerate(events)],  # type: ignore[arg-type]
        "h.jsonl",
    )

    def step(state: object, operation: Operation) -> object:
        if operation.f == "b":
            raise ZeroDivisionError("x\n  y")
        return state

    with pytest.raises(ModelError) as caught:
        check(history, model(step), engine=engine)
    assert str(caught.value) == "h.jsonl:1: model mine raised ZeroDivisionError on [0: b -> ok]: x y"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("engine", ["search", "reference"])
def test_it_is_named_also_where_only_that_engine_asked_for_it(engine: str) -> None:
    with pytest.raises(ModelError, match=r"operation 0: model mine raised ZeroDivisionError on \[0: b -> ok\]: x y$"):
        check([op("b", 0, 10), op("a", 1, 5, process=1)], model(fails), engine=engine)


def test_the_line_is_that_of_this_history_though_another_had_such_an_operation_before() -> None:
    def step(state: object, operation: Operation) -> object:
        if operation.f == "b":
            raise ValueError(operation.value)
        return operation.value

    mine = model(step)
    for before in range(3):
        history = [op("a", n, n, value=n) for n in range(before)] + [op("b", 10, 11, value=7)]
        with pytest.raises(ModelError, match=f"operation {before}: model mine raised ValueError"):
            check(history, mine, engine="search")


@pytest.mark.parametrize("name", ["observes", "part"])
@pytest.mark.parametrize("engine", ["search", "reference"])
def test_its_other_functions_are_guarded_as_well(name: str, engine: str) -> None:
    def raises(operation: Operation) -> bool:
        raise KeyError(operation.f)

    if (name, engine) == ("part", "reference"):
        return  # which knows no parts
    with pytest.raises(ModelError, match=r"model mine raised KeyError on \[0: a -> ok\]: 'a'"):
        check([op("a", 0, 1)], model(lambda state, _: state, **{name: raises}), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("state", "said"),
    [
        ([1], r"raised TypeError on \[0: a -> ok\]: unhashable type: 'list'"),
        (None, r"gave None for a state on \[0: a -> ok\]: give ILLEGAL"),
        (Illegal, r"gave the class Illegal for a state on \[0: a -> ok\]: give ILLEGAL"),
    ],
)
def test_what_is_no_state_is_refused_by_every_engine(engine: str, state: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check([op("a", 0, 1)], model(lambda *_: state), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_none_is_a_state_of_a_model_that_begins_with_it(engine: str) -> None:
    nothing = Model("nothing", None, lambda state, _: state)
    assert check([op("a", 0, 1)], nothing, engine=engine).verdict is Verdict.VALID


@pytest.mark.parametrize("engine", ENGINES)
def test_an_initial_state_without_a_hash_is_refused(engine: str) -> None:
    with pytest.raises(ModelError, match=r"model mine: the initial state \[\]: unhashable type"):
        check([op("a", 0, 1)], Model("mine", [], lambda state, _: state), engine=engine)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="model mine: `initial` is every state that it may begin in"):
        models.nondeterministic("mine", [[]], lambda state, _: [state])  # type: ignore[list-item]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_read_that_changes_the_state_is_refused(engine: str) -> None:
    counting = model(lambda state, _: state + 1, reads=frozenset({"a"}))
    with pytest.raises(ModelError, match=r"model mine went from 0 to 1 on \[0: a -> ok\]: a is one of its `reads`"):
        check([op("a", 0, 1)], counting, engine=engine)


def test_a_model_that_looks_at_what_makes_no_kind_gets_an_error_and_no_verdict() -> None:
    """Operations of other processes are one kind, so the search asks only about the first of them."""

    def step(owner: int, operation: Operation) -> object:
        if operation.f == "lock":
            return operation.process if owner == 0 else ILLEGAL
        return 0 if owner == operation.process else ILLEGAL

    def locked(*processes: int) -> list[Operation]:
        names = zip(["lock", "unlock", "lock", "unlock"], processes, strict=True)
        return [op(f, 2 * n, 2 * n + 1, process=process) for n, (f, process) in enumerate(names)]

    assert check(locked(1, 1, 2, 2), model(step), engine="reference").verdict is Verdict.VALID
    assert check(locked(1, 1, 2, 1), model(step), engine="reference").verdict is Verdict.INVALID
    with pytest.raises(ModelError, match=r"model mine denied the .*search an order that it had allowed: .* pure"):
        check(locked(1, 1, 2, 1), model(step), engine="search")


def test_what_is_unfinished_is_asked_of_a_guarded_model() -> None:
    def step(state: object, operation: Operation) -> object:
        if operation.f == "crash":
            raise ValueError("a\nb")
        return state

    mine = model(step)
    result = check([op("crash", 0, None), op("a", 1, 2)], model(lambda state, _: state))
    with pytest.raises(ModelError, match=r"model mine raised ValueError on \[0: crash -> \?\]: a b"):
        list(unfinished(result, mine))


def test_the_architecture_keeps_the_guard_in_one_place() -> None:
    """No engine has a handler of its own for what a model raises."""
    folder = Path(check.__code__.co_filename).parent
    assert [path.name for path in sorted(folder.glob("*.py")) if "except Exception" in path.read_text()] == ["guard.py"]


def test_engines_that_contradict_each_other_end_in_no_crash() -> None:
    """As where the effort does not last, or a model breaks its word: what one engine refuted, no other does."""
    history = History.of_operations([op("a", 0, 1), op("b", 2, 3)])
    refuted = Refuter(Model("all", 0, lambda state, _: state), Meter(Budget()), 1000)
    said = Decision(Answer.REFUTED, "search")
    assert [shortest(history, place, said, refuted)[0] for place in (0, 1)] == [1, 1]
