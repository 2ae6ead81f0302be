"""A model's states as they are reached: the table that lets a search run on integers.

Lives here: numbers for states and for kinds of operations, and the transitions between them, each asked of the model
once (Knossos calls this memoisation). The table is an open-addressing hash in two flat arrays, so that a compiled
search can read it, and it is filled only as far as searches ask. `digraph` shows it as networkx: states, and edges
labelled by operations.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from checkers.history import Operation
from checkers.models import Illegal, Model, State

if TYPE_CHECKING:
    import networkx as nx

ILLEGAL_STATE = -1
UNKNOWN_STATE = -2
EMPTY = -1
STATE_BITS = 31
OBSERVER, OVERWRITE = 1, 2  # flags of kinds: never changes the state; leads to one state from any
FIRST_SIZE = 1 << 10

Integers = Any  # a list of int, or a numpy array of int64: whatever the search that reads it was built for
Allocate = Callable[[int, int], Integers]
"""Makes an array of that size filled with that value."""


class Table:
    """A hash from (kind, state) to the next state, in a flat array (key, value, ...) that a search can read."""

    def __init__(self, allocate: Allocate) -> None:
        self._allocate = allocate
        self._cells: dict[int, int] = {}
        self.words = allocate(2 * FIRST_SIZE, EMPTY)

    def get(self, key: int) -> int | None:
        """The value of the key, if it has one."""
        return self._cells.get(key)

    def put(self, key: int, value: int) -> None:
        """Sets a key that has no value yet."""
        self._cells[key] = value
        if len(self._cells) * 4 > len(self.words):
            self.words = self._allocate(4 * len(self.words), EMPTY)
            for cell in self._cells.items():
                self._insert(*cell)
        else:
            self._insert(key, value)

    def items(self) -> Iterable[tuple[int, int]]:
        """All (key, value) pairs, in order of insertion."""
        return self._cells.items()

    def _insert(self, key: int, value: int) -> None:
        last = len(self.words) // 2 - 1
        place = hashed(key) & last
        while self.words[2 * place] != EMPTY:
            place = place + 1 & last
        self.words[2 * place] = key
        self.words[2 * place + 1] = value


class StateGraph:
    """The explored part of a model's transition graph. State 0 is the initial one.

    If the model has hindsight, the graph is good for these operations only.
    """

    def __init__(self, model: Model, allocate: Allocate, operations: Iterable[Operation] = ()) -> None:
        self.model = model
        self._merged = model.hindsight(operations) if model.hindsight is not None else None
        self.table = Table(allocate)
        self.states: list[State] = [model.initial]
        self.kinds: list[Operation] = []
        self.flags: list[int] = []
        self.relevant: list[bool] = []
        self._state_number: dict[State, int] = {model.initial: 0}
        self._kind_number: dict[object, int] = {}
        self._arrays: tuple[Integers, Integers] | None = None

    def kinds_of(self, kinds: Mapping[object, Operation]) -> list[int]:
        """The number of each of these kinds, in their order, new ones added."""
        known = self._kind_number
        for key, operation in kinds.items():
            if key not in known:
                self._add(key, operation)
        return [known[key] for key in kinds]

    def _add(self, key: object, operation: Operation) -> None:
        self._kind_number[key] = len(self.kinds)
        observer = operation.f in self.model.reads or operation.status == "fail"
        self.kinds.append(operation)
        self.flags.append(OBSERVER if observer else OVERWRITE if operation.f in self.model.overwrites else 0)
        self.relevant.append(self.model.relevant(operation))

    def arrays(self, array: Callable[[list[int]], Integers]) -> tuple[Integers, Integers]:
        """`flags` and `relevant` as arrays, made anew only when kinds were added."""
        if self._arrays is None or len(self._arrays[0]) != len(self.kinds):
            self._arrays = array(self.flags), array([int(one) for one in self.relevant])
        return self._arrays

    def step(self, kind: int, state: int) -> int:
        """The state after an operation of that kind, ILLEGAL_STATE if there is none; asks the model at most once."""
        key = kind << STATE_BITS | state
        known = self.table.get(key)
        if known is not None:
            return known
        after = self.model.step(self.states[state], self.kinds[kind])
        number = ILLEGAL_STATE
        if not isinstance(after, Illegal) and self._merged is not None:
            after = self._merged(after)
        if not isinstance(after, Illegal):
            number = self._state_number.setdefault(after, len(self.states))
            if number == len(self.states):
                self.states.append(after)
        self.table.put(key, number)
        return number

    def digraph(self) -> "nx.MultiDiGraph[State]":
        """What is explored, as networkx: nodes are states, each edge has the `operation` that makes the step."""
        import networkx as nx

        graph: nx.MultiDiGraph[State] = nx.MultiDiGraph()
        graph.add_nodes_from(self.states)
        for key, after in self.table.items():
            if after >= 0:
                before = self.states[key & (1 << STATE_BITS) - 1]
                graph.add_edge(before, self.states[after], operation=self.kinds[key >> STATE_BITS])
        return graph


def hashed(key: int) -> int:
    """A hash of a cell's key that is the same in Python and in the compiled search: only low bits are kept."""
    return ((key >> STATE_BITS) * 40503 ^ (key & (1 << STATE_BITS) - 1) * 26544357) & 0x7FFFFFFF
