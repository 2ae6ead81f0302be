"""What may be deleted, and what cannot be true: each such law of a model on histories of which we know that they are
linearizable, since a copy made them."""

from random import Random

import pytest
from checker_oracle import by_subsets
from msgspec.structs import replace

from checkers import ILLEGAL, History, Model, Operation, models
from checkers.budget import Budget, Meter
from checkers.cuts import beginning_at, starts
from checkers.decision import Answer
from checkers.depth_first import DepthFirst
from checkers.parts import judge_of
from checkers.replay import replay
from checkers.windows import by_value

NAMES = ["register", "cas-register", "kv", "kv-unsplit", "multi-register", "set", "queue", "stack", "counter"]
ROUNDS = 400


def told(f: str, state: object, random: Random, key: object, name: str, argument: object = None) -> object:
    """What a copy in that state replies."""
    if f == "dequeue":
        return state[0] if state else None  # type: ignore[index]
    if f == "pop":
        return state[-1] if state else None  # type: ignore[index]
    if f == "get":
        return dict(state).get(key, "") if isinstance(state, frozenset) else state  # type: ignore[arg-type]
    if f == "txn":
        return carried_out(dict(state), argument)  # type: ignore[arg-type]
    if f == "read" and isinstance(state, frozenset):
        if name == "set":
            return tuple(sorted(state, key=repr))
        return tuple((name, dict(state).get(name)) for name in random.sample("xyz", 2))
    return state if f == "read" else None


def carried_out(registers: dict[object, object], transaction: object) -> object:
    """The transaction with what its reads found."""
    done = []
    for f, name, value in transaction:  # type: ignore[attr-defined]
        if f == "w":
            registers[name] = value
        done.append((f, name, registers.get(name)))
    return tuple(done)


def argument(f: str, random: Random, name: str) -> object:
    small = random.randint(0, 2)
    if f == "txn":
        chosen = [(random.choice("rw"), random.choice("xyz")) for _ in range(random.randint(1, 4))]
        return tuple((f, one, random.randint(0, 2) if f == "w" else None) for f, one in chosen)
    if name == "multi-register" and f == "write":
        return tuple((one, random.randint(0, 2)) for one in random.sample("xyz", random.randint(1, 2)))
    if f in ("enqueue", "push") and random.random() < 0.2:
        return None  # which a reply does not tell from nothing
    given = {"cas": (small, random.randint(0, 2)), "put": "ab"[small % 2], "append": "cd"[small % 2]}
    return (
        None
        if f in ("read", "get", "dequeue", "pop")
        else given.get(f, (small,) if small == 2 and name != "counter" else small)
    )


def obeying(random: Random, size: int, name: str) -> tuple[History, Model]:
    """A history of a copy that takes each operation at some moment between its call and its return; some crash."""
    model = models.get(name)
    moments = sorted((random.uniform(0, 10), process) for process in range(size))
    state, made = model.initial, []
    for moment, process in moments:
        f, key = random.choice(sorted(model.operations)), random.choice("ab") if name == "kv-unsplit" else None
        call, back = int(10 * (moment - random.uniform(0, 3))), int(10 * (moment + random.uniform(0, 3))) + 1
        one = Operation(
            f=f, value=argument(f, random, name), key=key, process=process, call_time=call, return_time=back
        )
        one = replace(one, result=told(f, state, random, key, name, one.value))
        crashed = random.random() < 0.2
        if crashed:
            one = replace(one, status="info", result=None, return_time=None)
        after = model.step(state, one)
        if after is not ILLEGAL and (not crashed or random.random() < 0.5):
            state = after
        if crashed or after is not ILLEGAL:
            made.append(one)
    history = History.of_operations(made)
    return history.part([place for place, one in enumerate(history) if model.relevant(one)]), model


def histories(name: str) -> list[tuple[History, Model, Random]]:
    made = [(*obeying(random, random.randint(2, 9), name), random) for random in map(Random, range(ROUNDS))]
    return [one for one in made if len(one[0])]


def holds(history: History, model: Model) -> bool:
    return by_subsets(history.operations, model)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_copy_made_is_linearizable_and_the_deep_search_finds_it(name: str) -> None:
    for history, model, _ in histories(name):
        assert holds(history, model)
        found = DepthFirst(history, model).go(10**6, Meter(Budget()))
        assert found is not None
        assert found.answer is Answer.LINEARIZED
        assert replay([history.operations[place] for place in found.order], history.operations, model) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_deep_search_agrees_with_brute_force_on_what_is_spoiled(name: str) -> None:
    refuted = 0
    for history, model, random in histories(name):
        spoiled = spoil(history, random)
        found = DepthFirst(spoiled, model).go(10**6, Meter(Budget()))
        assert found is not None
        assert (found.answer is Answer.LINEARIZED) == holds(spoiled, model)
        refuted += found.answer is Answer.REFUTED
    assert refuted > ROUNDS // 20


def spoil(history: History, random: Random) -> History:
    """The history with the results of two like operations exchanged, if there are two, or with what a txn read."""
    f = random.choice([one.f for one in history])
    if f == "txn":
        altered = [replace(one, result=misread(one.result, random)) if one.f == f else one for one in history]
        return History(altered, "spoiled")
    like = [place for place, one in enumerate(history) if one.f == f and one.returned]
    if len(like) < 2:
        return history
    first, second = random.sample(like, 2)
    operations = list(history.operations)
    told = operations[first].result, operations[second].result
    operations[first] = replace(operations[first], result=told[1])
    operations[second] = replace(operations[second], result=told[0])
    if told == (None, None):
        operations[first] = replace(operations[first], value=operations[second].value)
    return History(operations, "spoiled")


def misread(transaction: object, random: Random) -> object:
    """The transaction with other values in its reads."""
    if transaction is None:
        return None
    return tuple((f, name, random.randint(0, 2) if f == "r" else value) for f, name, value in transaction)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in NAMES if models.get(name).possible])
def test_what_is_called_impossible_is_in_no_linearizable_history(name: str) -> None:
    impossible = 0
    for history, model, random in histories(name):
        assert model.possible is not None
        assert all(map(model.possible(history), history))
        part = history.part(sorted(random.sample(range(len(history)), len(history) // 2)))
        if not all(map(model.possible(part), part)):
            impossible += 1
            assert not holds(part, model)
            assert all(not by_subsets([one], model) for one in part if not model.possible(part)(one) and one.returned)
    assert impossible > 10


@pytest.mark.parametrize("name", ["queue", "stack"])
def test_without_whole_values_a_linearizable_history_stays_so(name: str) -> None:
    for history, model, random in histories(name):
        assert model.touches is not None
        groups = by_value(history, model.touches)
        gone = {place for group in random.sample(groups, random.randint(0, len(groups))) for place in group}
        assert holds(history.part([place for place in range(len(history)) if place not in gone]), model)


@pytest.mark.parametrize("name", [name for name in NAMES if models.get(name).aspects])
def test_each_aspect_of_a_linearizable_history_is_linearizable(name: str) -> None:
    for history, model, _ in histories(name):
        aspects = model.aspects
        assert aspects is not None
        for part_name in {part_name for one in history for part_name in aspects.names(one)}:
            seen = [aspects.seen(part_name, one) for one in history]
            part = History([one for one in seen if one is not None], "part")
            assert holds(part, aspects.model(part_name))
            assert by_subsets(history.operations, judge_of(model, part_name))


@pytest.mark.parametrize("name", ["register", "cas-register", "kv"])
def test_a_linearizable_history_stays_so_from_a_blind_write_on(name: str) -> None:
    cut = 0
    for history, model, _ in histories(name):
        for start in starts(history, history.operations[-1], model):
            part = beginning_at(history, start, model)
            cut += len(part) < len(history)
            assert holds(part, model)
    assert cut > ROUNDS // 4
