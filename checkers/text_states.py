"""The states of a model whose state is a text: nodes of the trie that the search builds (`checkers.text_trie`).

The model is never asked. Here is decided which histories this is possible for, and nodes become text again.
"""

from checkers.compiled import Loops
from checkers.history import Columns
from checkers.models import Model, State
from checkers.state_graph import flag
from checkers.text_trie import ROOT, UNSEEN_NODE
from checkers.texts import UNSEEN, Texts, encode

FIRST_NODES = 1 << 15  # room in the trie at first
LEAST_NODES = 16


class TextStates:
    """The texts that one history can tell apart: those of the current key."""

    def __init__(self, initial: str, texts: Texts, flags: list[int], loops: Loops) -> None:
        start = encode(initial)
        self.loops = loops
        self.initial_text = len(texts.blob), len(texts.blob) + len(start)
        self.flags = self.parts = loops.filled(0, 0)  # as `StateGraph` has them; of each key the search finds its own
        self.rows = loops.view(texts.rows)
        self.shape_flags = loops.array(flags)
        self.blob = loops.bytes_of(texts.blob + start)
        self.room = min(FIRST_NODES, LEAST_NODES + len(self.blob))
        self.words = loops.trie_words(self.room)

    @classmethod
    def of(cls, columns: Columns, model: Model, loops: Loops) -> "TextStates | None":
        """Return the states of the model in that history; None where they are not texts."""
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
        return found if loops.search["all_texts"](found.rows, found.shape_flags) else None

    def grow(self) -> None:
        """Make twice the room; what was there has to be planted anew."""
        self.room *= 2
        self.words = self.loops.trie_words(self.room)

    def state(self, node: int) -> State:
        """Return the text of a node, or what stands for all those that nobody could have seen."""
        if node == UNSEEN_NODE:
            return UNSEEN
        trie = self.loops.trie(self.words)
        found = bytearray()
        while node != ROOT:
            found.append(int(trie.byte[node]))
            node = int(trie.parent[node])
        return found[::-1].decode("utf-8", "surrogatepass")
