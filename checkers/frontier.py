"""The frontier search, driven: passes over a history, each cheaper or more exact than the last.

Lives here: what surrounds the kernel. It fills the cells of the table that the kernel asks for, gives it room, and
reads the clock. Three kinds of pass answer three questions:

- crashed operations unlimited: if even so nothing survives, there is no linearization;
- counted, and only the most frugal configurations kept: if one survives, it is a linearization;
- counted, and all kept: decides, if the budget lasts.
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

WIDTHS = (8, 64, 1024, 0)
FEW_STATES = 32
STATES_SHOWN = 10_000
BYTES_OF_A_CELL = 300  # of the table, with its share of the states
WORTH_A_LOOK = 400  # events, from which on a look at what is legal in no state at all comes first
FIRST_CAPACITY = 256
STEPS_BETWEEN_PAUSES = 2000
HOPELESS = "no order of the operations, however often each takes place, leads to a state that allows it"


class Frontier:
    """A history laid out for the kernel; `decide` may be asked about each of its keys in turn."""

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
        self.sizes = {
            k.AT_FLAGS: kinds,
            k.AT_PART: kinds,
            k.AT_OTHERWISE: kinds,
            k.AT_CLASS_OF_KIND: kinds,
            k.AT_KIND: count,
            k.AT_DEADLINE: count,
            k.AT_KLASS: count,
            k.AT_EVENTS: len(columns.events),
            k.AT_CLASS_KIND: classes,
            k.AT_AVAILABLE: classes,
            k.AT_SLOTS: k.SLOT_WORDS * (min(count, engine.most_open) + 1),
        }
        self.fixed = k.CONTROL_WORDS + sum(self.sizes.values())
        self.node_words = k.USED + classes
        self.memory = self._with_room()
        begin = int(self.memory[k.AT_KIND])
        self.memory[k.CONTROL_WORDS : begin] = graph.traits
        self.memory[begin : begin + count] = self.kind

    def _with_room(self) -> Integers:
        """Empty memory, with room for `capacity` configurations behind the fixed part."""
        self.sizes |= {k.AT_FRONT: self.capacity, k.AT_WORK: self.capacity, k.AT_RESULT: self.capacity}
        self.sizes[k.AT_BUCKETS] = 2 * self.capacity * k.BUCKET_WORDS
        self.sizes[k.AT_POOL] = self.capacity * self.node_words
        ends = list(accumulate(self.sizes.values(), initial=k.CONTROL_WORDS))
        memory = self.engine.filled(ends[-1], 0)
        for address, begin in zip(self.sizes, ends, strict=False):
            memory[address] = begin
        memory[k.BUCKET_MASK] = 2 * self.capacity - 1
        return memory

    def decide(self, key: int, meter: Meter) -> Decision | None:
        """Whether the operations on a key (EVERY_KEY: all) have a linearization.

        None if more of them are open at once than the masks of the engine hold.
        """
        loops, memory, columns, view = self.engine.search, self.memory, self.columns, self.engine.view
        self._explore(key)
        loops["prepare"](memory, view(columns.events), view(columns.key), key)
        if memory[k.MOST_OPEN] > self.engine.most_open:
            return None
        look = WIDTHS[0] if memory[k.EVENTS] >= WORTH_A_LOOK else WIDTHS[1]
        counted = (0, 1) if memory[k.CLASSES] else (1,)
        settled: set[int] = set()  # passes that were not cut, and so have said all they can
        for width in WIDTHS:
            hopeless = self._never_legal() if width == look and self.graph.model.transitions is None else -1
            if hopeless >= 0:
                return Decision(Answer.REFUTED, self.name, self.why, core=(hopeless,), sentence=HOPELESS, blocked=hopeless)
            for exact in counted:
                if exact in settled or (width == 0 and not exact):
                    continue
                found = self._pass(exact, width, meter)
                cut = self.memory[k.CUT]
                if found is not None and (found.answer is not Answer.REFUTED or not cut):
                    return found
                if not cut or (cut == k.RAN_AWAY and not exact):
                    settled.add(exact)
                elif found is not None and width < WIDTHS[-2]:
                    break  # what fails even without counts is likelier refuted by a wider pass
        raise AssertionError("the last pass keeps every configuration, and decides")

    def _explore(self, key: int) -> None:
        """Has the kinds of a key explored, where the graph is of this history alone."""
        if not self.graph.alone:
            return
        self.graph.explore(self.graph.kinds_on(key))
        self.memory[k.CONTROL_WORDS : self.memory[k.AT_KIND]] = self.graph.traits

    def _never_legal(self) -> int:
        """The first operation that returned and is legal in no state that any order of all kinds can reach; or -1.

        Looks only where there are few states; what it says is sound, since it lets every operation happen at any time.
        """
        engine, graph = self.engine, self.graph
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

    def _pass(self, exact: int, width: int, meter: Meter) -> Decision | None:
        """How one pass ends within the budget; None if what survives used more crashed operations than there were."""
        loops = self.engine.search
        self.memory[k.POOL_END] = self._pool_end(exact)
        loops["start"](self.memory, exact, width)
        steps, status = 0, k.PAUSED
        meter.spend(0, 8 * len(self.memory))
        while True:
            self.memory[k.STEP_LIMIT] = steps + STEPS_BETWEEN_PAUSES
            status = loops["advance"](self.memory, self.graph.table.words)
            done = int(self.memory[k.STEPS])
            within = meter.spend(done - steps) and meter.read_clock()
            steps = done
            if status == k.WANTED and within:
                within = self._fill(int(self.memory[k.WANTED_KIND]), int(self.memory[k.WANTED_STATE]), meter)
            elif status == k.FULL and within and meter.spend(0, 8 * len(self.memory)):
                self._grow(exact)
            elif status != k.PAUSED or not within:
                break
        meter.spend(0, -8 * len(self.memory))
        return self._ended(status, bool(exact))

    def _pool_end(self, exact: int) -> int:
        """Where there is no more room: for `capacity` configurations, which are shorter without counts."""
        words = k.USED + (int(self.memory[k.CLASSES]) if exact else 0)
        return int(self.memory[k.AT_POOL]) + self.capacity * words

    def _ended(self, status: int, exact: bool) -> Decision | None:
        """What a pass says that stopped for this reason."""
        memory = self.memory
        if status == k.FINISHED:
            order = self._order()
            return None if order is None else Decision(Answer.LINEARIZED, self.name, self.why, order=order)
        at, events = int(memory[k.EVENT]), int(memory[k.EVENTS])
        if status == k.REFUTED:
            blocked = ~int(memory[memory[k.AT_EVENTS] + at])
            if memory[k.CUT]:
                return Decision(Answer.REFUTED, self.name, self.why, blocked=blocked)
            return Decision(Answer.REFUTED, self.name, self.why, blocked=blocked, states=self._states(), exact=exact)
        progress = f"{at} of {events} events, up to {int(memory[k.WIDEST])} configurations"
        return Decision(Answer.EXHAUSTED, self.name, self.why, states=self._states(), exact=exact, progress=progress)

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

    def _grow(self, exact: int) -> None:
        """Twice the room; the return that ran out of it starts over."""
        old, pool = self.memory, int(self.memory[k.AT_POOL])
        self.capacity *= 2
        self.memory = memory = self._with_room()
        grown = {address: int(memory[address]) for address in self.sizes}
        memory[: self.fixed] = old[: self.fixed]
        for address, begin in grown.items():
            memory[address] = begin
        memory[k.BUCKET_MASK] = 2 * self.capacity - 1
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
        memory[k.POOL_END] = self._pool_end(exact)
        memory[k.BUSY] = 0

    def _states(self) -> tuple[State, ...]:
        """The states of the configurations that the return under way has found, sorted by their text."""
        nodes = self._array(k.AT_WORK, min(int(self.memory[k.WORK_COUNT]), STATES_SHOWN))
        states = {int(self.memory[node + k.STATE]) for node in nodes}
        return tuple(sorted((self.graph.states[state] for state in states), key=repr))

    def _order(self) -> Sequence[int] | None:
        """A linearization out of the most frugal survivor; None if it used more crashed operations than there were."""
        filled, count = self.engine.filled, len(self.kind)
        order, queue = filled(count, 0), filled(count + 2 * int(self.memory[k.CLASSES]), -1)
        length = self.engine.search["linearize"](self.memory, self.graph.table.words, order, filled(count, 0), queue)
        return None if length < 0 else self.engine.listed(order[: int(length)])

    def _array(self, address: int, size: int) -> list[int]:
        """So many words of the array whose address that word holds."""
        begin = int(self.memory[address])
        return self.engine.listed(self.memory[begin : begin + size])
