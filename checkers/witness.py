"""The order that a surviving configuration stands for, on integers only, interpreted or compiled as the kernel is.

The way back from the last configuration to the first is walked forwards along the events once more. The configurations
say what took place visibly and when; what they discharged on the way, overwrites that nobody saw and observers that
agreed, is put in its place here.
"""

from checkers.kernel import LIVE, occupy
from checkers.search_arrays import Search
from checkers.text_trie import UNSEEN_NODE
from checkers.transitions import OBSERVER, OVERWRITE, after


def linearize(s: Search) -> None:
    """Write down the order that the first survivor stands for, which is the most frugal."""
    now, order = s.now, s.order
    uses = trail(s)
    begin = s.first_operation[now.key]
    end, state = begin, now.initial
    for crash_class in range(now.class_count):
        s.first_alike[crash_class] = -1
    unplaced = use = 0
    for moment in range(now.event_count):
        while use < uses and s.moment[s.worklist[use]] == moment:
            operation = s.via[s.worklist[use]]
            use += 1
            if operation < 0:
                operation = dequeue(s, ~operation)
            if s.flags[s.kind[operation]] == OVERWRITE:
                end, unplaced = place_hidden(s, end, unplaced)
            order[end] = operation
            end += 1
            unplaced &= ~slot_bit(s, unplaced, operation)
            state = after(s, s.kind[operation], state)
            end, unplaced = place_idle(s, end, unplaced, state)
        code = s.events[moment]
        if code < 0:
            unplaced &= ~slot_bit(s, unplaced, ~code)
        elif s.crash_class[code] == LIVE:
            unplaced |= 1 << occupy(s, unplaced, code)
            end, unplaced = place_idle(s, end, unplaced, state)
        else:
            enqueue(s, code)
    s.ordered[now.key] = end - begin


def trail(s: Search) -> int:
    """Leave in `work` the configurations on the way to the first survivor; note what took place visibly, and count."""
    uses = 0
    config = s.frontier[0]
    while s.parent[config] >= 0:
        s.worklist[uses] = config
        uses += 1
        if s.via[config] >= 0:
            s.effective[s.via[config]] = 1
        config = s.parent[config]
    for place in range(uses // 2):
        mirror = uses - 1 - place
        s.worklist[place], s.worklist[mirror] = s.worklist[mirror], s.worklist[place]
    return uses


def enqueue(s: Search, operation: int) -> None:
    """Put a crashed operation last in the queue of its class."""
    crash_class = s.crash_class[operation]
    s.next_alike[operation] = -1
    if s.first_alike[crash_class] < 0:
        s.first_alike[crash_class] = operation
    else:
        s.next_alike[s.last_alike[crash_class]] = operation
    s.last_alike[crash_class] = operation


def dequeue(s: Search, crash_class: int) -> int:
    """Take the crashed operation that was called first from the queue of the class, and return it."""
    operation: int = s.first_alike[crash_class]
    s.first_alike[crash_class] = s.next_alike[operation]
    return operation


def place_hidden(s: Search, end: int, unplaced: int) -> tuple[int, int]:
    """Write down the open overwrites that nobody sees, just before one that hides them."""
    slot = 0
    while unplaced >> slot:
        operation = s.slot_operation[slot]
        hidden = s.flags[s.kind[operation]] == OVERWRITE and s.effective[operation] == 0
        if unplaced >> slot & 1 and hidden:
            s.order[end] = operation
            end += 1
            unplaced &= ~(1 << slot)
        slot += 1
    return end, unplaced


def place_idle(s: Search, end: int, unplaced: int, state: int) -> tuple[int, int]:
    """Write down the open observers that agree with the state, and the appends that nobody sees where it is unseen."""
    slot = 0
    while unplaced >> slot:
        operation = s.slot_operation[slot]
        kind = s.kind[operation]
        hidden = s.now.texts and state == UNSEEN_NODE and s.effective[operation] == 0
        idle = s.flags[kind] == OBSERVER or (s.flags[kind] != OVERWRITE and hidden)
        if unplaced >> slot & 1 and idle and after(s, kind, state) == state:
            s.order[end] = operation
            end += 1
            unplaced &= ~(1 << slot)
        slot += 1
    return end, unplaced


def slot_bit(s: Search, taken: int, operation: int) -> int:
    """Return the bit of the operation's slot; 0 if it is in none of those taken."""
    slot = 0
    while taken >> slot:
        if taken >> slot & 1 and s.slot_operation[slot] == operation:
            return 1 << slot
        slot += 1
    return 0
