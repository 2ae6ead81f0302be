"""One key after the other through the search, on integers only, interpreted or compiled as the kernel is.

What surrounds a pass and has to be done for each key is done here, so that a history of many small keys is decided in
one call. Keys come smallest first; the operations of one have numbers in a row, in order of their calls.
"""

from checkers.kernel import CRAMPED, CROWDED, FINISHED, LIVE, advance, start
from checkers.search_arrays import Integers, Search
from checkers.text_trie import ROOT, clear, has_room, plant, walk
from checkers.texts import HEARD, HEARD_END, ROW, SAID, SAID_END, SHAPE
from checkers.transitions import IRRELEVANT, OBSERVER, OVERWRITE
from checkers.witness import linearize

BRIEF, BRIEF_TEXTS = 1, 4  # steps an event of the first pass, which keeps everything


def fill(s: Search, flags: Integers, parts: Integers, kind: Integers, key: Integers, events: Integers) -> None:
    """Put in what is known of each kind, the kind and the key of each operation, and the events."""
    for number in range(len(flags)):
        s.flags[number], s.part[number], s.class_of_kind[number] = flags[number], parts[number], LIVE
    share(s, kind, key, events)


def share(s: Search, kind: Integers, key: Integers, events: Integers) -> None:
    """Put the operations and the events of each key together, the smallest key first."""
    keys = s.now.keys
    if keys == 1:
        for operation in range(len(kind)):
            s.kind[operation] = kind[operation]
        for place in range(len(events)):
            s.all_events[place] = events[place]
        s.first_operation[1], s.first_event[1] = len(kind), len(events)
        return
    rank, new = s.ordered, s.next_alike  # arrays not in use yet
    rank_keys(rank, new, key, keys)
    # an element counts what lies two keys before it, then tells where the key before it goes on, at last its own
    first_operation, first_event = s.first_operation, s.first_event
    for operation in range(len(kind)):
        first_operation[rank[key[operation]] + 2] += 1
    for code in events:
        first_event[rank[key[code if code >= 0 else ~code]] + 2] += 1
    for place in range(1, keys + 1):
        first_operation[place + 1] += first_operation[place]
        first_event[place + 1] += first_event[place]
    for operation in range(len(kind)):
        mine = rank[key[operation]] + 1
        new[operation] = first_operation[mine]
        s.kind[new[operation]] = kind[operation]
        first_operation[mine] += 1
    for code in events:
        operation = code if code >= 0 else ~code
        mine = rank[key[operation]] + 1
        s.all_events[first_event[mine]] = new[operation] if code >= 0 else ~new[operation]
        first_event[mine] += 1


def rank_keys(rank: Integers, sizes: Integers, key: Integers, keys: int) -> None:
    """Write the place of each key in order of size, keys of one size in order of their first calls."""
    for operation in range(len(key)):
        rank[key[operation]] += 1
    for number in range(keys):
        sizes[rank[number]] += 1
    smaller = 0
    for size in range(len(key)):
        count = sizes[size]
        sizes[size] = smaller
        smaller += count
    for number in range(keys):
        size = rank[number]
        rank[number] = sizes[size]
        sizes[size] += 1


def all_texts(rows: Integers, flags: Integers) -> bool:
    """Whether every kind that matters got, put or appended a text."""
    for row in range(0, len(rows), ROW):
        flag = flags[rows[row + SHAPE]]
        if flag != IRRELEVANT and rows[row + (HEARD if flag == OBSERVER else SAID)] < 0:
            return False
    return True


def run(s: Search) -> int:
    """Go on with the pass under way, and from key to key as long as their first passes find linearizations."""
    now = s.now
    while now.key < now.keys:
        if not now.key_begun:
            status = begin_key(s)
            if status != FINISHED:
                return status
        if not now.pass_begun:
            start(s)
        status = advance(s)
        if status != FINISHED:
            return status
        linearize(s)
        now.key += 1
        now.key_begun = 0
    return FINISHED


def begin_key(s: Search) -> int:
    """Make a key ready for its first pass."""
    now = s.now
    if now.texts:
        if not plant_texts(s):
            return CRAMPED
        now.initial = walk(s, ROOT, now.initial_text, now.initial_text_end)
    prepare(s)
    if now.most_open > now.open_limit:
        return CROWDED
    now.width, now.pass_limit = 0, now.steps + (BRIEF_TEXTS if now.texts else BRIEF) * now.event_count
    now.key_begun, now.pass_begun = 1, 0
    return FINISHED


def plant_texts(s: Search) -> bool:
    """Make a trie of the texts that the key's gets saw, and find where its puts lead; false if there is no room."""
    rows = s.rows
    clear(s)
    first, end = s.first_operation[s.now.key], s.first_operation[s.now.key + 1]
    for operation in range(first, end):
        kind = s.kind[operation]
        row = ROW * kind
        s.flags[kind], s.class_of_kind[kind] = s.shape_flags[rows[row + SHAPE]], LIVE
        if s.flags[kind] == OBSERVER:
            if not has_room(s, rows[row + HEARD_END] - rows[row + HEARD]):
                return False
            s.text[kind] = plant(s, rows[row + HEARD], rows[row + HEARD_END])
    for operation in range(first, end):
        kind = s.kind[operation]
        if s.flags[kind] == OVERWRITE:
            s.text[kind] = walk(s, ROOT, rows[ROW * kind + SAID], rows[ROW * kind + SAID_END])
    return True


def prepare(s: Search) -> None:
    """Take the events that matter, and find when each operation must return and the classes of the crashed."""
    now = s.now
    count = 0
    for place in range(s.first_event[now.key], s.first_event[now.key + 1]):
        code = s.all_events[place]
        operation = code if code >= 0 else ~code
        if s.flags[s.kind[operation]] != IRRELEVANT:
            s.events[count] = code
            s.deadline[operation] = -1 if code >= 0 else count
            count += 1
    classes = opened = most = 0
    for place in range(count):
        code = s.events[place]
        if code < 0:
            opened -= 1
        elif s.deadline[code] >= 0:
            s.crash_class[code] = LIVE
            opened += 1
            most = max(most, opened)
        else:
            kind = s.kind[code]
            if s.class_of_kind[kind] < 0:
                s.class_of_kind[kind] = classes
                s.class_kind[classes] = kind
                classes += 1
            s.crash_class[code] = s.class_of_kind[kind]
    for crash_class in range(classes):
        s.class_of_kind[s.class_kind[crash_class]] = LIVE
    now.event_count, now.class_count, now.most_open = count, classes, most
