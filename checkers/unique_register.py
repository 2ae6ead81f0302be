"""The register engine: near-linear, for registers in which every value that matters was written at most once.

Lives here: when it applies, how it decides, and which operations it names when it says no.

A register holds a value for one contiguous period. So a blind write, its readers, the cas that consumes the value,
that cas's readers, ... are one indivisible block, a chain. Chain A has to precede chain B if and only if something of
A returned before something of B was called: if A's earliest return m is before B's latest call M. Any cycle of such
precedence implies a cycle of two, and a cycle of two is either two chains that each hold from m to M and overlap
(forward: m < M), or a backward chain inside a forward one. So sorting the chains decides, in O(n log n). For reads
and writes this is Gibbons and Korach (1997) and Golab, Li and Shah (2011); the cas chains are an extension.

It does not apply if a value that was read, or compared by a cas that took place, has two possible writers (the
initial value counts as written), or if a failed cas does not say what it saw: with those the problem is NP-complete.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from checkers import register_kernel as k
from checkers.compiled import Loops
from checkers.history import NEVER, Operation
from checkers.models import State, cas_argument
from checkers.recorded import Recorded
from checkers.register_rows import rows_of
from checkers.search_arrays import Integers


@dataclass(frozen=True)
class Columns:
    """Register operations in order of their calls, as integers; values are numbered from 0, `back` is NEVER if pending.

    A read has its result in `new`, a write its value; a cas goes from `old` to `new`.
    """

    kind: Integers
    old: Integers
    new: Integers
    call: Integers
    back: Integers
    initial: int
    values: int


@dataclass(frozen=True)
class Answer:
    """`applies` or not; if it does, either a `witness` (positions, `count` of them used) or a `core` and why."""

    applies: bool
    witness: Integers = None
    count: int = 0
    core: tuple[int, ...] = ()
    sentence: str = ""


def columns_of(
    operations: Sequence[Operation], initial: State, loops: Loops
) -> tuple[Columns, Sequence[int]] | int | None:
    """The columns and which operation each row is; or one that contradicts itself; or None: does not apply."""
    if isinstance(operations, Recorded):
        return _columns_recorded(operations, initial, loops)
    numbers: dict[State, int] = {initial: 0}
    rows: list[tuple[int, int, int, int, int]] = []
    places: list[int] = []
    for place, operation in enumerate(operations):
        if operation.f == "read":
            kind, old, new = k.READ, 0, operation.result
        elif operation.f == "write":
            kind, old, new = k.WRITE, 0, operation.value
        else:
            before, after = cas_argument(operation)
            if operation.status == "fail":
                if operation.actual is UNSET:
                    return None
                if operation.actual == before and operation.returned:
                    return place
                kind, old, new = k.READ, 0, operation.actual
            elif before == after:
                if operation.return_rank == NEVER:
                    continue
                kind, old, new = k.READ, 0, before
            else:
                kind, old, new = k.CAS, numbers.setdefault(before, len(numbers)), after
        if kind == k.READ and operation.return_rank == NEVER:
            continue
        rows.append((kind, old, numbers.setdefault(new, len(numbers)), operation.call_rank, operation.return_rank))
        places.append(place)
    kinds, olds, news, calls, backs = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    columns = Columns(
        kind=loops.array(kinds),
        old=loops.array(olds),
        new=loops.array(news),
        call=loops.array(calls),
        back=loops.array(backs),
        initial=0,
        values=len(numbers),
    )
    return columns, places


def _columns_recorded(operations: Recorded, initial: State, loops: Loops) -> tuple[Columns, Sequence[int]] | int | None:
    """The same of operations that have not been made."""
    found = rows_of(operations, initial)
    if found is None or isinstance(found, int):
        return found
    rows, start = found
    size = len(rows.new)
    numbers, count = loops.numbered(array("q", [start]), rows.new, rows.old if rows.cas else array("q"))
    columns = Columns(
        kind=loops.view(rows.kind),
        old=numbers[size + 1 :] if rows.cas else loops.filled(size, int(numbers[0])),
        new=numbers[1 : size + 1],
        call=loops.view(rows.call),
        back=loops.view(rows.back),
        initial=int(numbers[0]),
        values=count,
    )
    return columns, rows.places


def decide(columns: Columns, loops: Loops) -> Answer:
    """Whether the columns have a linearization. O(n log n) time, about 15 words an operation."""
    register, filled, values = loops.register, loops.filled, columns.values
    count = len(columns.kind)
    c = columns
    producer, consumer = filled(values, k.NONE), filled(values, k.NONE)
    needed, fault = filled(values, 0), filled(4, k.NONE)
    code = register["link"](
        c.kind, c.old, c.new, c.back, c.initial, producer, consumer, needed, filled(values + 1, 0), fault
    )  # fmt: skip
    if code == k.NOT_UNIQUE:
        return Answer(applies=False)
    why = loops.array(needed)
    if code != k.FINE:
        return _refuted(columns, producer, why, code, loops.listed(fault))
    first, last = filled(values, k.NONE), filled(values, k.NONE)
    register["readers"](c.kind, c.new, c.call, c.back, first, last)
    start, low, high = filled(count + 1, 0), filled(count + 1, 0), filled(count + 1, 0)
    chains = register["chains"](
        c.kind, c.new, c.call, c.back, c.initial, producer, consumer, needed, first, last, start, low, high, fault
    )  # fmt: skip
    if chains < 0:
        return _refuted(columns, producer, why, ~chains, loops.listed(fault))
    earliest, latest = filled(chains, 0), filled(chains, 0)
    register["zones"](chains, c.call, c.back, low, high, earliest, latest)
    forwards, backwards = loops.split(earliest, latest)
    code = register["overlap"](forwards, earliest, latest, fault)
    major, minor = filled(chains, 0), filled(chains, 0)
    if code == k.FINE:
        code = register["squeeze"](backwards, forwards, earliest, latest, major, minor, fault)
    if code != k.FINE:
        pair = [int(chain) for chain in loops.listed(fault)[:2]]
        ends = [int(end) for chain in pair for end in (low[chain], high[chain])]
        return _refuted(columns, producer, why, code, ends)
    offset, grouped, witness = filled(values + 1, 0), filled(count, 0), filled(count, 0)
    register["group"](c.kind, c.new, offset, grouped)
    order = loops.sorted_places(major, minor)
    written = register["emit"](order, start, c.initial, c.new, consumer, needed, offset, grouped, witness)
    wrong = register["replay"](witness, written, c.kind, c.old, c.new, c.call, c.back, c.initial, filled(count, 0))
    assert wrong == -1, f"the witness fails at operation {wrong}"
    return Answer(applies=True, witness=witness, count=int(written))


def _refuted(columns: Columns, producer: Integers, why: Integers, code: int, culprits: Iterable[int]) -> Answer:
    """The answer no: the culprits, closed over the writers of what they saw and the witnesses of crashed updates."""
    if code == k.CAS_CYCLE:
        culprits = _cycle(columns, producer, next(iter(culprits)))
    closed = dict.fromkeys(one for one in map(int, culprits) if one >= 0)
    waiting = list(closed)
    while waiting:
        operation = waiting.pop()
        kind, also = columns.kind[operation], []
        if kind != k.WRITE:
            saw = columns.new[operation] if kind == k.READ else columns.old[operation]
            also.append(int(producer[saw]))
        if columns.back[operation] == NEVER:
            also.append(int(why[columns.new[operation]]) - 1)
        for other in also:
            if other >= 0 and other not in closed:
                closed[other] = None
                waiting.append(other)
    return Answer(applies=True, core=tuple(sorted(closed)), sentence=SENTENCES[code])


def _cycle(columns: Columns, producer: Integers, operation: int) -> list[int]:
    """The cas that each need what another of them wrote, and so can only have happened after themselves."""
    path: list[int] = []
    while operation not in path:
        path.append(operation)
        value = columns.new[operation] if columns.kind[operation] == k.READ else columns.old[operation]
        operation = int(producer[value])
    return path[path.index(operation) :]


SENTENCES = {
    k.NEVER_WRITTEN: "a value was seen that nothing had written",
    k.CONSUMED_TWICE: "lost update: two cas that succeeded both replaced a value that was written only once",
    k.CAS_CYCLE: "circular: each of these cas needs the value that another of them wrote, so none can be the first",
    k.CHAIN_ORDER: "stale read: a value was seen after a cas that replaced it, or what came later, had completed",
    k.OVERLAP: "the value changed and changed back: each of two values, written only once, was current both before and "
    "after a time at which the other was",
    k.SQUEEZED: "stale read: a value was written and seen only while another one, written only once, was current "
    "before and after",
}
