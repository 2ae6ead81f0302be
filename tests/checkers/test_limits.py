"""A budget is kept wherever the work is done, and a no that was found is not lost to it."""

import time
import tracemalloc
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from checkers import Budget, History, Model, Operation, Verdict, check, models
from checkers.budget import Meter
from checkers.compiled import compiled
from checkers.decision import Answer
from checkers.engines import decide
from checkers.hindsight import unfinished
from checkers.precedence import precedence_graph
from checkers.wing_gong import search


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def slow(clock: Clock) -> Model:
    def step(state: int, operation: Operation) -> int:
        clock.now += 0.02
        return state + 1

    return Model("slow", 0, step)  # type: ignore[arg-type]


QUIET = [Operation(f="a", call_time=3 * n, return_time=3 * n + 1) for n in range(500)]


@pytest.mark.parametrize("engine", ["auto", "search", "reference"])
def test_a_slow_model_does_not_outlast_the_time_budget(engine: str) -> None:
    clock = Clock()
    result = check(QUIET, slow(clock), budget=Budget(seconds=1), engine=engine, clock=clock)
    assert result.verdict is Verdict.UNKNOWN
    assert "the time budget of 1 s is spent" in result.reason
    assert clock.now < 2


def test_a_witness_is_replayed_within_the_budget_or_not_believed() -> None:
    clock = Clock()
    result = check(QUIET, slow(clock), budget=Budget(seconds=12), clock=clock)
    assert result.verdict is Verdict.UNKNOWN
    assert "to replay it" in result.reason
    assert clock.now < 13


def test_the_obvious_order_is_tried_within_the_budget_of_steps() -> None:
    result = check(QUIET, Model("count", 0, lambda state, _: state + 1), budget=Budget(steps=10))  # type: ignore[operator]
    assert result.verdict is Verdict.UNKNOWN
    assert "the budget of 10 steps is spent" in result.reason


def test_a_dense_graph_of_precedence_is_not_drawn_past_the_budget() -> None:
    early = [Operation(f="add", value=1, process=n, call_time=0, return_time=999) for n in range(600)]
    late = [Operation(f="add", value=1, process=n, call_time=1000 + n, return_time=10_000) for n in range(600)]
    history = History.of_operations([*early, *late])
    limit = 10_000_000
    tracemalloc.start()
    graph = precedence_graph(history.operations, Meter(Budget(bytes=limit)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert graph is None
    assert peak < 1.1 * limit
    ticks = iter(range(10_000))
    assert precedence_graph(history.operations, Meter(Budget(seconds=50), lambda: next(ticks))) is None


def many_crashed(count: int, crashed: int) -> History:
    """Different writes that crashed, then writes and reads in peace and a read that is too old."""
    operations = [Operation(f="write", value=1000 + n, process=n, status="info", call_time=n) for n in range(crashed)]
    for n in range((count - crashed) // 2):
        start = crashed + 4 * n
        operations += [
            Operation(f="write", value=n % 3, process=-1, call_time=start, return_time=start + 1),
            Operation(f="read", result=n % 3, process=-1, call_time=start + 2, return_time=start + 3),
        ]
    end = 4 * count
    operations.append(Operation(f="read", result=-1, process=-1, call_time=end, return_time=end + 1))
    return History.of_operations(operations)


def many_states() -> History:
    """A queue of 900 values and 60 more that are put at once: states are long, and there are many."""
    calm = [Operation(f="enqueue", value=-n, call_time=3 * n, return_time=3 * n + 1) for n in range(900)]
    wide = [Operation(f="enqueue", value=n, process=n, call_time=5000, return_time=10**6 + n) for n in range(60)]
    return History.of_operations(
        [*calm, *wide, Operation(f="dequeue", result=-5, process=99, call_time=5001, return_time=5002)]
    )


@pytest.mark.parametrize(
    ("made", "model", "engine"),
    [
        (lambda: many_crashed(19_000, 9000), models.cas_register(0), "search"),
        (lambda: many_crashed(60_000, 40_000), models.cas_register(0), "search"),
        (many_states, models.get("queue"), "auto"),
        (many_states, models.get("queue"), "reference"),
    ],
)
def test_memory_is_counted_before_it_is_taken(made: Callable[[], History], model: Model, engine: str) -> None:
    limit = 10_000_000
    history = made()
    compiled()
    small = History.of_operations([*history.operations[:20], *history.operations[-20:]])
    decide(small, model, engine, Meter(Budget(steps=3000)))  # loading the loops is not the search's
    tracemalloc.start()
    check(history, model, budget=Budget(bytes=limit, seconds=20), engine=engine)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * limit


def stale_among_seven(count: int) -> History:
    """A register of seven values, each write overlapping with the next operations, and one read that is too old."""
    random, operations, value = Random(3), [], 0
    for n in range(count):
        start = 3 * n
        if n % 2:
            value = random.randrange(7)
            operations.append(Operation(f="write", value=value, process=n % 10, call_time=start, return_time=start + 7))
        else:
            seen = (value + 3) % 7 if n == count * 8 // 20 * 2 else value if n else None
            operations.append(Operation(f="read", result=seen, process=n % 10, call_time=start, return_time=start + 2))
    return History.of_operations(operations)


def test_a_long_no_is_proved_by_a_short_window_before_the_time_is_over() -> None:
    """It took 101 s, and was unknown then."""
    history = stale_among_seven(20_000)
    check(stale_among_seven(40), "register")
    begin = time.monotonic()
    result = check(history, "register", budget=Budget(seconds=10))
    assert time.monotonic() - begin < 11
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert len(result.violation.window) <= 12


def clients(random: Random, name: str, count: int, processes: int) -> list[Operation]:
    """Operations of so many clients, taken by a copy at some moment between call and return."""
    free, plan = [(random.random(), process) for process in range(processes)], []
    for _ in range(count):
        free.sort()
        call, process = free.pop(0)
        moment = call + random.random()
        back = moment + random.random()
        plan.append((moment, call, back, process))
        free.append((back + 0.3 * random.random(), process))
    model, operations = models.get(name), []
    state = model.initial
    for number, (_, call, back, process) in enumerate(sorted(plan)):
        f, key = (
            random.choice(sorted(model.operations - {"txn"})),
            random.choice("ab") if name == "kv-unsplit" else None,
        )
        value: object = {"put": "w", "append": "xyz"[number % 3]}.get(f, number % 6)
        if name == "multi-register":
            names = random.sample("xyz", random.randint(1, 2))
            value = tuple((one, random.randrange(4)) for one in names)
        argument, result = (value, None) if f not in ("read", "get", "dequeue", "pop") else (None, None)
        if f == "dequeue":
            result = state[0] if state else None
        elif f == "pop":
            result = state[-1] if state else None
        elif f == "get":
            result = dict(state).get(key, "")
        elif f == "read":
            result = (
                tuple((one, dict(state).get(one)) for one in names)
                if name == "multi-register"
                else tuple(sorted(state))
            )
        one = Operation(
            f=f, value=argument, result=result, process=process, key=key,
            call_time=int(1e6 * call), return_time=int(1e6 * back),
        )  # fmt: skip
        state = model.step(state, one)
        operations.append(one)
    return operations


IMPOSSIBLE = {"queue": 99, "stack": 99, "set": (77,), "multi-register": (("x", 99),), "kv-unsplit": "q"}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("count", [200, 1000])
def test_what_nobody_put_there_is_a_core_of_one(name: str, count: int) -> None:
    operations = clients(Random(1), name, count, 8)
    place = [place for place, one in enumerate(operations) if one.f in ("dequeue", "pop", "read", "get")][-20]
    operations[place] = replace(operations[place], result=IMPOSSIBLE[name])
    result = check(operations, name, budget=Budget(steps=300_000))
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert [one.result for one in result.violation.window] == [IMPOSSIBLE[name]]
    assert result.violation.blocked.result == IMPOSSIBLE[name]


@pytest.mark.parametrize("seed", [2, 3, 5, 6])
def test_a_good_stack_is_found_by_going_deep(seed: int) -> None:
    result = check(clients(Random(seed), "stack", 200, 8), "stack", budget=Budget(steps=500_000))
    assert result.verdict is Verdict.VALID


@pytest.mark.parametrize("name", ["set", "multi-register"])
def test_a_stale_aspect_is_shown_by_itself(name: str) -> None:
    operations = clients(Random(4), name, 100, 4)
    reads = [place for place, one in enumerate(operations) if one.f == "read"]
    found = []
    for old in reads[:10]:
        spoiled = [*operations]
        spoiled[reads[-3]] = replace(operations[reads[-3]], result=operations[old].result)
        result = check(spoiled, name)
        assert result.verdict is not Verdict.UNKNOWN
        if result.violation is not None:
            found.append(len(result.violation.window))
            assert search(result.violation.window, result.violation.judge, Meter(Budget())).answer is Answer.REFUTED
    assert found
    assert max(found) <= 25


def test_a_queue_is_shown_without_the_values_that_do_not_matter() -> None:
    calm = [
        Operation(f=f, value=n if f == "enqueue" else None, result=n if f == "dequeue" else None, call_time=t)
        for n in range(30)
        for f, t in (("enqueue", 40 * n), ("dequeue", 40 * n + 20))
    ]
    calm = [replace(one, return_time=one.call_time + 5) for one in calm]
    wrong = [
        Operation(f="enqueue", value=100, call_time=2000, return_time=2001),
        Operation(f="enqueue", value=101, call_time=2002, return_time=2003),
        Operation(f="dequeue", result=101, call_time=2004, return_time=2005),
    ]
    result = check([*calm, *wrong], "queue")
    assert result.violation is not None
    assert [one.value or one.result for one in result.violation.window] == [100, 101, 101]


def test_what_unfinished_operations_did_is_told_within_the_budget() -> None:
    operations = [
        Operation(
            f="cas", value=(n % 5, (n + 1) % 5), process=n, call_time=2 * n, status="info"
        ) if n % 2 else Operation(f="read", result=0, process=n, call_time=2 * n, return_time=2 * n + 1)
        for n in range(400)
    ]  # fmt: skip
    model = models.cas_register(0)
    result = check(operations, model)
    fates = {fate for _, fate in unfinished(result, model, Meter(Budget(steps=600)))}
    assert "undecided" in fates
    assert {fate for _, fate in unfinished(result, model)} <= {"must", "may", "cannot", "undecided"}
