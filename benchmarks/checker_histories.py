"""Random histories of a register that really was one, for the benchmarks and the fuzz test of the checkers.

Lives here: the generator, and the ways to spoil a good history. Every operation takes effect at one moment between its
call and its return; a crashed one at some moment after its call.
"""

import heapq
from random import Random

from msgspec import UNSET
from msgspec.structs import replace

from checkers import Operation


def register_history(
    random: Random, count: int, clients: int, *, values: int | None, crashed: int = 0, cas: float = 1 / 3
) -> list[Operation]:
    """`count` operations by `clients` clients, `crashed` of them without a return; writes draw from so many values.

    With `values` None every write is of a new value. A failed cas says what it saw.
    """
    crash = set(random.sample(range(count), crashed))
    free = [(random.random(), client) for client in range(clients)]
    heapq.heapify(free)
    moments: list[tuple[float, int]] = []
    spans: list[tuple[int, int, int, float]] = []
    for number in range(count):
        now, client = heapq.heappop(free)
        length = random.expovariate(1.0) + 0.01
        happens = now + random.random() * (length if number not in crash else 4 * clients)
        moments.append((happens, number))
        spans.append((int(now * 1e6), int((now + length) * 1e6), client, random.random()))
        heapq.heappush(free, (now + length + random.random() * 0.1, client))
    return _played(random, sorted(moments), spans, crash, values, cas)


def _played(
    random: Random,
    moments: list[tuple[float, int]],
    spans: list[tuple[int, int, int, float]],
    crash: set[int],
    values: int | None,
    cas: float,
) -> list[Operation]:
    """The operations, with the results that a register gives if each takes effect at its moment."""
    state = 0
    operations: dict[int, Operation] = {}
    for fresh, (_, number) in enumerate(moments, 1):
        call, back, client, luck = spans[number]
        new = fresh if values is None else random.randrange(values)
        f = "cas" if luck < cas else "write" if luck < cas + (1 - cas) / 2 else "read"
        operation = Operation(f=f, process=client, call_time=call, return_time=back, status="ok")
        if f == "read":
            operation = replace(operation, result=state)
        elif f == "write":
            operation, state = replace(operation, value=new), new
        else:
            old = state if values is None and random.random() < 0.7 else random.randrange(values or fresh)
            saw, hit = state, state == old
            operation = replace(operation, value=(old, new))
            if hit:
                state = new
            else:
                operation = replace(operation, status="fail", error="mismatch", actual=saw)
        if number in crash:
            operation = replace(
                operation,
                status="info",
                result=None,
                actual=UNSET,
                error=None,
                return_time=None,
                process=number + 10_000,
            )
        operations[number] = operation
    return [operations[number] for number in sorted(operations)]


def blind(operations: list[Operation]) -> list[Operation]:
    """The same where a failed cas does not say what it saw."""
    return [replace(one, actual=UNSET) if one.status == "fail" else one for one in operations]


def never_written(random: Random, operations: list[Operation]) -> list[Operation]:
    """The same with one read, in the last quarter, of a value that nobody wrote."""
    return _spoiled(random, operations, lambda _: -1)


def stale(random: Random, operations: list[Operation]) -> list[Operation]:
    """The same with one read, in the last quarter, of what an early read saw."""
    early = [one.result for one in operations[: len(operations) // 4] if one.f == "read" and one.status == "ok"]
    return _spoiled(random, operations, lambda now: next((value for value in early if value != now), now))


def _spoiled(random: Random, operations: list[Operation], result: "object") -> list[Operation]:
    assert callable(result)
    late = range(3 * len(operations) // 4, len(operations))
    reads = [place for place in late if operations[place].f == "read" and operations[place].status == "ok"]
    spoiled = list(operations)
    place = random.choice(reads)
    spoiled[place] = replace(spoiled[place], result=result(spoiled[place].result))
    return spoiled
