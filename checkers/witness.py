"""The order that a surviving configuration stands for, on integers only, interpreted or compiled as the kernel is.

Lives here: the way back from the last configuration to the first, walked forwards along the events once more. The
configurations say what took place visibly and when; what they discharged on the way, overwrites that nobody saw and
observers that agreed, is put in its place here.
"""

from checkers.kernel import (
    AT_CLASS,
    AT_ENDS,
    AT_EVENTS,
    AT_FIRST_OPERATION,
    AT_FLAGS,
    AT_FRONT,
    AT_KIND,
    AT_ORDER,
    AT_ORDERED,
    AT_QUEUE,
    AT_SLOTS,
    AT_VISIBLE,
    AT_WORK,
    CLASSES,
    EVENTS,
    INITIAL,
    KEY,
    LIVE,
    MOMENT,
    OBSERVER,
    OVERWRITE,
    PARENT,
    SLOT_OPERATION,
    SLOT_WORDS,
    TEXTS,
    VIA,
    Integers,
    lookup,
    occupy,
)
from checkers.text_trie import UNSEEN_NODE


def linearize(m: Integers, t: Integers) -> None:
    """Writes down the order that the most frugal survivor stands for.

    In the queue is, for each crashed operation, the next of its class; the ends are first and last of each class.
    """
    uses = trail(m)
    order, queue, ends, state = m[m[AT_FIRST_OPERATION] + m[KEY]] + m[AT_ORDER], m[AT_QUEUE], m[AT_ENDS], m[INITIAL]
    for klass in range(m[CLASSES]):
        m[ends + 2 * klass] = -1
    count = unplaced = use = 0
    for moment in range(m[EVENTS]):
        while use < uses and m[m[m[AT_WORK] + use] + MOMENT] == moment:
            via = m[m[m[AT_WORK] + use] + VIA]
            use += 1
            if via < 0:
                klass, via = ~via, m[ends + 2 * ~via]
                m[ends + 2 * klass] = m[queue + via]
            if m[m[AT_FLAGS] + m[m[AT_KIND] + via]] == OVERWRITE:
                count, unplaced = place_hidden(m, order, count, unplaced)
            m[order + count] = via
            count += 1
            unplaced &= ~slot_of(m, unplaced, via)
            state = lookup(m, t, m[m[AT_KIND] + via], state)
            count, unplaced = place_idle(m, t, order, count, unplaced, state)
        code = m[m[AT_EVENTS] + moment]
        if code < 0:
            unplaced &= ~slot_of(m, unplaced, ~code)
        elif m[m[AT_CLASS] + code] == LIVE:
            unplaced |= 1 << occupy(m, unplaced, code)
            count, unplaced = place_idle(m, t, order, count, unplaced, state)
        else:
            enqueue(m, ends + 2 * m[m[AT_CLASS] + code], code)
    m[m[AT_ORDERED] + m[KEY]] = count


def trail(m: Integers) -> int:
    """Leaves in `work` the configurations on the way to the first survivor, and marks what took place visibly."""
    uses = 0
    node = m[m[AT_FRONT]]
    while m[node + PARENT] >= 0:
        m[m[AT_WORK] + uses] = node
        uses += 1
        if m[node + VIA] >= 0:
            m[m[AT_VISIBLE] + m[node + VIA]] = 1
        node = m[node + PARENT]
    for place in range(uses // 2):
        m[m[AT_WORK] + place], m[m[AT_WORK] + uses - 1 - place] = (
            m[m[AT_WORK] + uses - 1 - place],
            m[m[AT_WORK] + place],
        )
    return uses


def enqueue(m: Integers, ends: int, operation: int) -> None:
    """Puts a crashed operation last in the queue whose first and last are at `ends`."""
    m[m[AT_QUEUE] + operation] = -1
    if m[ends] < 0:
        m[ends] = operation
    else:
        m[m[AT_QUEUE] + m[ends + 1]] = operation
    m[ends + 1] = operation


def place_hidden(m: Integers, order: int, count: int, unplaced: int) -> tuple[int, int]:
    """Writes down the open overwrites that nobody sees, just before one that hides them."""
    slot = 0
    while unplaced >> slot:
        operation = m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_OPERATION]
        hidden = m[m[AT_FLAGS] + m[m[AT_KIND] + operation]] == OVERWRITE and m[m[AT_VISIBLE] + operation] == 0
        if unplaced >> slot & 1 and hidden:
            m[order + count] = operation
            count += 1
            unplaced &= ~(1 << slot)
        slot += 1
    return count, unplaced


def place_idle(m: Integers, t: Integers, order: int, count: int, unplaced: int, state: int) -> tuple[int, int]:
    """Writes down the open observers that agree with the state, and the appends that nobody sees where it is unseen."""
    slot = 0
    while unplaced >> slot:
        operation = m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_OPERATION]
        kind = m[m[AT_KIND] + operation]
        hidden = m[TEXTS] and state == UNSEEN_NODE and m[m[AT_VISIBLE] + operation] == 0
        idle = m[m[AT_FLAGS] + kind] == OBSERVER or (m[m[AT_FLAGS] + kind] != OVERWRITE and hidden)
        if unplaced >> slot & 1 and idle and lookup(m, t, kind, state) == state:
            m[order + count] = operation
            count += 1
            unplaced &= ~(1 << slot)
        slot += 1
    return count, unplaced


def slot_of(m: Integers, taken: int, operation: int) -> int:
    """The bit of the operation's slot; 0 if it is in none of those taken."""
    slot = 0
    while taken >> slot:
        if taken >> slot & 1 and m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_OPERATION] == operation:
            return 1 << slot
        slot += 1
    return 0
