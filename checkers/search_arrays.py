"""The named arrays of a search: one value for each kind, operation, event, key, class, slot or configuration.

Interpreted, a search is a `Search` whose arrays are lists. Compiled, it is a named tuple of the same fields, and its
arrays are parts of a flat one (`checkers.flat`).
"""

from dataclasses import dataclass, fields
from operator import mul
from typing import Any, NamedTuple

Integers = Any  # a list of integers, or a numpy array of machine words

CONFIGURATION_WORDS = 8  # of one configuration, beside one for each class of crashed operations
TRIE_WORDS = 4  # of one node
CELL_WORDS = 2  # of one cell of the table: what it is of, and the next state


class Sizes(NamedTuple):
    """How much the arrays hold: the first registers."""

    kinds: int
    operations: int
    all_events: int
    keys: int
    most_classes: int
    slots: int
    capacity: int  # configurations


@dataclass(slots=True, init=False, repr=False, eq=False)
class Registers:
    """The scalars of a search, zero at first. Masks have a bit for each slot, which belongs to an open operation."""

    # how much the arrays hold, as `Sizes` says
    kinds: int
    operations: int
    all_events: int
    keys: int
    most_classes: int
    slots: int
    capacity: int
    # what does not change
    open_limit: int  # most operations that may be open at once
    texts: int  # whether states are nodes of the trie
    initial_text: int  # where it begins in the blob
    initial_text_end: int
    # the room there is for states, which grows
    table_cells: int
    trie_room: int  # nodes
    # the key under way
    key: int
    key_begun: int  # whether its first pass began
    trie_node_count: int
    initial: int  # its state at first
    event_count: int  # those that matter
    class_count: int  # of crashed operations
    most_open: int
    # the pass under way
    pass_begun: int
    event: int  # the next one
    width: int  # most configurations kept after a return; 0 is no limit
    cut: int  # whether any were dropped
    widest: int  # most configurations that were kept
    frontier_size: int
    configuration_count: int
    open: int  # mask of all open operations
    observers: int  # mask of those that only look
    overwrites: int  # mask
    hideable: int  # mask of those that may take place unseen
    generation: int  # of the buckets; what an older one filed counts as absent
    # the return under way
    returning: int  # mask of the operation that returns; 0 between returns
    part: int  # of the state that it touches
    first_new: int  # the first configuration made for it
    expanded: int  # how many of the worklist are done
    worklist_size: int
    survivor_count: int
    sparing: int  # whether crashed operations are left out, as long as anything else helps
    # limits, and the cell of the table that is missing
    steps: int
    step_limit: int  # steps at which to pause, so that the budget can be looked at
    pass_limit: int  # steps at which the pass is over
    wanted_kind: int
    wanted_state: int

    def __init__(self, sizes: Sizes) -> None:
        for name in REGISTER_NAMES:
            setattr(self, name, 0)
        for name, size in zip(Sizes._fields, sizes, strict=True):
            setattr(self, name, size)


REGISTER_NAMES = tuple(field.name for field in fields(Registers))
REGISTERS = len(REGISTER_NAMES)


class Trie(NamedTuple):
    """A trie of texts: arrays by node, 0 where there is none."""

    child: Integers
    sibling: Integers
    byte: Integers
    parent: Integers


@dataclass(slots=True, init=False, repr=False, eq=False)
class Search:
    """The arrays of a search. Configurations, operations, kinds and states are numbers, which index them."""

    now: Registers
    # of the model
    table: Integers  # (kind and state, next state, ...), a hash; nothing where states are texts
    trie: Trie
    rows: Integers  # what the texts of each kind are, as `checkers.texts` has them
    shape_flags: Integers  # flags of kinds, by the shape in their row
    blob: Integers  # the bytes of all texts
    # of each kind of operation
    flags: Integers
    part: Integers  # of the state that it touches
    class_of_kind: Integers  # -1 while no class is made of it
    text: Integers  # node of the text that it saw or put
    # of each operation
    kind: Integers
    deadline: Integers  # event at which it returns, -1 for never
    crash_class: Integers  # LIVE for what returns
    effective: Integers  # whether it takes place visibly in the witness
    order: Integers  # the witness of each key, from its first operation on
    next_alike: Integers  # the next crashed operation of its class, -1 for none
    # of each event: n >= 0 is the call of operation n, ~n its return
    all_events: Integers  # of all keys, one behind the other
    events: Integers  # of the key under way, those that matter
    # of each key
    first_operation: Integers
    first_event: Integers
    ordered: Integers  # how many operations its witness has
    # of each class of crashed operations, which are of one kind
    class_kind: Integers
    available: Integers  # how many were called so far
    first_alike: Integers
    last_alike: Integers
    # of each slot of an open operation
    slot_kind: Integers
    slot_operation: Integers
    slot_twins: Integers  # mask of those of its kind that return before it
    # sets of configurations
    frontier: Integers  # all that the history so far allows
    worklist: Integers  # those of a return that have to go on
    survivors: Integers  # those in which the operation that returns is discharged
    # of each bucket of configurations, a chain
    bucket_head: Integers
    bucket_generation: Integers
    # of each configuration
    state: Integers
    discharged: Integers  # mask of open operations that took place, or may count as if they had
    visible: Integers  # mask of those that took place visibly
    parent: Integers  # -1 for the first
    via: Integers  # the operation that led here, ~n for one of crashed class n
    moment: Integers  # event at which that took place
    unobserved: Integers  # whether nothing observed the last update, so that to overwrite it would be in vain
    next_in_bucket: Integers  # -1 for none
    used: Integers  # how many crashed operations of each class: row after row

    def __init__(self, *values: Any) -> None:  # noqa: ANN401  (the fields in their order)
        for name, value in zip(SEARCH_NAMES, values, strict=True):
            setattr(self, name, value)


SEARCH_NAMES = tuple(field.name for field in fields(Search))
GROUPS = (  # of arrays that a search writes, those of one length together
    ("flags", "part", "class_of_kind", "text"),
    ("kind", "deadline", "crash_class", "effective", "order", "next_alike"),
    ("all_events", "events"),
    ("first_operation", "first_event", "ordered"),
    ("class_kind", "available", "first_alike", "last_alike"),
    ("slot_kind", "slot_operation", "slot_twins"),
    ("frontier", "worklist", "survivors"),
    ("bucket_head", "bucket_generation"),
    ("state", "discharged", "visible", "parent", "via", "moment", "unobserved", "next_in_bucket"),
    ("used",),
)
ROWS = tuple(map(len, GROUPS))
PLACE = {name: (group, row) for group, names in enumerate(GROUPS) for row, name in enumerate(names)}


def lengths(sizes: Sizes) -> tuple[int, ...]:
    """Return how long the arrays of each group are."""
    kinds, operations, events, keys, classes, slots, capacity = sizes
    sets = buckets = configurations = capacity
    return kinds, operations, events, keys + 2, classes, slots, sets, 2 * buckets, configurations, capacity * classes


def words(sizes: Sizes) -> int:
    """Return how many words the registers and the arrays have."""
    arrays: int = sum(map(mul, ROWS, lengths(sizes)))
    return REGISTERS + arrays
