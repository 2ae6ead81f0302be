"""One key after the other through the search, on integers only, interpreted or compiled as the kernel is.

Lives here: what surrounds a pass and has to be done for each key, so that a history of many small keys is decided in
one call. Keys come smallest first; the operations of one have numbers in a row, in order of their calls.
"""

from checkers.kernel import (
    AT_CLASS,
    AT_CLASS_KIND,
    AT_CLASS_OF_KIND,
    AT_DEADLINE,
    AT_EVENTS,
    AT_FIRST_EVENT,
    AT_FIRST_OPERATION,
    AT_FLAGS,
    AT_KIND,
    AT_ORDERED,
    AT_QUEUE,
    AT_SHARED,
    AT_TEXT,
    BEGUN,
    CLASSES,
    CRAMPED,
    CROWDED,
    EVENTS,
    FINISHED,
    INITIAL,
    INITIAL_LENGTH,
    IRRELEVANT,
    KEY,
    KEYS,
    LIVE,
    MOST_OPEN,
    OBSERVER,
    OPEN_LIMIT,
    OVERWRITE,
    TEXTS,
    Integers,
    advance,
    start,
)
from checkers.text_trie import clear, find, plant, room, spell
from checkers.texts import HEARD, HEARD_END, ROW, SAID, SAID_END, SHAPE
from checkers.witness import linearize

BRIEF, BRIEF_TEXTS = 1, 4  # steps an event of the first pass, which keeps everything


def share(m: Integers, kind: Integers, key: Integers, events: Integers) -> None:
    """Puts the operations and the events of each key together, the smallest key first."""
    if m[KEYS] == 1:
        for operation in range(len(kind)):
            m[m[AT_KIND] + operation] = kind[operation]
        for place in range(len(events)):
            m[m[AT_SHARED] + place] = events[place]
        m[m[AT_FIRST_OPERATION] + 1], m[m[AT_FIRST_EVENT] + 1] = len(kind), len(events)
        return
    rank, new = m[AT_ORDERED], m[AT_QUEUE]  # rooms that are empty until the first key is decided
    rank_keys(m, rank, new, key)
    # a word of these counts what lies two keys before it, then tells where the key before it goes on, at last its own
    next_operation, next_event = m[AT_FIRST_OPERATION] + 1, m[AT_FIRST_EVENT] + 1
    for operation in range(len(kind)):
        m[next_operation + 1 + m[rank + key[operation]]] += 1
    for code in events:
        m[next_event + 1 + m[rank + key[code if code >= 0 else ~code]]] += 1
    for place in range(m[KEYS]):
        m[next_operation + place + 1] += m[next_operation + place]
        m[next_event + place + 1] += m[next_event + place]
    for operation in range(len(kind)):
        place = next_operation + m[rank + key[operation]]
        m[new + operation] = m[place]
        m[m[AT_KIND] + m[place]] = kind[operation]
        m[place] += 1
    for code in events:
        operation = code if code >= 0 else ~code
        place = next_event + m[rank + key[operation]]
        m[m[AT_SHARED] + m[place]] = m[new + operation] if code >= 0 else ~m[new + operation]
        m[place] += 1


def rank_keys(m: Integers, rank: int, sizes: int, key: Integers) -> None:
    """Writes the place of each key in order of size, keys of one size in order of their first calls."""
    for operation in range(len(key)):
        m[rank + key[operation]] += 1
    for number in range(m[KEYS]):
        m[sizes + m[rank + number]] += 1
    smaller = 0
    for size in range(len(key)):
        count = m[sizes + size]
        m[sizes + size] = smaller
        smaller += count
    for number in range(m[KEYS]):
        size = m[rank + number]
        m[rank + number] = m[sizes + size]
        m[sizes + size] += 1


def all_texts(rows: Integers, flags: Integers) -> bool:
    """Whether every kind that matters got, put or appended a text."""
    for row in range(0, len(rows), ROW):
        flag = flags[rows[row + SHAPE]]
        if flag != IRRELEVANT and rows[row + (HEARD if flag == OBSERVER else SAID)] < 0:
            return False
    return True


def run(m: Integers, t: Integers, rows: Integers, flags: Integers, blob: Integers) -> int:
    """Goes on with the pass under way, and from key to key as long as their first passes find linearizations."""
    while m[KEY] < m[KEYS]:
        status = FINISHED if m[BEGUN] else begin_key(m, t, rows, flags, blob)
        if status == FINISHED:
            status = advance(m, t)
        if status != FINISHED:
            return status
        linearize(m, t)
        m[KEY] += 1
        m[BEGUN] = 0
    return FINISHED


def begin_key(m: Integers, t: Integers, rows: Integers, flags: Integers, blob: Integers) -> int:
    """Makes a key ready for its first pass."""
    if m[TEXTS]:
        if not plant_texts(m, t, rows, flags, blob):
            return CRAMPED
        m[INITIAL] = find(t, blob, len(blob) - m[INITIAL_LENGTH], len(blob))
    prepare(m)
    if m[MOST_OPEN] > m[OPEN_LIMIT]:
        return CROWDED
    start(m, 0, (BRIEF_TEXTS if m[TEXTS] else BRIEF) * m[EVENTS])
    m[BEGUN] = 1
    return FINISHED


def plant_texts(m: Integers, t: Integers, rows: Integers, flags: Integers, blob: Integers) -> bool:
    """Makes a trie of the texts that the key's gets saw, and finds where its puts lead; false if there is no room."""
    clear(t)
    first, end = m[m[AT_FIRST_OPERATION] + m[KEY]], m[m[AT_FIRST_OPERATION] + m[KEY] + 1]
    for operation in range(first, end):
        kind = m[m[AT_KIND] + operation]
        row = ROW * kind
        flag = flags[rows[row + SHAPE]]
        m[m[AT_FLAGS] + kind], m[m[AT_CLASS_OF_KIND] + kind] = flag, LIVE
        begin, after = (
            (rows[row + HEARD], rows[row + HEARD_END]) if flag == OBSERVER else (rows[row + SAID], rows[row + SAID_END])
        )
        if not room(t, after - begin):
            return False
        if flag == OBSERVER:
            m[m[AT_TEXT] + kind] = plant(t, blob, begin, after)
        elif flag == 0:
            m[m[AT_TEXT] + kind] = spell(t, blob, begin, after)
    for operation in range(first, end):
        kind = m[m[AT_KIND] + operation]
        if m[m[AT_FLAGS] + kind] == OVERWRITE:
            m[m[AT_TEXT] + kind] = find(t, blob, rows[ROW * kind + SAID], rows[ROW * kind + SAID_END])
    return True


def prepare(m: Integers) -> None:
    """Takes the events that matter, and finds when each operation must return and the classes of the crashed."""
    count = 0
    for place in range(m[m[AT_FIRST_EVENT] + m[KEY]], m[m[AT_FIRST_EVENT] + m[KEY] + 1]):
        code = m[m[AT_SHARED] + place]
        operation = code if code >= 0 else ~code
        if m[m[AT_FLAGS] + m[m[AT_KIND] + operation]] != IRRELEVANT:
            m[m[AT_EVENTS] + count] = code
            m[m[AT_DEADLINE] + operation] = -1 if code >= 0 else count
            count += 1
    classes = opened = most = 0
    for place in range(count):
        code = m[m[AT_EVENTS] + place]
        if code < 0:
            opened -= 1
        elif m[m[AT_DEADLINE] + code] >= 0:
            m[m[AT_CLASS] + code] = LIVE
            opened += 1
            most = max(most, opened)
        else:
            kind = m[m[AT_KIND] + code]
            if m[m[AT_CLASS_OF_KIND] + kind] < 0:
                m[m[AT_CLASS_OF_KIND] + kind] = classes
                m[m[AT_CLASS_KIND] + classes] = kind
                classes += 1
            m[m[AT_CLASS] + code] = m[m[AT_CLASS_OF_KIND] + kind]
    for klass in range(classes):
        m[m[AT_CLASS_OF_KIND] + m[m[AT_CLASS_KIND] + klass]] = -1
    m[EVENTS], m[CLASSES], m[MOST_OPEN] = count, classes, most
