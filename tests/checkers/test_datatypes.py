"""The models beyond registers: each by one history that it allows and one that it does not."""

import pytest

from checkers import ILLEGAL, History, Operation, Verdict, check, models
from checkers.compiled import interpreted
from checkers.state_graph import StateGraph


def sequence(*steps: tuple[str, object, object]) -> list[Operation]:
    """One after another: (f, value, result)."""
    return [
        Operation(f=f, value=value, result=result, call_time=10 * place, return_time=10 * place + 5)
        for place, (f, value, result) in enumerate(steps)
    ]


CASES = {
    "kv": ([("put", "a", None), ("append", "b", None), ("get", None, "ab")], ("get", None, "ba")),
    "kv-unsplit": ([("append", "a", None), ("get", None, "a")], ("get", None, "b")),
    "multi-register": (
        [("write", (("x", 1), ("y", 2)), None), ("read", None, (("y", 2), ("z", None)))],
        ("read", None, (("x", 1), ("y", 1))),
    ),
    "set": ([("add", 1, None), ("add", 2, None), ("remove", 1, None), ("read", None, [2])], ("read", None, [1, 2])),
    "queue": ([("enqueue", 1, None), ("enqueue", 2, None), ("dequeue", None, 1)], ("dequeue", None, None)),
    "stack": ([("push", 1, None), ("push", 2, None), ("pop", None, 2)], ("pop", None, 2)),
    "counter": ([("add", 2, None), ("add", -1, 1), ("read", None, 1)], ("read", None, 3)),
    "mutex": ([("acquire", None, None), ("release", None, None)], ("release", None, None)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_model_allows_the_one_and_not_the_other(name: str) -> None:
    good, bad = CASES[name]
    assert check(sequence(*good), name).verdict is Verdict.VALID
    assert check(sequence(*good, bad), name).verdict is Verdict.INVALID


def test_a_nondeterministic_model_is_in_every_state_it_may_be_in() -> None:
    def steps(state: models.State, operation: Operation) -> list[models.State]:
        if operation.f == "roll":
            return [1, 2, 3]
        return [state] if state == operation.result else []

    die = models.nondeterministic("die", [0], steps)
    rolled = ("roll", None, None)
    assert check(sequence(rolled, ("look", None, 2), ("look", None, 2)), die).verdict is Verdict.VALID
    assert check(sequence(rolled, ("look", None, 2), ("look", None, 3)), die).verdict is Verdict.INVALID
    assert die.step(frozenset({0}), sequence(("look", None, 5))[0]) is ILLEGAL


@pytest.mark.parametrize("engine", ["auto", "search", "reference"])
@pytest.mark.parametrize("reads", [frozenset(), frozenset({"read"})])
def test_a_read_of_a_nondeterministic_model_rules_states_out(engine: str, reads: frozenset[str]) -> None:
    def steps(state: models.State, operation: Operation) -> list[models.State]:
        if operation.f == "flip":
            return [0, 1]
        return [state] if operation.status != "ok" or state == operation.result else []

    coin = models.nondeterministic("coin", [0], steps, reads=reads)
    flip = Operation(f="flip", call_time=0, return_time=10)
    seen = [Operation(f="read", result=1, process=n, call_time=n, return_time=9) for n in (1, 2)]
    after = Operation(f="read", result=1, call_time=11, return_time=12)
    pending = Operation(f="read", process=7, call_time=0)
    assert check([flip, *seen, after, pending], coin, engine=engine).verdict is Verdict.VALID
    other = Operation(f="read", result=0, call_time=11, return_time=12)
    assert check([flip, *seen, other], coin, engine=engine).verdict is Verdict.INVALID


def test_the_explored_states_can_be_seen_as_a_graph() -> None:
    graph = StateGraph(models.get("mutex"), interpreted())
    acquire, release = sequence(("acquire", None, None), ("release", None, None))
    first, second = graph.kinds_of(History([acquire, release], "h").columns)
    held = graph.step(first, 0)
    assert graph.step(second, held) == 0
    shown = graph.digraph()
    state = shown.nodes(data="state")
    edges = [(state[one], state[other], data["operation"].f) for one, other, data in shown.edges(data=True)]
    assert edges == [(False, True, "acquire"), (True, False, "release")]
