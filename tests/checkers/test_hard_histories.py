"""Histories that are hard: 3-partition in disguise, and explosions. Exact, or honestly unknown; never wrong, never more
than was allowed."""

import tracemalloc
from random import Random

import pytest

from checkers import Budget, History, Model, Operation, Verdict, check, models
from checkers.budget import Meter
from checkers.compiled import compiled
from checkers.decision import Answer
from checkers.engines import decide


def splits(numbers: list[int], bins: list[int]) -> bool:
    """Whether the numbers can be put into bins so that each is full exactly."""
    if not numbers:
        return not any(bins)
    first, *rest = numbers
    return any(
        left >= first and splits(rest, [*bins[:place], left - first, *bins[place + 1 :]])
        for place, left in enumerate(bins)
        if left not in bins[:place]
    )


def with_blind_cas(numbers: list[int], bins: int) -> list[Operation]:
    """A register history that is linearizable just if the numbers split evenly into the bins. Every value is unique.

    A number is a chain of as many updates, a write and cas, all open from the first to the last moment. Fences, writes
    that overlap with no other, divide time into bins, and a chain cannot reach across one. In each bin there are as
    many separate moments as a bin holds, and at each a failed cas of every value, which says only that the register did
    not hold that value all the while: so at each moment some chain takes a step.
    """
    fences = range(-bins, 0)
    chains = {place: [100 * (place + 1) + step for step in range(size)] for place, size in enumerate(numbers)}
    moments, operations, clock = [], [], 1
    for fence in fences:
        operations.append(Operation(f="write", value=fence, call_time=clock, return_time=clock + 1))
        moments += [(fence, clock + 2 * turn) for turn in range(1, sum(numbers) // bins + 1)]
        clock = moments[-1][1] + 2
    values = [value for chain in chains.values() for value in chain]
    for fence, start in moments:
        for number, value in enumerate([*values, fence]):
            cas = ("cas", (value, 0), 1000 + number)
            operations.append(failed(cas, start))
    for place, chain in chains.items():
        for step, value in enumerate(chain):
            f, argument = ("cas", (chain[step - 1], value)) if step else ("write", value)
            process = 100 * (place + 1) + step
            operations.append(Operation(f=f, value=argument, process=process, call_time=0, return_time=clock + process))
    return operations


def failed(cas: tuple[str, tuple[int, int], int], start: int) -> Operation:
    f, value, process = cas
    return Operation(
        f=f, value=value, process=process, call_time=start, return_time=start + 1, status="fail", error="mismatch"
    )


def with_a_counter(numbers: list[int], bins: int) -> list[Operation]:
    """The same with a counter: all numbers are added at some time, and it is read after each bin."""
    size, end = sum(numbers) // bins, 10 * (bins + 1)
    adds = [
        Operation(f="add", value=number, process=place, call_time=0, return_time=end + place)
        for place, number in enumerate(numbers)
    ]
    reads = [
        Operation(f="read", result=size * turn, process=99, call_time=10 * turn, return_time=10 * turn + 1)
        for turn in range(1, bins + 1)
    ]
    return [*adds, *reads]


def instances(count: int, size: int) -> list[tuple[list[int], int]]:
    """Numbers that fill so many bins of that size in sum; every other one cannot be split so."""
    random, made = Random(size), []
    while len(made) < count:
        bins = random.randint(2, 3)
        numbers = [random.randint(2, size - 1) for _ in range(random.randint(bins, 3 * bins))]
        if sum(numbers) == bins * size and splits(numbers, [size] * bins) == bool(len(made) % 2):
            made.append((numbers, bins))
    return made


def judged(operations: list[Operation], model: Model, meter: Meter) -> Answer:
    return decide(History.of_operations(operations), model, "auto", meter).answer


@pytest.mark.parametrize("made", [with_blind_cas, with_a_counter])
def test_partition_is_decided_exactly(made: "type[with_blind_cas]") -> None:
    model = models.cas_register(0) if made is with_blind_cas else models.get("counter")
    for numbers, bins in instances(16, 6):
        truth = splits(numbers, [sum(numbers) // bins] * bins)
        answer = judged(made(numbers, bins), model, Meter(Budget()))
        assert answer is (Answer.LINEARIZED if truth else Answer.REFUTED), (numbers, bins)


@pytest.mark.parametrize("made", [with_blind_cas, with_a_counter])
@pytest.mark.parametrize("steps", [50, 1000, 20_000])
def test_partition_within_a_budget_is_exact_or_unknown(made: "type[with_blind_cas]", steps: int) -> None:
    model = models.cas_register(0) if made is with_blind_cas else models.get("counter")
    for numbers, bins in instances(6, 9):
        truth = splits(numbers, [sum(numbers) // bins] * bins)
        answer = judged(made(numbers, bins), model, Meter(Budget(steps=steps)))
        assert answer in (Answer.EXHAUSTED, Answer.LINEARIZED if truth else Answer.REFUTED), (numbers, bins)


def explosive(count: int, reads: int = 0) -> list[Operation]:
    """A counter to which even powers of two are added at once: every subset is a state of its own; then reads in peace.

    The first read saw an odd number, which no subset explains, and no bound excludes.
    """
    adds = [Operation(f="add", value=2 << n, process=n, call_time=0, return_time=10**7 + n) for n in range(count)]
    first = Operation(f="read", result=1, process=99, call_time=0, return_time=5)
    peace = [
        Operation(f="read", result=0, process=99, call_time=10 * n, return_time=10 * n + 5) for n in range(1, reads)
    ]
    return [*adds, first, *peace]


def test_an_explosion_ends_within_its_budget_of_memory() -> None:
    limit = 10_000_000
    history = History.of_operations(explosive(30))
    compiled()
    check(explosive(30), models.counter(7), budget=Budget(steps=1000))  # what it loads is not the search's
    tracemalloc.start()
    result = check(history, "counter", budget=Budget(bytes=limit))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.verdict is Verdict.UNKNOWN
    assert "the memory budget of 10000000 bytes is spent" in result.reason
    assert peak < 1.1 * limit


def test_an_explosion_is_unknown_and_says_how_far_it_got() -> None:
    result = check(explosive(40), "counter", budget=Budget(steps=20_000))
    assert result.verdict is Verdict.UNKNOWN
    assert "the budget of 20000 steps is spent after 41 of 82 events, up to " in result.reason
    assert "up to 0 configurations" not in result.reason, "those of the return under way count"
    assert "states possible there: " in result.reason


def test_the_clock_is_read_inside_a_step_of_the_search() -> None:
    readings = 0

    def clock() -> float:
        nonlocal readings
        readings += 1
        return float(readings)

    result = check(explosive(40), "counter", budget=Budget(seconds=12), clock=clock)
    assert result.verdict is Verdict.UNKNOWN
    assert "the time budget of 12 s is spent after 41 of 82 events" in result.reason
    assert readings < 30


@pytest.mark.parametrize("calm", [0, 200])
def test_a_value_that_nobody_wrote_is_found_however_many_operations_crashed(calm: int) -> None:
    crashed = [
        Operation(f="cas", value=(n % 5, n * 3 % 5), status="info", process=n, call_time=n, error="timeout")
        for n in range(120)
    ]
    live = [
        Operation(f="write", value=n % 5, process=1000 + n % 15, call_time=150 + n, return_time=165 + n)
        for n in range(60 + calm)
    ]
    read = Operation(f="read", result=-1, process=2000, call_time=200, return_time=210)
    result = check([*crashed, *live, read], models.cas_register(0), budget=Budget(steps=200_000))
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert [one.result for one in result.violation.window] == [-1]
