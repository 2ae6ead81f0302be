"""The frontier search, driven: passes over a history, narrow and wide in turn.

Lives here: what surrounds the kernel. It fills the cells of the table that the kernel asks for, gives it room, and
reads the clock. Two kinds of pass answer two questions:

- only the most frugal configurations kept: if one survives, it is a linearization;
- all kept: decides, if it lasts.

They take turns, each longer or wider than the last of its kind, since a history that one of them settles at once may
take the other for ever.
"""

from collections.abc import Sequence
from itertools import accumulate

from checkers import kernel as k
from checkers.budget import Meter
from checkers.compiled import Engine
from checkers.decision import Answer, Decision
from checkers.history import Columns
from checkers.kernel import Integers
from checkers.models import State
from checkers.state_graph import StateGraph

ALL = 0  # the width of a pass that keeps all configurations
BRIEF, A_WHILE, AT_LENGTH = 1, 10, 1 << 40  # steps an event
PASSES = ((ALL, BRIEF), (8, AT_LENGTH), (ALL, A_WHILE), (64, AT_LENGTH), (1024, AT_LENGTH), (ALL, AT_LENGTH))
FEW_STATES = 32
STATES_SHOWN = 10_000
BYTES_OF_A_CELL = 300  # of the table, with its share of the states
WORTH_A_LOOK = 400  # events, from which on a look at what is legal in no state at all comes before the first pass
FIRST_CAPACITY = 256
STEPS_BETWEEN_PAUSES = 2000
HOPELESS = "no order of the operations, however often each takes place, leads to a state that allows it"


class Frontier:
    """A history laid out for the kernel."""

    def __init__(self, columns: Columns, graph: StateGraph, engine: Engine, why: str = "") -> None:
        self.columns = columns
        self.graph = graph
        self.engine = engine
        self.why = why
        self.name = "compiled search" if engine.compiled else "search"
        numbers, count = graph.kinds_of(columns), len(columns.kind)
        kinds, classes = len(graph.kinds), min(count, len(numbers))
        self.kind = engine.view(columns.kind)
        if numbers != range(kinds):
            self.kind = engine.gather(numbers, self.kind)
        self.capacity = FIRST_CAPACITY
        self.node_words = k.USED + classes
        slots = k.SLOT_WORDS * (min(count, engine.most_open) + 1)
        self.sizes = [kinds] * 4 + [count] * 3 + [len(columns.events), classes, classes, slots]
        self.fixed = k.CONTROL_WORDS + sum(self.sizes)
        self.memory = self._with_room()
        begin = int(self.memory[k.AT_KIND])
        self.memory[k.CONTROL_WORDS : begin] = graph.traits
        self.memory[begin : begin + count] = self.kind

    def _with_room(self) -> Integers:
        """Empty memory, its arrays one behind the other, with room for `capacity` configurations."""
        most = self.capacity
        growing = [most, most, most, 2 * most * k.BUCKET_WORDS, most * self.node_words]
        ends = list(accumulate(self.sizes + growing, initial=k.CONTROL_WORDS))
        memory = self.engine.filled(ends.pop(), 0)
        memory[k.AT_FLAGS : k.CONTROL_WORDS] = ends
        memory[k.BUCKET_MASK] = 2 * most - 1
        return memory

    def decide(self, meter: Meter) -> Decision | None:
        """Whether the history has a linearization; None if more is open at once than the engine's masks hold."""
        memory = self.memory
        self.engine.search["prepare"](memory, self.engine.view(self.columns.events))
        if memory[k.MOST_OPEN] > self.engine.most_open:
            return None
        look = BRIEF if memory[k.EVENTS] >= WORTH_A_LOOK else A_WHILE
        for width, steps in PASSES:
            hopeless = self._never_legal() if steps == look else -1
            if hopeless >= 0:
                core = (hopeless,)
                return Decision(Answer.REFUTED, self.name, self.why, core=core, sentence=HOPELESS, blocked=hopeless)
            found = self._pass(width, steps * int(memory[k.EVENTS]), meter)
            if found is not None:
                return found
        raise AssertionError("the last pass keeps every configuration, and decides")

    def _never_legal(self) -> int:
        """The first operation that returned and is legal in no state that any order of all kinds can reach; or -1.

        Looks only where there are few states; what it says is sound, since it lets every operation happen at any time.
        """
        engine, graph = self.engine, self.graph
        if graph.model.transitions is not None:  # it told of states, since there are many
            return -1
        events = self._array(k.AT_EVENTS, int(self.memory[k.EVENTS]))
        kind_of = engine.listed(self.kind)
        usable = {kind_of[code]: None for code in events if code >= 0}
        reached, legal = {0: None}, set()
        waiting = [0]
        while waiting:
            state = waiting.pop()
            for kind in usable:
                after = graph.step(kind, state)
                if after >= 0:
                    legal.add(kind)
                    if after not in reached:
                        reached[after] = None
                        waiting.append(after)
                        if len(reached) > FEW_STATES:
                            return -1
        return next((~code for code in events if code < 0 and kind_of[~code] not in legal), -1)

    def _pass(self, width: int, most: int, meter: Meter) -> Decision | None:
        """What one pass of at most so many steps decides, or that the budget is spent; None if it leaves it open."""
        loops, graph = self.engine.search, self.graph
        loops["start"](self.memory, width)
        steps = 0
        meter.bytes += self._size()
        while True:
            self.memory[k.STEP_LIMIT] = steps + min(most, STEPS_BETWEEN_PAUSES)
            status = loops["advance"](self.memory, graph.table.words)
            before, steps = steps, int(self.memory[k.STEPS])
            within = meter.spend(steps - before) and meter.read_clock()
            if status == k.WANTED and within:
                within = self._fill(int(self.memory[k.WANTED_KIND]), int(self.memory[k.WANTED_STATE]), meter)
            elif status == k.FULL and within:
                within = meter.spend(0, self._size())
                if within:
                    self._grow()
            elif status != k.PAUSED or steps > most:
                break
            if not within:
                break
        meter.bytes -= self._size()
        return self._ended(status, within)

    def _size(self) -> int:
        return self.engine.word_bytes * len(self.memory)

    def _ended(self, status: int, within: bool) -> Decision | None:
        """What a pass says that stopped for this reason, the budget not spent or spent."""
        memory = self.memory
        if status == k.FINISHED:
            return Decision(Answer.LINEARIZED, self.name, self.why, order=self._order())
        if status == k.REFUTED and not memory[k.CUT]:
            blocked = ~int(memory[memory[k.AT_EVENTS] + memory[k.EVENT]])
            return Decision(Answer.REFUTED, self.name, self.why, blocked=blocked, states=self._states())
        if status == k.REFUTED or within:
            return None
        reached = f"{int(memory[k.EVENT])} of {int(memory[k.EVENTS])} events"
        progress = f"{reached}, up to {int(memory[k.WIDEST])} configurations"
        return Decision(Answer.EXHAUSTED, self.name, self.why, states=self._states(), progress=progress)

    def _fill(self, kind: int, state: int, meter: Meter) -> bool:
        """Asks the model for the cell wanted and, while states are few, for those that the open operations may want."""
        memory, graph = self.memory, self.graph
        before = len(graph.table)
        graph.step(kind, state)
        if len(graph.states) <= FEW_STATES:
            for slot in range(int(memory[k.MOST_OPEN])):
                if int(memory[k.OPEN]) >> slot & 1:
                    graph.step(int(memory[memory[k.AT_SLOTS] + slot * k.SLOT_WORDS + k.SLOT_KIND]), state)
        return meter.spend(0, BYTES_OF_A_CELL * (len(graph.table) - before))

    def _grow(self) -> None:
        """Twice the room; the return that ran out of it starts over."""
        old, pool = self.memory, int(self.memory[k.AT_POOL])
        self.capacity *= 2
        self.memory = memory = self._with_room()
        memory[: k.BUCKET_MASK] = old[: k.BUCKET_MASK]
        memory[k.CONTROL_WORDS : self.fixed] = old[k.CONTROL_WORDS : self.fixed]
        moved = int(memory[k.AT_POOL]) - pool
        used = int(old[k.FIRST_NODE]) - pool
        words = int(old[k.NODE_WORDS])
        memory[pool + moved : pool + moved + used] = old[pool : pool + used]
        for node in range(pool + moved + words, pool + moved + used, words):
            memory[node + k.PARENT] += moved
        front, kept = int(old[k.AT_FRONT]), int(old[k.FRONT_COUNT])
        for place in range(kept):
            memory[memory[k.AT_FRONT] + place] = old[front + place] + moved
        memory[k.NODES] = old[k.FIRST_NODE] + moved
        self.engine.search["bound"](memory)
        memory[k.BUSY] = 0

    def _states(self) -> tuple[State, ...]:
        """The states of the configurations that the return under way has found, sorted by their text."""
        begin, count = int(self.memory[k.AT_WORK]), min(int(self.memory[k.WORK_COUNT]), STATES_SHOWN)
        nodes = self.memory[begin : begin + count]
        numbers = self.engine.listed(self.engine.gather(self.memory, nodes))  # a node's first word is its state
        return tuple(sorted((self.graph.states[number] for number in set(numbers)), key=repr))

    def _order(self) -> Sequence[int]:
        """The linearization that the most frugal survivor stands for."""
        filled, count = self.engine.filled, len(self.kind)
        order, queue = filled(count, 0), filled(count + 2 * int(self.memory[k.CLASSES]), -1)
        length = self.engine.search["linearize"](self.memory, self.graph.table.words, order, filled(count, 0), queue)
        return self.engine.listed(order[: int(length)])

    def _array(self, address: int, size: int) -> list[int]:
        """So many words of the array whose address that word holds."""
        begin = int(self.memory[address])
        return self.engine.listed(self.memory[begin : begin + size])
