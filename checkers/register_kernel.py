"""The loops of the register engine, on integers only: plain Python on lists, or compiled by numba on numpy arrays.

Lives here: what `checkers.unique_register` does to columns. There it is explained; here it is counted. An operation
is its position in order of calls; a value is a number; INIT stands for the operation that wrote the initial value.
"""

from typing import Any

Integers = Any

READ, WRITE, CAS = 0, 1, 2
NONE, INIT, MANY = -1, -2, -3
NEVER = 1 << 62
BEFORE_ALL = -1

# what the loops find; `fault` then holds up to four culprits
FINE, NOT_UNIQUE, NEVER_WRITTEN, CONSUMED_TWICE, CAS_CYCLE, CHAIN_ORDER, OVERLAP, SQUEEZED = 0, 1, 2, 3, 4, 5, 6, 7


def link(
    kind: Integers, old: Integers, new: Integers, back: Integers, initial: int,
    producer: Integers, consumer: Integers, needed: Integers, stack: Integers, fault: Integers,
) -> int:  # fmt: skip
    """Finds who produced and consumed every value that matters. `needed` is 1 + an operation that needs the value."""
    for operation in range(len(kind)):
        if kind[operation] != READ:
            value = new[operation]
            producer[value] = operation if producer[value] == NONE else MANY
    producer[initial] = INIT if producer[initial] == NONE else MANY
    depth = 0
    for operation in range(len(kind)):
        value = NONE
        if kind[operation] == READ:
            value = new[operation]
        elif kind[operation] == CAS and back[operation] != NEVER:
            value = old[operation]
            if consumer[value] != NONE:
                fault[0], fault[1] = consumer[value], operation
                return CONSUMED_TWICE if producer[value] != MANY else NOT_UNIQUE
            consumer[value] = operation
        if value != NONE and needed[value] == 0:
            needed[value] = 1 + operation
            stack[depth] = value
            depth += 1
    while depth:
        depth -= 1
        value = stack[depth]
        source = producer[value]
        if source == NONE:
            fault[0] = needed[value] - 1
            return NEVER_WRITTEN
        if source == MANY:
            return NOT_UNIQUE
        if source != INIT and kind[source] == CAS and back[source] == NEVER:
            before = old[source]
            if consumer[before] != NONE and consumer[before] != source:
                fault[0], fault[1] = consumer[before], source
                fault[2] = needed[value] - 1
                return CONSUMED_TWICE if producer[before] != MANY else NOT_UNIQUE
            consumer[before] = source
            if needed[before] == 0:
                needed[before] = 1 + source
                stack[depth] = before
                depth += 1
    return FINE


def readers(kind: Integers, new: Integers, call: Integers, back: Integers, first: Integers, last: Integers) -> None:
    """For each value the reader that returned first and the one that was called last."""
    for operation in range(len(kind)):
        if kind[operation] == READ:
            value = new[operation]
            if first[value] == NONE or back[operation] < back[first[value]]:
                first[value] = operation
            last[value] = operation  # operations are in order of their calls


def chains(
    kind: Integers, new: Integers, call: Integers, back: Integers, initial: int,
    producer: Integers, consumer: Integers, needed: Integers, first: Integers, last: Integers,
    start: Integers, low: Integers, high: Integers, fault: Integers,
) -> int:  # fmt: skip
    """The chains, each from a blind write (or INIT) along the cas that consume; returns their number or ~fault.

    `low` is the operation of the chain that returned first, `high` the one called last; INIT where it is neither.
    `needed` turns negative for the values that a chain reached.
    """
    count = 0
    for begin in range(-1, len(kind)):
        if begin == -1:
            operation, value, alone = INIT, initial, needed[initial] == 0
        else:
            if kind[begin] != WRITE:
                continue
            operation, value, alone = begin, new[begin], needed[new[begin]] == 0
            if (alone and back[begin] == NEVER) or (not alone and producer[value] != begin):
                continue
        start[count] = operation
        earliest, latest = operation, operation
        while True:
            if operation >= 0:
                if latest >= 0 and back[operation] < call[latest]:
                    fault[0], fault[1] = operation, latest
                    return ~CHAIN_ORDER
                if latest < 0 or call[operation] > call[latest]:
                    latest = operation
                if earliest >= 0 and back[operation] < back[earliest]:
                    earliest = operation
            if alone:
                break
            needed[value] = -1
            if first[value] >= 0:
                if latest >= 0 and back[first[value]] < call[latest]:
                    fault[0], fault[1] = first[value], latest
                    return ~CHAIN_ORDER
                if earliest >= 0 and back[first[value]] < back[earliest]:
                    earliest = first[value]
                if latest < 0 or call[last[value]] > call[latest]:
                    latest = last[value]
            operation = consumer[value]
            if operation == NONE:
                break
            value = new[operation]
            alone = needed[value] == 0
        low[count], high[count] = earliest, latest
        count += 1
    for value in range(len(needed)):
        if needed[value] > 0:
            fault[0] = needed[value] - 1
            fault[1] = value
            return ~CAS_CYCLE
    return count


def zones(
    count: int, call: Integers, back: Integers, low: Integers, high: Integers, earliest: Integers, latest: Integers
) -> int:
    """The first return and last call of every chain; how many are forward: have to hold from the one to the other."""
    forward = 0
    for chain in range(count):
        earliest[chain] = BEFORE_ALL if low[chain] == INIT else back[low[chain]]
        latest[chain] = BEFORE_ALL if high[chain] == INIT else call[high[chain]]
        forward += earliest[chain] < latest[chain]
    return forward


def overlap(forwards: Integers, earliest: Integers, latest: Integers, fault: Integers) -> int:
    """Whether two forward chains, in order of `earliest`, have to hold at once."""
    for place in range(1, len(forwards)):
        if earliest[forwards[place]] < latest[forwards[place - 1]]:
            fault[0], fault[1] = forwards[place - 1], forwards[place]
            return OVERLAP
    return FINE


def squeeze(
    order: Integers, forwards: Integers, earliest: Integers, latest: Integers,
    major: Integers, minor: Integers, fault: Integers,
) -> int:  # fmt: skip
    """Whether a backward chain has to lie inside a forward one; else the sort keys of every chain in a witness.

    `order` has the backward chains by `latest`. With m for `earliest` and M for `latest` the keys are (m, 0) for a
    forward chain, (its m, 1 + own M) for a backward one that goes right after a forward one, else (M, 0).
    """
    place = -1
    for chain in forwards:
        major[chain], minor[chain] = 2 * earliest[chain], 0
    for chain in order:
        while place + 1 < len(forwards) and earliest[forwards[place + 1]] < latest[chain]:
            place += 1
        major[chain], minor[chain] = 2 * latest[chain] + 1, 0
        if place >= 0:
            holder = forwards[place]
            if latest[holder] > earliest[chain]:
                fault[0], fault[1] = chain, holder
                return SQUEEZED
            if latest[holder] > latest[chain]:
                major[chain], minor[chain] = 2 * earliest[holder], 1 + latest[chain]
    return FINE


def group(kind: Integers, new: Integers, offset: Integers, grouped: Integers) -> None:
    """The reads by value, each group in order of calls; group v ends at `offset[v]` and begins where v - 1 ends."""
    for operation in range(len(kind)):
        if kind[operation] == READ:
            offset[new[operation] + 1] += 1
    for value in range(1, len(offset)):
        offset[value] += offset[value - 1]
    for operation in range(len(kind)):
        if kind[operation] == READ:
            grouped[offset[new[operation]]] = operation
            offset[new[operation]] += 1


def emit(
    order: Integers, start: Integers, initial: int, new: Integers, consumer: Integers, needed: Integers,
    offset: Integers, grouped: Integers, witness: Integers,
) -> int:  # fmt: skip
    """Writes the chains out in order: each producer, its readers, and on along the chain; returns the count."""
    count = 0
    for chain in order:
        operation = start[chain]
        value = initial if operation == INIT else new[operation]
        while True:
            if operation >= 0:
                witness[count] = operation
                count += 1
            if needed[value] == 0:
                break
            for place in range(offset[value - 1] if value else 0, offset[value]):
                witness[count] = grouped[place]
                count += 1
            operation = consumer[value]
            if operation == NONE:
                break
            value = new[operation]
    return count


def replay(
    witness: Integers, count: int, kind: Integers, old: Integers, new: Integers, call: Integers, back: Integers,
    initial: int, placed: Integers,
) -> int:  # fmt: skip
    """-1 if the witness is a linearization of the columns, else the operation at fault. Knows nothing of chains."""
    state, latest = initial, BEFORE_ALL
    for place in range(count):
        operation: int = witness[place]
        if placed[operation] or back[operation] < latest:
            return operation
        placed[operation] = 1
        latest = max(latest, call[operation])
        if kind[operation] == READ and new[operation] != state:
            return operation
        if kind[operation] == CAS and old[operation] != state:
            return operation
        state = new[operation]
    for missing in range(len(kind)):
        if back[missing] != NEVER and placed[missing] == 0:
            return missing
    return -1
