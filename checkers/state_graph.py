"""A model's states as they are reached: the table that lets a search run on integers.

States and kinds of operations get numbers, and the model is asked for each transition once (Knossos calls this
memoisation). The table is a hash with open addressing in one flat array, so that a compiled search can read it; it is
filled only as far as searches ask. `digraph` shows it as networkx: states, and edges labelled by operations.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from checkers.compiled import Loops
from checkers.history import Columns, History, Operation
from checkers.models import Illegal, Model, State
from checkers.search_arrays import Integers
from checkers.transitions import EMPTY, ILLEGAL_STATE, IRRELEVANT, OBSERVER, OVERWRITE, STATE_BITS
from checkers.values import told_apart

if TYPE_CHECKING:
    import networkx as nx

FIRST_SIZE = 1 << 8


class Table:
    """A hash from (kind, state) to the next state, in a flat array (key, value, ...) that a search can read."""

    def __init__(self, loops: Loops) -> None:
        self._loops = loops
        self.cells: dict[int, int] = {}
        self.words = loops.filled(2 * FIRST_SIZE, EMPTY)

    def __len__(self) -> int:
        return len(self.cells)

    def put(self, cells: Mapping[int, int]) -> None:
        """Add cells that it does not have yet; `words` is another array if they needed more room."""
        self.cells.update(cells)
        size = len(self.words)
        while len(self.cells) * 4 > size:
            size *= 2
        if size > len(self.words):
            self.words, cells = self._loops.filled(2 * size, EMPTY), self.cells
        array = self._loops.array
        self._loops.search["insert"](self.words, array(list(cells.keys())), array(list(cells.values())))


def flag(model: Model, operation: Operation) -> int:
    """Return the flags of a kind of operation."""
    if not model.relevant(operation):
        return IRRELEVANT
    if model.looks(operation):
        return OBSERVER
    return OVERWRITE if operation.f in model.overwrites else 0


class StateGraph:
    """The explored part of a model's transition graph. State 0 is the initial one.

    Histories of one model share a graph, each new one adding its kinds of operations, unless the model has hindsight:
    then a graph is made `of` one history, is good for that only, and numbers kinds as that does.
    """

    def __init__(self, model: Model, loops: Loops, of: History | None = None) -> None:
        self.model = model
        self.loops = loops
        self.table = Table(loops)
        self.states: list[State] = [model.initial]
        self.kinds: list[Operation] = []
        self.flags = self.parts = loops.filled(0, 0)  # of each kind
        self.rows = self.shape_flags = loops.filled(0, 0)  # as `TextStates` has them
        self.blob = loops.bytes_of(b"")
        self._history = of
        self._state_number: dict[object, int] = {told_apart(model.initial): 0}
        self._kind_number: dict[object, int] = {}
        self._part_number: dict[object, int] = {}
        self._asked: tuple[list[object], list[int]] = [], []
        if of is not None:
            self._add(of.columns.kinds)

    initial_text = (0, 0)  # as `TextStates` has it

    @property
    def words(self) -> Integers:
        """The table as the search reads it."""
        return self.table.words

    def state(self, number: int) -> State:
        """Return the state of that number."""
        return self.states[number]

    def kinds_of(self, columns: Columns) -> Sequence[int]:
        """Return the number of each kind in the columns, in their order; new kinds are added."""
        if self._history is not None:
            return range(len(self.kinds))
        if columns.names is not self._asked[0]:  # the parts of one history ask again and again
            known, first = self._kind_number, len(self._kind_number)
            numbers = [*map(known.get, columns.names)]
            if None in numbers:
                pairs = zip(columns.names, columns.kinds, strict=True)
                self._add([kind for name, kind in pairs if known.setdefault(name, len(known)) >= first])
                numbers = [*map(known.get, columns.names)]
            self._asked = columns.names, numbers  # type: ignore[assignment]
        return self._asked[1]

    def _add(self, kinds: Sequence[Operation]) -> None:
        """Add kinds, with their flags and the part of the state that each touches."""
        model = self.model
        self.kinds = [*self.kinds, *kinds]
        touched = [None if model.part is None else model.part(operation) for operation in kinds]
        parts = [self._part_number.setdefault(part, len(self._part_number)) for part in touched]
        self.flags = self._extended(self.flags, [flag(model, kind) for kind in kinds])
        self.parts = self._extended(self.parts, parts)

    def _extended(self, old: Integers, more: list[int]) -> Integers:
        """Return an array with more elements."""
        array = self.loops.filled(len(old) + len(more), 0)
        array[: len(old)] = old
        array[len(old) :] = self.loops.array(more)
        return array

    def step(self, kind: int, state: int) -> int:
        """Return the state after an operation of that kind, or ILLEGAL_STATE; ask the model at most once."""
        key = kind << STATE_BITS | state
        known = self.table.cells.get(key)
        if known is not None:
            return known
        after = self.model.step(self.states[state], self.kinds[kind])
        number = self._number(after if isinstance(after, Illegal) else self._merged(after))
        self.table.put({key: number})
        return number

    @cached_property
    def _merged(self) -> Callable[[State], State | Illegal]:
        """Map a state to the one that stands for it and all that no observation distinguishes from it."""
        hindsight = self.model.hindsight
        return (lambda state: state) if hindsight is None or self._history is None else hindsight(self._history)

    def _number(self, state: State | Illegal) -> int:
        """Return the number of the state, a new one if it has none yet."""
        if isinstance(state, Illegal):
            return ILLEGAL_STATE
        number = self._state_number.setdefault(told_apart(state), len(self.states))
        if number == len(self.states):
            self.states.append(state)
        return number

    def digraph(self) -> "nx.MultiDiGraph[int]":
        """Return what is explored as networkx: nodes have a `state`, edges the `operation` that makes the step."""
        import networkx as nx

        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        graph.add_nodes_from((number, {"state": state}) for number, state in enumerate(self.states))
        for key, after in self.table.cells.items():
            if after >= 0:
                graph.add_edge(key & (1 << STATE_BITS) - 1, after, operation=self.kinds[key >> STATE_BITS])
        return graph
