"""Texts as nodes of a trie, on integers only, interpreted or compiled as the kernel is.

Lives here: the trie of the texts that somebody got, byte by byte, in one flat array, and the texts that are appended,
spelled at the array's other end. A state is a node, so two states are equal if and only if the texts are. Every text
that begins none of those that were got is `UNSEEN_NODE`: whatever is appended to it, nobody can see it.
"""

from typing import Any

Integers = Any

FREE, TAIL = 0, 1  # words of the array: the number of the next node, and where the texts spelled begin
UNSEEN_NODE, ROOT = 1, 2  # the numbers of nodes; the root is the empty text
CHILD, SIBLING, BYTE, PARENT, LINKS = 0, 1, 2, 3, 4  # words of a node


def clear(t: Integers) -> None:
    """The trie of the empty text only."""
    t[FREE], t[TAIL] = ROOT + 1, len(t)
    t[LINKS * ROOT + CHILD] = 0


def room(t: Integers, length: int) -> bool:
    """Whether a text of that many bytes can still be planted or spelled."""
    fits: bool = LINKS * (t[FREE] + length) < t[TAIL]
    return fits


def plant(t: Integers, blob: Integers, begin: int, end: int) -> int:
    """The node of a text, made where there is none."""
    node = ROOT
    for place in range(begin, end):
        after = child(t, node, blob[place])
        if after == 0:
            after = t[FREE]
            t[FREE] += 1
            t[LINKS * after + CHILD], t[LINKS * after + SIBLING] = 0, t[LINKS * node + CHILD]
            t[LINKS * after + BYTE], t[LINKS * after + PARENT] = blob[place], node
            t[LINKS * node + CHILD] = after
        node = after
    return node


def find(t: Integers, blob: Integers, begin: int, end: int) -> int:
    """The node of a text, or UNSEEN_NODE."""
    node = ROOT
    for place in range(begin, end):
        node = child(t, node, blob[place])
        if node == 0:
            return UNSEEN_NODE
    return node


def spell(t: Integers, blob: Integers, begin: int, end: int) -> int:
    """Where a text now is in the array: its length, and behind it its bytes."""
    place: int = t[TAIL] - (end - begin) - 1
    t[TAIL] = place
    t[place] = end - begin
    for offset in range(end - begin):
        t[place + 1 + offset] = blob[begin + offset]
    return place


def follow(t: Integers, node: int, text: int) -> int:
    """The node after the text spelled there is appended to that of a node, or UNSEEN_NODE."""
    if node == UNSEEN_NODE:
        return UNSEEN_NODE
    for place in range(text + 1, text + 1 + t[text]):
        node = child(t, node, t[place])
        if node == 0:
            return UNSEEN_NODE
    return node


def child(t: Integers, node: int, byte: int) -> int:
    """The node of the text with one more byte, or 0."""
    after: int = t[LINKS * node + CHILD]
    while after and t[LINKS * after + BYTE] != byte:
        after = t[LINKS * after + SIBLING]
    return after
