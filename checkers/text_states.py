"""The states of a model whose state is a text, as a search of one history meets them.

Lives here: which histories a trie of texts can stand for, and its nodes as text again. The trie is
`checkers.text_trie`'s; the search fills it by itself, so that the model is never asked.
"""

from checkers.compiled import Loops
from checkers.history import Columns
from checkers.models import Model, State
from checkers.state_graph import flag
from checkers.text_trie import BYTE, LINKS, PARENT, ROOT, UNSEEN_NODE
from checkers.texts import UNSEEN, Texts, encode

FIRST_SIZE = 1 << 17  # words of the trie at first
LEAST_SIZE = 64


class TextStates:
    """The texts that one history can tell apart, as far as the key under way goes."""

    def __init__(self, initial: str, texts: Texts, flags: list[int], loops: Loops) -> None:
        start = encode(initial)
        self.loops = loops
        self.initial_length = len(start)
        self.rows = loops.view(texts.rows)
        self.flags = loops.array(flags)
        self.blob = loops.bytes_of(texts.blob + start)
        self.words = loops.room(min(FIRST_SIZE, LEAST_SIZE + LINKS * len(self.blob)))

    @classmethod
    def of(cls, columns: Columns, model: Model, loops: Loops) -> "TextStates | None":
        """The states of the model in that history; None where they are no texts."""
        if not model.extends or not isinstance(model.initial, str):
            return None
        texts = columns.texts
        if texts is None:
            return None
        flags = [flag(model, shape) for shape in texts.shapes]
        known = model.reads | model.overwrites | model.extends
        if any(shape.f not in known for shape in texts.shapes):
            return None
        found = cls(model.initial, texts, flags, loops)
        return found if loops.search["all_texts"](found.rows, found.flags) else None

    def grow(self) -> None:
        """Twice the room; what was there is to be planted anew."""
        self.words = self.loops.room(2 * len(self.words))

    def state(self, node: int) -> State:
        """The text of a node, in words if it is one that nobody could have seen."""
        if node == UNSEEN_NODE:
            return UNSEEN
        found = bytearray()
        while node != ROOT:
            found.append(int(self.words[LINKS * node + BYTE]))
            node = int(self.words[LINKS * node + PARENT])
        return found[::-1].decode("utf-8", "surrogatepass")
