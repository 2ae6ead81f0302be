"""Texts as nodes of a trie, on integers only, interpreted or compiled as the kernel is.

The trie holds the texts that somebody got, byte by byte. A state is a node, so two states are equal if and only if the
texts are. Every text that begins none of those that were got is `UNSEEN_NODE`: whatever is appended to it, nobody can
see it.
"""

from checkers.search_arrays import Search, Trie

NO_NODE, UNSEEN_NODE, ROOT = 0, 1, 2  # the root is the empty text


def clear(s: Search) -> None:
    """Make it the trie of the empty text only."""
    s.now.trie_node_count = ROOT + 1
    s.trie.child[ROOT] = NO_NODE


def has_room(s: Search, length: int) -> bool:
    """Whether a text of that many bytes can still be planted."""
    return s.now.trie_node_count + length <= s.now.trie_room


def plant(s: Search, begin: int, end: int) -> int:
    """Return the node of a text, made where there is none. The text is what the blob has from begin to end."""
    trie, node = s.trie, ROOT
    for place in range(begin, end):
        child = child_by(trie, node, s.blob[place])
        if child == NO_NODE:
            child = s.now.trie_node_count
            s.now.trie_node_count += 1
            trie.child[child], trie.sibling[child] = NO_NODE, trie.child[node]
            trie.byte[child], trie.parent[child] = s.blob[place], node
            trie.child[node] = child
        node = child
    return node


def walk(s: Search, node: int, begin: int, end: int) -> int:
    """Return the node where a text leads from another's, or UNSEEN_NODE."""
    for place in range(begin, end):
        node = child_by(s.trie, node, s.blob[place])
        if node == NO_NODE:
            return UNSEEN_NODE
    return node


def child_by(trie: Trie, node: int, byte: int) -> int:
    """Return the node of the text with one more byte, or NO_NODE."""
    child: int = trie.child[node]
    while child != NO_NODE and trie.byte[child] != byte:
        child = trie.sibling[child]
    return child
