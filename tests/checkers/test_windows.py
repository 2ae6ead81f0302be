"""What a violation says: that its window is the shortest, and that the states it names were the possible ones."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from checker_oracle import is_linearizable
from fuzz import made

from checkers import ILLEGAL, Event, History, Model, Operation, Verdict, Violation, check, formats
from checkers.cuts import beginning_at, starts
from checkers.values import told_apart
from checkers.windows import by_value

SEEDS = range(1500)
ENGINES = ("auto", "search", "reference")


def violations() -> Iterator[tuple[Violation, Model]]:
    """Those of random histories of every model."""
    for seed in SEEDS:
        history, model = made(Random(seed), seed, 9)
        violation = check(history, model, engine=ENGINES[seed % 3]).violation
        if violation is not None:
            yield violation, model


def smaller(window: Sequence[Operation], judge: Model, blocked: Operation) -> Iterator[list[Operation]]:
    """What every single deletion leaves that is allowed; the write that a window begins with stays."""
    history = History(window, "window")
    anything = judge.name.startswith("gapped")
    for place, one in enumerate(window):
        if anything or judge.looks(one):
            yield [*window[:place], *window[place + 1 :]]
    if judge.overwrites:
        for place in starts(history, blocked, judge):
            part = beginning_at(history, place, judge)
            if len(part) < len(window):
                yield list(part)
    if judge.touches is not None:
        for group in by_value(history, judge.touches):
            yield [one for place, one in enumerate(window) if place not in group]


def test_no_deletion_that_is_allowed_makes_a_shortest_window_smaller() -> None:
    tried = 0
    for violation, _ in violations():
        assert violation.shortest
        assert not is_linearizable(violation.window, violation.judge)
        for part in smaller(violation.window, violation.judge, violation.blocked):
            tried += 1
            assert is_linearizable(part, violation.judge), violation.render()
    assert tried > 400


def test_no_window_of_the_public_logs_can_be_made_smaller(corpus: Path) -> None:
    invalid = 0
    for path in sorted((corpus / "porcupine" / "jepsen-etcd").glob("*.log")):
        violation = check(formats.read(path), "cas-register").violation
        if violation is not None:
            invalid += 1
            assert violation.shortest, path.name
            for part in smaller(violation.window, violation.judge, violation.blocked):
                assert check(part, violation.judge, engine="search").verdict is not Verdict.INVALID, path.name
    assert invalid == 79


def test_a_window_is_called_shortest_only_if_that_was_established() -> None:
    violation = check([write(1, 0, 1), read(2, 2, 3)], "register").violation
    assert violation is not None
    assert violation.table().startswith("shortest failing window: ")
    given_up = Violation(
        key=None, blocked=violation.blocked, states=(), prefix=violation.prefix, window=violation.window,
        sentence="", judge=violation.judge,
    )  # fmt: skip
    assert given_up.table().startswith("a failing window: ")


def possible(violation: Violation, model: Model) -> set[object]:
    """Every state that some order of the prefix leads to, with all that returned before, without the blocked one."""
    blocked = violation.blocked
    others = [one for one in violation.prefix if model.relevant(one) and one.call_rank != blocked.call_rank]
    required = {n for n, one in enumerate(others) if one.return_rank < blocked.return_rank}
    before = [{m for m, other in enumerate(others) if other.return_rank < one.call_rank} for one in others]
    waiting = [(frozenset[int](), model.initial)]
    seen = {(frozenset[int](), told_apart(model.initial))}
    found = set()
    while waiting:
        done, state = waiting.pop()
        if required <= done:
            found.add(told_apart(state))
        for number, one in enumerate(others):
            after = ILLEGAL if number in done or not before[number] <= done else model.step(state, one)
            if after is not ILLEGAL and (done | {number}, told_apart(after)) not in seen:
                seen.add((done | {number}, told_apart(after)))
                waiting.append((done | {number}, after))
    return found


def test_the_states_named_are_those_possible_when_the_operation_returned() -> None:
    named = 0
    for violation, model in violations():
        if violation.states:
            named += 1
            assert {told_apart(state) for state in violation.states} == possible(violation, model), violation.render()
    assert named > 300


def test_a_sentence_names_no_operation_that_is_not_in_the_window() -> None:
    named = 0
    for violation, _ in violations():
        window = [str(one) for one in violation.window]
        assert violation.blocked.call_rank in [one.call_rank for one in violation.window]
        why = violation.sentence.removeprefix(str(violation.blocked)).partition("; the only possible")[0]
        for mention in re.findall(r"\[(\d+: .*? -> .*?)\](?= |$|,|\))", why):
            named += 1
            assert mention in window, violation.render()
        assert not re.search("squeezed|stage|zone|chain", violation.sentence)
    assert named > 80


def write(value: object, call: int, back: int | None, process: int = 0) -> Operation:
    return Operation(f="write", value=value, call_time=call, return_time=back, process=process)


def read(result: object, call: int, back: int, process: int = 1) -> Operation:
    return Operation(f="read", result=result, call_time=call, return_time=back, process=process)


def op(f: str, value: object, result: object, call: int, back: int, process: int = 0) -> Operation:
    return Operation(f=f, value=value, result=result, call_time=call, return_time=back, process=process)


@pytest.mark.parametrize(
    ("model", "operations", "window", "why"),
    [
        ("register", [write(2, 0, 1), write(1, 2, 3), read(2, 4, 5)], 2, "stale read: [0: write 1 -> ok]"),
        ("register", [write(2, 0, 1), read(7, 4, 5)], 1, "nothing had written 7"),
        (
            "cas-register",
            [write(0, 0, 1), op("cas", (0, 1), None, 2, 6), op("cas", (0, 2), None, 3, 5, 1)],
            3,
            "lost update",
        ),
        (
            "cas-register",
            [write(0, 0, 1), op("cas", (0, 1), None, 2, 3), read(0, 4, 5)],
            3,
            "stale read: [0: cas [0, 1] -> ok]",
        ),
        (
            "set",
            [op("add", n, None, n, n + 1) for n in range(9)] + [op("read", None, (0,), 20, 21)],
            2,
            "8 of 9 missing",
        ),
        (
            "set",
            [op("add", 1, None, 0, 1), op("remove", 1, None, 2, 3), op("read", None, (1,), 4, 5)],
            2,
            "resurrected element: [0: remove 1 -> ok]",
        ),
        ("queue", [op("enqueue", 1, None, 0, 1), op("dequeue", None, None, 2, 3)], 2, "lost element"),
        (
            "queue",
            [op("enqueue", 1, None, 0, 1), op("enqueue", 2, None, 2, 3), op("dequeue", None, 2, 4, 5)],
            3,
            "out of order: the value of [0: enqueue 1 -> ok] was put before it",
        ),
        (
            "stack",
            [op("push", 1, None, 0, 1), op("push", 2, None, 2, 3), op("pop", None, 1, 4, 5)],
            3,
            "the value of [0: push 2 -> ok] was on top of it",
        ),
        ("counter", [op("add", 2, None, 0, 1), op("read", None, 5, 2, 3)], 2, "the total was 2"),
        (
            "kv",
            [op("put", "a", None, 0, 1), op("append", "b", None, 2, 3), op("get", None, "a", 4, 5)],
            2,
            "stale read",
        ),
        (
            "multi-register",
            [
                op("write", (("x", 1), ("y", 1)), None, 0, 1),
                op("write", (("x", 2),), None, 2, 3),
                op("read", None, (("x", 1), ("y", 1)), 4, 5),
            ],
            2,
            "nothing wrote 1 in x after that",
        ),
    ],
)
def test_a_few_operations_are_explained_in_the_terms_of_the_trade(
    model: str, operations: list[Operation], window: int, why: str
) -> None:
    result = check(operations, model)
    assert result.violation is not None
    assert len(result.violation.window) == window, result.render()
    assert why in result.reason


AROUND = {
    "register": lambda n: write(n % 5, n, n + 60, n),
    "cas-register": lambda n: (
        op("cas", (n % 5, (n + 1) % 5), None, n, n + 60, n) if n % 2 else write(n % 5, n, n + 60, n)
    ),
    "queue": lambda n: op("enqueue", ("around", n), None, n, n + 60, n),
    "stack": lambda n: op("push", ("around", n), None, n, n + 60, n),
    "set": lambda n: op("add", ("around", n), None, n, n + 60, n),
    "counter": lambda n: op("add", n % 3, None, n, n + 20, n),
    "multi-register": lambda n: op("write", (("x", n % 3), ("y", n % 2)), None, n, n + 60, n),
}
CORES = {
    "register": [write(1, 1000, 1001), read(2, 1002, 1003)],
    "cas-register": [write(1, 1000, 1001), read(2, 1002, 1003)],
    "queue": [op("enqueue", 1, None, 5, 100), op("dequeue", None, 1, 1000, 1001), op("dequeue", None, 1, 1002, 1003)],
    "stack": [op("push", 1, None, 5, 100), op("pop", None, 1, 1000, 1001), op("pop", None, 1, 1002, 1003)],
    "set": [op("add", 1, None, 5, 100), op("read", None, [], 1000, 1001)],
    "counter": [op("read", None, 10_000, 1000, 1001)],
    "multi-register": [op("write", [["x", 7]], None, 1000, 1001), op("read", None, [["x", 1]], 1002, 1003)],
}


@pytest.mark.parametrize("model", CORES)
def test_what_a_few_operations_prove_is_proved_at_once_whatever_surrounds_it(model: str) -> None:
    history = [*(AROUND[model](n) for n in range(40)), *CORES[model]]
    result = check(history, model)
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert result.steps < 20_000
    if model != "counter":
        assert len(result.violation.window) == len(CORES[model])


def test_a_stretch_between_two_blind_writes_is_judged_by_itself() -> None:
    """Nothing in it is stale by itself: the two reads saw the two values in both orders."""
    around = [AROUND["cas-register"](n) for n in range(40)]
    both = [write(2, 1010, 1020), write(3, 1010, 1020, 1)]
    core = [write(1, 1000, 1001), *both, read(2, 1030, 1031), read(3, 1032, 1033), read(2, 1034, 1035)]
    result = check([*around, *core, write(4, 1040, 1041)], "cas-register")
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert len(result.violation.window) <= 5


def test_a_window_at_the_very_beginning_of_a_run_has_the_unit_of_the_run() -> None:
    events = [
        Event(type=kind, process=0, f=f, value=value, time=time)
        for f, value, result, at in (("write", 1, 1, 0), ("read", None, 2, 300_000), ("write", 3, 3, 5_000_000_000))
        for kind, value, time in (("invoke", value, at), ("ok", result, at + 100_000))
    ]
    violation = check(events, "register").violation
    assert violation is not None
    assert violation.table().splitlines()[0].endswith("times in ms")
    assert "> 0.300 .. 0.400  0: read -> 2" in violation.table()


@pytest.mark.parametrize("f", ["write", "put", "add", "remove", "enqueue", "push"])
def test_a_null_that_is_an_argument_is_printed(f: str) -> None:
    assert str(op(f, None, None, 0, 1)) == f"0: {f} null -> ok"
    assert str(op("acquire", None, None, 0, 1)) == "0: acquire -> ok"


def test_of_a_very_long_window_the_middle_is_left_out() -> None:
    adds = [op("add", 1, None, 2 * n, 2 * n + 1) for n in range(300)]
    violation = check([*adds, op("read", None, 5, 700, 701)], "counter").violation
    assert violation is not None
    _, *rows = violation.table().splitlines()
    assert len(violation.window) == 301
    assert len(rows) == 101
    assert rows[50] == "    ... 201 more ..."
    assert rows[-1].startswith("  > 700 .. 701")


def test_the_window_of_a_stale_read_after_a_cas_holds_the_write_that_the_cas_replaced() -> None:
    operations = [
        Operation(f="write", value=1, call_time=0, return_time=1),
        Operation(f="write", value=4, call_time=2, return_time=3),
        Operation(f="write", value=1, call_time=4, return_time=5),
        Operation(f="cas", value=(1, 2), call_time=6, return_time=7),
        Operation(f="read", result=4, call_time=8, return_time=9),
    ]
    violation = check(operations, "cas-register").violation
    assert violation is not None
    assert [one.call_time for one in violation.window] == [4, 6, 8]
    assert violation.judge.name == "cas-register"
    assert violation.shortest
