"""A history laid out for the search, whole or key by key, and what the search says in the history's own terms."""

from checkers.compiled import Loops
from checkers.history import Columns
from checkers.search_arrays import CONFIGURATION_WORDS, Sizes, words
from checkers.state_graph import StateGraph
from checkers.text_states import TextStates

FIRST_CAPACITY, LEAST_CAPACITY = 256, 4
FIRST_WORDS = 1 << 16  # of configurations; those are long where many kinds crashed
BYTES_OF_A_KIND = 250  # in the graph of states


class NoRoomError(Exception):
    """There are not as many bytes as the history takes when it is laid out."""

    def __init__(self, size: int) -> None:
        self.size = size


def require_room(size: int, most_bytes: int | None) -> None:
    """Raise NoRoomError if that many bytes are more than there are."""
    if most_bytes is not None and size > most_bytes:
        raise NoRoomError(size)


class Layout:
    """The memory of a search. Keys are counted in order of size, the smallest first."""

    def __init__(
        self, columns: Columns, graph: StateGraph | TextStates, loops: Loops, keys: int, most_bytes: int | None
    ) -> None:
        """Raise NoRoomError."""
        self.graph, self.loops = graph, loops
        count, events = len(columns.kind), len(columns.events)
        kind, kinds = loops.view(columns.kind), len(columns.kinds)
        if isinstance(graph, StateGraph):
            kind, kinds = loops.gather(graph.kinds_of(columns), kind), len(graph.kinds)
        classes = min(2 * count - events, kinds)  # what has no return has crashed
        capacity = FIRST_CAPACITY
        while capacity > LEAST_CAPACITY and capacity * (CONFIGURATION_WORDS + classes) > FIRST_WORDS:
            capacity //= 2
        self._sizes = sizes = Sizes(kinds, count, events, keys, classes, min(count, loops.most_open) + 1, capacity)
        self.bytes_beside = BYTES_OF_A_KIND * len(columns.kinds)
        if most_bytes is not None:
            require_room(self.bytes_beside + words(sizes) * loops.word_bytes, most_bytes)
        self._memory = loops.memory(sizes)
        self.now = now = self._memory.now
        now.open_limit, now.texts = loops.most_open, int(isinstance(graph, TextStates))
        now.initial_text, now.initial_text_end = graph.initial_text
        self._memory.fill(graph.flags, graph.parts, kind, columns.key, columns.events)

    @property
    def bytes(self) -> int:
        """The bytes that the memory takes; they are more once it has grown."""
        return self._memory.words * self.loops.word_bytes

    def skip_key(self) -> None:
        """Leave the key under way as it is, and go on with the next."""
        self.now.key += 1
        self.now.key_begun = 0

    def start(self, width: int, steps_an_event: int) -> None:
        """Begin another pass over the key under way."""
        now = self.now
        now.width, now.pass_limit = width, now.steps + steps_an_event * now.event_count
        now.pass_begun = 0

    def run(self, most_steps: int) -> int:
        """Go on until the search needs something, fails, is through or has taken so many steps; return which it was."""
        graph = self.graph
        self.now.step_limit = self.now.steps + most_steps
        return self._memory.run(graph.words, graph.rows, graph.shape_flags, graph.blob)

    def grow(self) -> None:
        """Make room for twice as many configurations. The return that ran out of it starts over."""
        self._sizes = self._sizes._replace(capacity=2 * self._sizes.capacity)
        self._memory.resize(self._sizes)
        self.now = now = self._memory.now
        now.configuration_count = now.first_new
        now.returning = 0

    def kinds(self) -> list[int]:
        """Return the kind of each operation."""
        return self.loops.listed(self._memory.array("kind"))

    def open_kinds(self) -> list[int]:
        """Return the kinds of the operations that are open, by slot."""
        kinds, mask = self._memory.array("slot_kind"), self.now.open
        return [int(kinds[slot]) for slot in range(self.now.most_open) if mask >> slot & 1]

    def states(self, most: int) -> set[int]:
        """Return the numbers of the states that the return under way has found, those of so many configurations."""
        state, work, loops = self._memory.array("state"), self._memory.array("worklist"), self.loops
        return {*loops.listed(loops.gather(state, work[: min(self.now.worklist_size, most)]))}

    def blocked(self) -> int:
        """Return the place, among the operations of its key, of the one whose return is under way."""
        return ~int(self._memory.array("events")[self.now.event]) - self._first(self.now.key)

    def order(self, key: int) -> list[int]:
        """Return the order that was written down for a key, as places among its operations."""
        array, first = self._memory.array, self._first(key)
        order = self.loops.listed(array("order")[first : first + int(array("ordered")[key])])
        return [operation - first for operation in order] if first else order

    def _first(self, key: int) -> int:
        """Return the number of the first operation on a key."""
        return int(self._memory.array("first_operation")[key]) if key else 0
