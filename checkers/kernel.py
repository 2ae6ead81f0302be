"""The frontier search, on integers only: every state in which the history so far can have left the model.

Lives here: one pass over calls and returns that carries a set of configurations. The source is plain Python on lists;
the same source is compiled by numba on numpy arrays (`checkers.compiled`), so it uses nothing but integers, loops and
indexing.

A configuration is a state, the open operations that are discharged, those of them that took place visibly, and how
often each class of crashed operations was used. Operations take place as late as they can (Lowe 2017): only at a
return, of the operation itself or of another that needs it. What keeps the set small (each is measured in
docs/checking.md):

- an observer (a read, a failed cas) is discharged as soon as a configuration agrees with it, and never branched on;
- an overwrite discharges every open overwrite just before it, unseen, which remain usable until they return;
- where the state is a text that nobody can see, the same goes for every open append;
- of two configurations with one state, one that discharged more and used fewer crashed operations stands for both;
- crashed operations of one kind are a count; of open ones of one kind, the one that must return first goes first;
- an update that told nothing is not followed by an overwrite;
- at a return only operations on the same part of the state take place: the others commute with it, and can wait.

With `WIDTH` the set is cut to the most frugal configurations: a survivor is then still a linearization, but an empty
set no longer a proof that there is none.
"""

from typing import Any

from checkers.text_trie import UNSEEN_NODE, follow

Integers = Any

UNKNOWN_STATE, ILLEGAL_STATE, EMPTY, STATE_BITS = -2, -1, -1, 31
OBSERVER, OVERWRITE, IRRELEVANT = 1, 2, 4  # flags of kinds
LIVE = -1  # the class of an operation that returns
TOO_MUCH = 64  # times the width: with so many configurations at one return, a pass that is cut looks no further
ENOUGH = 4  # times the width: the same for so many results

# what `advance` returns, and, of the last two, `run`
FINISHED, REFUTED, WANTED, FULL, PAUSED, CRAMPED, CROWDED = 0, 1, 2, 3, 4, 5, 6

# the first words of the memory: registers, then where each array begins
EVENT, EVENTS, HEAD, WORK_COUNT, RESULT_COUNT, FRONT_COUNT = 0, 1, 2, 3, 4, 5
NODES, FIRST_NODE, BUSY, OPEN, OBSERVERS, OVERWRITES = 6, 7, 8, 9, 10, 11
CLASSES, WIDTH, CUT, STEPS, STEP_LIMIT, PASS_LIMIT = 12, 13, 14, 15, 16, 17
WANTED_KIND, WANTED_STATE, GENERATION, MOST_OPEN, WIDEST, RESULT_BIT = 18, 19, 20, 21, 22, 23
NODE_WORDS, SPARING, RESULT_PART, KEY, KEYS, OPEN_LIMIT = 24, 25, 26, 27, 28, 29
TEXTS, INITIAL, INITIAL_LENGTH, BEGUN, HIDEABLE, BUCKET_MASK, POOL_END = 30, 31, 32, 33, 34, 35, 36
AT_FLAGS, AT_PART, AT_CLASS_OF_KIND, AT_TEXT = 37, 38, 39, 40  # of each kind
AT_KIND, AT_DEADLINE, AT_CLASS, AT_VISIBLE, AT_ORDER, AT_QUEUE = 41, 42, 43, 44, 45, 46  # of each operation
AT_SHARED, AT_EVENTS = 47, 48  # events: of all keys, one behind the other; of the key under way, those that matter
AT_FIRST_OPERATION, AT_FIRST_EVENT, AT_ORDERED = 49, 50, 51  # of each key
AT_CLASS_KIND, AT_AVAILABLE, AT_ENDS, AT_SLOTS = 52, 53, 54, 55  # of each class of crashed operations, of what is open
AT_FRONT, AT_WORK, AT_RESULT, AT_BUCKETS, AT_POOL = 56, 57, 58, 59, 60  # configurations; these grow
CONTROL_WORDS = 61

# words of a configuration (a node is the offset of its first), of the slot of an open operation, of a bucket
STATE, DONE, SEEN, PARENT, VIA, MOMENT, USELESS, NEXT, USED = 0, 1, 2, 3, 4, 5, 6, 7, 8
SLOT_KIND, SLOT_TWINS, SLOT_OPERATION, SLOT_WORDS = 0, 1, 2, 3
BUCKET_HEAD, BUCKET_GENERATION, BUCKET_WORDS = 0, 1, 2


def lay_out(m: Integers, kinds: int, operations: int, events: int, classes: int, slots: int, capacity: int) -> int:
    """Says where each array begins, the last ones with room for `capacity` configurations; how many words there are."""
    end = CONTROL_WORDS
    for first, last, size in (
        (AT_FLAGS, AT_TEXT, kinds),
        (AT_KIND, AT_QUEUE, operations),
        (AT_SHARED, AT_EVENTS, events),
        (AT_FIRST_OPERATION, AT_ORDERED, m[KEYS] + 2),
        (AT_CLASS_KIND, AT_AVAILABLE, classes),
        (AT_ENDS, AT_ENDS, 2 * classes),
        (AT_SLOTS, AT_SLOTS, slots * SLOT_WORDS),
        (AT_FRONT, AT_RESULT, capacity),
        (AT_BUCKETS, AT_BUCKETS, 2 * capacity * BUCKET_WORDS),
        (AT_POOL, AT_POOL, capacity * (USED + classes)),
    ):
        for address in range(first, last + 1):
            m[address] = end
            end += size
    m[BUCKET_MASK] = 2 * capacity - 1
    return end


def start(m: Integers, width: int, most: int) -> None:
    """Begins a pass of at most so many steps: one configuration, before the first event."""
    m[EVENT] = m[BUSY] = m[OPEN] = m[OBSERVERS] = m[OVERWRITES] = m[HIDEABLE] = m[CUT] = m[WIDEST] = 0
    m[WORK_COUNT] = 0
    m[WIDTH], m[PASS_LIMIT], m[NODE_WORDS] = width, m[STEPS] + most, USED + m[CLASSES]
    for klass in range(m[CLASSES]):
        m[m[AT_AVAILABLE] + klass] = 0
    root = m[AT_POOL]
    for word in range(m[NODE_WORDS]):
        m[root + word] = 0
    m[root + STATE], m[root + PARENT] = m[INITIAL], -1
    m[m[AT_FRONT]], m[FRONT_COUNT], m[NODES] = root, 1, root + m[NODE_WORDS]
    bound(m)


def bound(m: Integers) -> None:
    """Finds where the pool ends: there is room for as many configurations as the front has."""
    m[POOL_END] = m[AT_POOL] + (m[AT_WORK] - m[AT_FRONT]) * m[NODE_WORDS]


def advance(m: Integers, t: Integers) -> int:
    """Goes on from the event that is next. What it returns says why it stopped; called again it resumes."""
    while m[EVENT] < m[EVENTS]:
        code = m[m[AT_EVENTS] + m[EVENT]]
        status = FINISHED
        if code < 0:
            status = complete(m, t, ~code)
        elif m[m[AT_CLASS] + code] == LIVE:
            status = call(m, t, code)
        else:
            m[m[AT_AVAILABLE] + m[m[AT_CLASS] + code]] += 1
        if status != FINISHED:
            return status
        m[EVENT] += 1
    return FINISHED


def call(m: Integers, t: Integers, operation: int) -> int:
    """Gives the operation a slot; an observer is discharged at once wherever the state agrees."""
    kind = m[m[AT_KIND] + operation]
    if m[m[AT_FLAGS] + kind] == OBSERVER:
        for place in range(m[FRONT_COUNT]):
            state = m[m[m[AT_FRONT] + place] + STATE]
            if lookup(m, t, kind, state) == UNKNOWN_STATE:
                return want(m, kind, state)
    slot = occupy(m, m[OPEN], operation)
    bit = 1 << slot
    m[OPEN] |= bit
    if m[m[AT_FLAGS] + kind] == OBSERVER:
        m[OBSERVERS] |= bit
        for place in range(m[FRONT_COUNT]):
            node = m[m[AT_FRONT] + place]
            if lookup(m, t, kind, m[node + STATE]) == m[node + STATE]:
                m[node + DONE] |= bit
        return FINISHED
    if m[m[AT_FLAGS] + kind] == OVERWRITE:
        m[OVERWRITES] |= bit
        m[HIDEABLE] |= bit
    elif m[TEXTS]:
        m[HIDEABLE] |= bit
        for place in range(m[FRONT_COUNT]):
            node = m[m[AT_FRONT] + place]
            if m[node + STATE] == UNSEEN_NODE:
                m[node + DONE] |= bit
    for other in range(m[MOST_OPEN]):
        twin = other * SLOT_WORDS
        if m[OPEN] >> other & 1 and other != slot and m[m[AT_SLOTS] + twin + SLOT_KIND] == kind:
            if m[m[AT_DEADLINE] + m[m[AT_SLOTS] + twin + SLOT_OPERATION]] < m[m[AT_DEADLINE] + operation]:
                m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_TWINS] |= 1 << other
            else:
                m[m[AT_SLOTS] + twin + SLOT_TWINS] |= bit
    return FINISHED


def occupy(m: Integers, taken: int, operation: int) -> int:
    """The first slot that is not taken, now the operation's."""
    slot = 0
    while taken >> slot & 1:
        slot += 1
    m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_KIND] = m[m[AT_KIND] + operation]
    m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_OPERATION] = operation
    m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_TWINS] = 0
    return slot


def complete(m: Integers, t: Integers, operation: int) -> int:
    """Keeps the configurations that are discharged of the operation, and finds those that can become so."""
    if m[BUSY] == 0:
        begin(m, operation)
    while m[HEAD] < m[WORK_COUNT]:
        if m[WIDTH] and (m[RESULT_COUNT] >= ENOUGH * m[WIDTH] or m[WORK_COUNT] >= TOO_MUCH * m[WIDTH]):
            m[CUT] = 1
            break
        status = expand(m, t, m[m[AT_WORK] + m[HEAD]])
        if status != FINISHED:
            return status
        m[HEAD] += 1
        if m[HEAD] == m[WORK_COUNT] and m[SPARING]:
            m[SPARING] = 0
            if m[RESULT_COUNT]:
                m[CUT] = 1
            else:
                m[HEAD] = 0
        if m[STEPS] > m[STEP_LIMIT] or m[STEPS] > m[PASS_LIMIT]:
            return PAUSED
    if m[RESULT_COUNT] == 0:
        return REFUTED
    settle(m)
    vacate(m)
    m[BUSY] = 0
    return FINISHED


def begin(m: Integers, operation: int) -> None:
    """Sorts the configurations at a return into those that may stay and those that have to go on, or both."""
    slot = 0
    while m[OPEN] >> slot & 1 == 0 or m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_OPERATION] != operation:
        slot += 1
    bit = 1 << slot
    m[BUSY], m[RESULT_BIT], m[RESULT_PART] = 1, bit, m[m[AT_PART] + m[m[AT_KIND] + operation]]
    m[GENERATION] += 1
    m[HEAD] = m[WORK_COUNT] = m[RESULT_COUNT] = 0
    m[SPARING] = 1 if m[WIDTH] and m[CLASSES] else 0
    m[FIRST_NODE] = m[NODES]
    for place in range(m[FRONT_COUNT]):
        node = m[m[AT_FRONT] + place]
        chain(m, node)
        if m[node + DONE] & bit:
            m[m[AT_RESULT] + m[RESULT_COUNT]] = node
            m[RESULT_COUNT] += 1
        if m[node + DONE] & bit == 0 or (m[HIDEABLE] & ~m[node + SEEN]) & bit:
            m[m[AT_WORK] + m[WORK_COUNT]] = node
            m[WORK_COUNT] += 1


def expand(m: Integers, t: Integers, node: int) -> int:
    """Takes, from one configuration, every open or crashed operation that can take place next."""
    done, seen, useless = m[node + DONE], m[node + SEEN], m[node + USELESS]
    usable = m[OPEN] & ~m[OBSERVERS] & ~seen & ~(done & ~m[HIDEABLE])
    if useless:
        usable &= ~m[OVERWRITES]
    slot = 0
    while usable >> slot:
        kind = m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_KIND]
        if usable >> slot & 1 and m[m[AT_PART] + kind] == m[RESULT_PART]:
            bit = 1 << slot
            alike = ~done if done & bit == 0 else done & ~seen
            if m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_TWINS] & alike == 0:
                status = take(m, t, node, kind, slot, LIVE)
                if status != FINISHED:
                    return status
        slot += 1
    if m[SPARING]:
        return FINISHED
    for klass in range(m[CLASSES]):
        kind = m[m[AT_CLASS_KIND] + klass]
        left = m[m[AT_AVAILABLE] + klass] - m[node + USED + klass]
        useful = not (useless and m[m[AT_FLAGS] + kind] == OVERWRITE)
        if left > 0 and useful and m[m[AT_PART] + kind] == m[RESULT_PART]:
            status = take(m, t, node, kind, 0, klass)
            if status != FINISHED:
                return status
    return FINISHED


def take(m: Integers, t: Integers, node: int, kind: int, slot: int, klass: int) -> int:
    """Adds the configuration after an operation: the open one of that slot, or one of a crashed class."""
    m[STEPS] += 1
    before = m[node + STATE]
    state = lookup(m, t, kind, before)
    if state == UNKNOWN_STATE:
        return want(m, kind, before)
    if state == ILLEGAL_STATE:
        return FINISHED
    bit = 1 << slot if klass == LIVE else 0
    done, seen = m[node + DONE] | bit, m[node + SEEN]
    if m[m[AT_FLAGS] + kind] == OVERWRITE:
        done |= m[OVERWRITES]
    seen |= bit & m[HIDEABLE]
    if m[TEXTS] and state == UNSEEN_NODE:
        done |= m[HIDEABLE] & ~m[OVERWRITES]
    agreeing = agree(m, t, state, m[OBSERVERS] & ~done)
    if agreeing < 0:
        return WANTED
    done |= agreeing
    told = done & ~(m[node + DONE] | bit)
    if klass != LIVE and told == 0 and state == before:
        return FINISHED
    child = m[NODES]
    if child + m[NODE_WORDS] > m[POOL_END]:
        return FULL
    m[child + STATE], m[child + DONE], m[child + SEEN] = state, done, seen
    m[child + PARENT], m[child + MOMENT] = node, m[EVENT]
    m[child + VIA] = m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_OPERATION] if klass == LIVE else ~klass
    m[child + USELESS] = 1 if told == 0 and (klass != LIVE or m[m[AT_FLAGS] + kind] == OVERWRITE) else 0
    for other in range(m[CLASSES]):
        m[child + USED + other] = m[node + USED + other]
    if klass != LIVE:
        m[child + USED + klass] += 1
    if covered(m, child):
        return FINISHED
    m[NODES] += m[NODE_WORDS]
    chain(m, child)
    file(m, node, child, bit)
    return FINISHED


def file(m: Integers, node: int, child: int, bit: int) -> None:
    """Puts a new configuration where it belongs: it may stay, or it has to go on, or, an overwrite, both."""
    target = m[RESULT_BIT]
    if m[node + DONE] & target:  # its parent stays too, so only seeing the operation take place is news
        stays, goes_on = bit == target, bit != target
    else:
        stays = m[child + DONE] & target != 0
        goes_on = not stays or (m[HIDEABLE] & ~m[child + SEEN]) & target != 0
    if stays:
        m[m[AT_RESULT] + m[RESULT_COUNT]] = child
        m[RESULT_COUNT] += 1
    if goes_on:
        m[m[AT_WORK] + m[WORK_COUNT]] = child
        m[WORK_COUNT] += 1


def settle(m: Integers) -> None:
    """Makes the next set out of the results: the slot freed, the covered ones dropped, cut to the width."""
    for place in range(m[RESULT_COUNT]):
        node = m[m[AT_RESULT] + place]
        m[node + DONE] &= ~m[RESULT_BIT]
        m[node + SEEN] &= ~m[RESULT_BIT]
        m[node + USELESS] = 0
    count = m[RESULT_COUNT]
    for _ in range(2):  # backwards twice: what a later one covers goes in the first pass, an earlier one in the second
        m[GENERATION] += 1
        kept = 0
        for place in range(count - 1, -1, -1):
            node = m[m[AT_RESULT] + place]
            if not covered(m, node):
                chain(m, node)
                m[m[AT_FRONT] + kept] = node
                kept += 1
        for place in range(kept):
            m[m[AT_RESULT] + place] = m[m[AT_FRONT] + place]
        count = kept
    m[FRONT_COUNT] = count
    m[WIDEST] = max(m[WIDEST], count)
    if m[WIDTH] and count > m[WIDTH]:
        cut(m)


def vacate(m: Integers) -> None:
    """Frees the slot of the operation that returned."""
    bit = m[RESULT_BIT]
    m[OPEN] &= ~bit
    m[OBSERVERS] &= ~bit
    m[OVERWRITES] &= ~bit
    m[HIDEABLE] &= ~bit
    for other in range(m[MOST_OPEN]):
        m[m[AT_SLOTS] + other * SLOT_WORDS + SLOT_TWINS] &= ~bit


def cut(m: Integers) -> None:
    """Keeps the `WIDTH` configurations that used the fewest crashed operations."""
    count, kept, spent = m[FRONT_COUNT], 0, 0
    while kept < m[WIDTH]:
        for place in range(count):
            node = m[m[AT_FRONT] + place]
            total = 0
            for klass in range(m[CLASSES]):
                total += m[node + USED + klass]
            if total == spent and kept < m[WIDTH]:
                m[m[AT_RESULT] + kept] = node
                kept += 1
        spent += 1
    for place in range(kept):
        m[m[AT_FRONT] + place] = m[m[AT_RESULT] + place]
    m[FRONT_COUNT] = kept
    m[CUT] = 1


def covered(m: Integers, node: int) -> bool:
    """Whether a configuration of this generation can do all that this one can."""
    place = bucket(m, node)
    if m[place + BUCKET_GENERATION] != m[GENERATION]:
        return False
    other = m[place + BUCKET_HEAD]
    while other >= 0:
        if m[other + STATE] == m[node + STATE]:
            done, seen = m[other + DONE], m[other + SEEN]
            unlike = (done ^ m[node + DONE]) | (seen ^ m[node + SEEN])
            better = done & (m[OBSERVERS] | (m[HIDEABLE] & ~seen))
            if unlike & ~better == 0 and frugal(m, other, node):
                return True
        other = m[other + NEXT]
    return False


def frugal(m: Integers, first: int, second: int) -> bool:
    """Whether the first configuration used no crashed class more often than the second."""
    for klass in range(m[CLASSES]):  # noqa: SIM110  (numba compiles no generator)
        if m[first + USED + klass] > m[second + USED + klass]:
            return False
    return True


def chain(m: Integers, node: int) -> None:
    """Adds a configuration to its bucket."""
    place = bucket(m, node)
    fresh = m[place + BUCKET_GENERATION] != m[GENERATION]
    m[node + NEXT] = -1 if fresh else m[place + BUCKET_HEAD]
    m[place + BUCKET_GENERATION] = m[GENERATION]
    m[place + BUCKET_HEAD] = node


def bucket(m: Integers, node: int) -> int:
    """Where configurations that could cover each other meet: same state, same updates that cannot be hidden."""
    strict = m[node + DONE] & ~(m[OBSERVERS] | m[HIDEABLE])
    mixed = (strict ^ strict >> 20 ^ strict >> 40) & 0xFFFFF
    number = (m[node + STATE] * 40503 ^ mixed * 26544357) & m[BUCKET_MASK]
    place: int = m[AT_BUCKETS] + number * BUCKET_WORDS
    return place


def agree(m: Integers, t: Integers, state: int, observers: int) -> int:
    """Those of the observers that are legal in the state; -1 where the table does not know."""
    found = slot = 0
    while observers >> slot:
        if observers >> slot & 1:
            after = lookup(m, t, m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_KIND], state)
            if after == UNKNOWN_STATE:
                want(m, m[m[AT_SLOTS] + slot * SLOT_WORDS + SLOT_KIND], state)
                return -1
            if after == state:
                found |= 1 << slot
        slot += 1
    return found


def lookup(m: Integers, t: Integers, kind: int, state: int) -> int:
    """The state after an operation of the kind, ILLEGAL_STATE, or UNKNOWN_STATE if the model was not asked yet."""
    if m[TEXTS]:
        text: int = m[m[AT_TEXT] + kind]
        if m[m[AT_FLAGS] + kind] == OBSERVER:
            return state if state == text else ILLEGAL_STATE
        return text if m[m[AT_FLAGS] + kind] == OVERWRITE else follow(t, state, text)
    key = kind << STATE_BITS | state
    last = len(t) // 2 - 1
    place = hashed(kind, state) & last
    while t[2 * place] != EMPTY:
        if t[2 * place] == key:
            after: int = t[2 * place + 1]
            return after
        place = place + 1 & last
    return UNKNOWN_STATE


def insert(table: Integers, keys: Integers, values: Integers) -> None:
    """Adds cells that the table, at most half full with them, does not have yet."""
    last = len(table) // 2 - 1
    for cell in range(len(keys)):
        key = keys[cell]
        place = hashed(key >> STATE_BITS, key & (1 << STATE_BITS) - 1) & last
        while table[2 * place] != EMPTY:
            place = place + 1 & last
        table[2 * place] = key
        table[2 * place + 1] = values[cell]


def hashed(kind: int, state: int) -> int:
    """Where the search for a cell begins; the same in Python and in machine words, since only low bits count."""
    return ((kind * 40503) ^ (state * 26544357)) & 0x7FFFFFFF


def want(m: Integers, kind: int, state: int) -> int:
    """Says which cell of the table is missing."""
    m[WANTED_KIND], m[WANTED_STATE] = kind, state
    return WANTED
