"""What an operation does to a state, on integers only: a table that is filled on demand, or a trie of texts.

Interpreted or compiled, as the kernel is. The table is a hash with open addressing in one flat array (key, value, ...).
"""

from checkers.search_arrays import Integers, Search
from checkers.text_trie import UNSEEN_NODE, walk
from checkers.texts import ROW, SAID, SAID_END

UNKNOWN_STATE, ILLEGAL_STATE, EMPTY, STATE_BITS = -2, -1, -1, 31
OBSERVER, OVERWRITE, IRRELEVANT = 1, 2, 4  # flags of kinds


def after(s: Search, kind: int, state: int) -> int:
    """Return the state after an operation of the kind, ILLEGAL_STATE, or UNKNOWN_STATE if the model was not asked."""
    if s.now.texts:
        return text_after(s, kind, state)
    table = s.table
    key = kind << STATE_BITS | state
    last = s.now.table_cells - 1
    place = hashed(kind, state) & last
    while table[2 * place] != EMPTY:
        if table[2 * place] == key:
            found: int = table[2 * place + 1]
            return found
        place = place + 1 & last
    return UNKNOWN_STATE


def text_after(s: Search, kind: int, node: int) -> int:
    """Return the node of the text after a get, a put or an append, or ILLEGAL_STATE."""
    flag = s.flags[kind]
    text: int = s.text[kind]
    if flag == OBSERVER:
        return node if node == text else ILLEGAL_STATE
    if flag == OVERWRITE:
        return text
    if node == UNSEEN_NODE:
        return UNSEEN_NODE
    return walk(s, node, s.rows[ROW * kind + SAID], s.rows[ROW * kind + SAID_END])


def insert(table: Integers, keys: Integers, values: Integers) -> None:
    """Add cells that the table, at most half full with them, does not have yet."""
    last = len(table) // 2 - 1
    for cell in range(len(keys)):
        key = keys[cell]
        place = hashed(key >> STATE_BITS, key & (1 << STATE_BITS) - 1) & last
        while table[2 * place] != EMPTY:
            place = place + 1 & last
        table[2 * place] = key
        table[2 * place + 1] = values[cell]


def hashed(kind: int, state: int) -> int:
    """Return where to begin the search for a cell; Python and machine words agree, since only low bits count."""
    return ((kind * 40503) ^ (state * 26544357)) & 0x7FFFFFFF
