"""Histories of text, several keys in one search: states as nodes of a trie, and what nobody can see."""

from random import Random

import pytest
from checker_oracle import by_subsets, keyed_text_history

from checkers import Budget, History, Operation, Verdict, check, models
from checkers.budget import Meter
from checkers.compiled import Loops, compiled, interpreted
from checkers.decision import Answer, Decision
from checkers.engines import Judgement
from checkers.frontier import Frontier
from checkers.replay import replay
from checkers.text_states import FIRST_NODES, TextStates
from checkers.texts import ROW, UNSEEN, Texts

KV = models.get("kv")


def operation(f: str, text: object, call: int, back: int | None, *, key: str = "k") -> Operation:
    """A get that saw the text, or a put or an append of it; one that never returned if `back` is None."""
    value, result = (None, text) if f == "get" else (text, None)
    status = "ok" if back is not None else "info"
    return Operation(
        process=call, f=f, key=key, value=value, result=result, call_time=call, return_time=back,
        status=status,  # type: ignore[arg-type]
    )  # fmt: skip


def search(history: History, loops: Loops, model: models.Model = KV) -> Frontier:
    """All keys of the history laid out for one search."""
    texts = TextStates.of(history.columns, model, loops)
    assert texts is not None
    return Frontier(history.columns, texts, loops, by_key=True)


def of_key(found: Frontier, place: int, meter: Meter | None = None) -> Decision:
    """What the search says of the key at that place."""
    decision = found.of_key(place, meter or Meter(Budget()))
    assert decision is not None
    return decision


def decided(history: History, loops: Loops, model: models.Model = KV) -> list[tuple[History, Decision]]:
    """Each key's history and what the search of all keys says of it."""
    found = search(history, loops, model)
    return [(part, of_key(found, place)) for place, part in enumerate(history.by_key())]


@pytest.mark.parametrize("initial", ["", "ab"])
def test_all_keys_at_once_agree_with_brute_force(loops: Loops, initial: str) -> None:
    model, said = models.get("kv", initial), {True: 0, False: 0}
    for seed in range(1500):
        history = keyed_text_history(Random(seed), Random(seed).randint(1, 14), initial)
        if TextStates.of(history.columns, model, loops) is None:
            continue
        for part, decision in decided(history, loops, model):
            operations = [one for one in part if model.relevant(one)]
            linearizable = by_subsets(operations, model)
            assert (decision.answer is Answer.LINEARIZED) == linearizable, seed
            said[linearizable] += 1
            if linearizable:
                assert replay([part.operations[place] for place in decision.order], operations, model) is None, seed
            else:
                assert part.operations[decision.blocked].returned, seed
    assert min(said.values()) > 100


def test_the_answer_is_that_of_the_first_key_that_has_no_linearization(loops: Loops) -> None:
    good = [operation("append", "a", 0, 1, key="x"), operation("get", "a", 2, 3, key="x")]
    bad = [operation(f, "a", 4 + n, 4 + n, key="y") for n, f in enumerate(["append", "append", "get"])]
    late = [operation("append", "b", 10 + n, 10 + n, key="z") for n in range(4)]
    found = search(History.of_operations([*late, *good, *bad]), loops)
    assert [found.answer(Meter(Budget())) for _ in range(2)] == [Answer.REFUTED] * 2
    first, second, third = [of_key(found, place) for place in range(3)]
    assert list(first.order) == [0, 1]
    assert (second.blocked, second.states) == (2, (UNSEEN,))
    assert list(third.order) == [0, 1, 2, 3]


HIDDEN = [operation("append", "z", 0, 1)]  # no get sees it


@pytest.mark.parametrize("seen", ["p", "px"])
def test_an_append_that_nobody_sees_may_take_place_before_a_put_or_after_it(loops: Loops, seen: str) -> None:
    history = History.of_operations(
        [*HIDDEN, operation("append", "x", 2, 9), operation("put", "p", 3, 4), operation("get", seen, 10, 11)]
    )
    [(part, decision)] = decided(history, loops)
    assert decision.answer is Answer.LINEARIZED
    assert replay([part.operations[place] for place in decision.order], part.operations, KV) is None


def test_nothing_but_a_put_ends_what_nobody_sees(loops: Loops) -> None:
    history = History.of_operations([*HIDDEN, operation("append", "x", 2, 9), operation("get", "x", 10, 11)])
    [(_, decision)] = decided(history, loops)
    assert decision.answer is Answer.REFUTED


@pytest.mark.parametrize(
    ("written", "seen", "valid"),
    [
        (["é", "é"], "éé", True),
        (["\ud83d", "\ude00"], "\ud83d\ude00", True),
        (["\ud83d", "\ude00"], "\U0001f600", False),  # two halves are not the whole
        (["\0 a text that no get can see"], "\0 a text that no get can see", True),
        (["ab", ""], "ab", True),
        ([""], "", True),
    ],
)
def test_texts_are_equal_if_and_only_if_their_characters_are(
    loops: Loops, written: list[str], seen: str, valid: bool
) -> None:
    appends = [operation("append", text, 2 * n, 2 * n) for n, text in enumerate(written)]
    [(_, decision)] = decided(History.of_operations([*appends, operation("get", seen, 90, 91)]), loops)
    assert (decision.answer is Answer.LINEARIZED) == valid


def test_the_trie_grows(loops: Loops) -> None:
    long = "a" * (FIRST_NODES // 2)
    steps = [("put", long), ("append", long), ("append", "b"), ("get", long + long + "b")]
    operations = [operation(f, text, n, n, key=key) for key in "xy" for n, (f, text) in enumerate(steps)]
    said = [decision.answer for _, decision in decided(History.of_operations(operations), loops)]
    assert said == [Answer.LINEARIZED] * 2


@pytest.mark.parametrize(("f", "text"), [("append", 1), ("put", 1), ("get", None)])
def test_what_is_no_text_is_left_to_the_model(f: str, text: object) -> None:
    history = History.of_operations([operation("append", "a", 0, 1), operation(f, text, 2, 3)])
    assert TextStates.of(history.columns, KV, interpreted()) is None
    assert check(history, KV).verdict is (Verdict.INVALID if f == "get" else Verdict.VALID)


@pytest.mark.parametrize("model", ["kv", "kv-unsplit"])
def test_texts_and_what_is_none_may_be_on_one_key(model: str) -> None:
    steps = [("put", 1), ("get", 1), ("append", "a"), ("get", "1a"), ("put", None), ("get", None)]
    history = History.of_operations([operation(f, text, n, n) for n, (f, text) in enumerate(steps)])
    assert check(history, model, engine="search").verdict is Verdict.VALID


def test_a_key_with_too_much_open_is_left_to_the_interpreted_loops() -> None:
    pytest.importorskip("numba", reason="only machine words are too narrow")
    crowd = [operation("put", "a", 0, 200 + n, key="x") for n in range(70)]
    alone = [operation("put", "b", 0, 1, key="y"), operation("get", "b", 2, 3, key="y")]
    history = History.of_operations([*crowd, operation("get", "a", 100, 101, key="x"), *alone])
    for engine in ("auto", "search"):
        judgement = Judgement(history, KV, engine, Meter(Budget()), load=True)
        assert judgement.answer is Answer.LINEARIZED
        assert [decision.answer for _, decision in judgement] == [Answer.LINEARIZED] * 2


def test_a_spent_budget_says_how_far_it_got_on_each_key() -> None:
    loops = compiled() or interpreted()
    open_at_once = [operation("append", "a" * n, n, 50 + n, key=key) for key in "xy" for n in range(1, 16)]
    history = History.of_operations([*open_at_once, *(operation("get", "a" * 60, 20, 30, key=key) for key in "xy")])
    meter = Meter(Budget(steps=5))
    found = search(history, loops)
    both = [of_key(found, place, meter) for place in range(2)]
    assert [decision.answer for decision in both] == [Answer.EXHAUSTED] * 2
    assert both[0].progress.endswith("configurations")


def test_the_texts_of_a_part_and_of_a_prefix_are_those_of_its_kinds() -> None:
    for seed in range(300):
        random = Random(seed)
        history = keyed_text_history(random, 8)
        places = sorted(random.sample(range(8), 4))
        returned = [place for place, one in enumerate(history) if one.returned]
        cut = [history.prefix(random.choice(returned))] if returned else []
        for part in [history.part(places), *history.by_key(), *cut]:
            assert spelled(part.columns.texts) == spelled(Texts.of(part.columns.kinds)), seed


def spelled(texts: Texts | None) -> list[tuple[object, ...]]:
    """The name, the status, and the texts of every kind that has any."""
    if texts is None:
        return []
    found: list[tuple[object, ...]] = []
    for begin in range(0, len(texts.rows), ROW):
        shape, *places = texts.rows[begin : begin + ROW]
        said, heard = [texts.blob[places[n] : places[n + 1]] if places[n] >= 0 else None for n in (0, 2)]
        if said is not None or heard is not None:
            found.append((texts.shapes[shape].f, texts.shapes[shape].status, said, heard))
    return found
