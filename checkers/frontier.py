"""The frontier search, driven: passes over a history, each cheaper or more exact than the last, and the witness at the
end.

Lives here: what surrounds the kernel. It fills the cells of the table that the kernel asks for, gives it room, reads
the clock, and turns a surviving configuration back into an order of operations. Three kinds of pass answer three
questions:

- crashed operations unlimited: if even so nothing survives, there is no linearization;
- counted, and only the most frugal configurations kept: if one survives, it is a linearization;
- counted, and all kept: decides, if the budget lasts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from checkers import kernel as k
from checkers.budget import Meter
from checkers.compiled import Engine
from checkers.history import Columns
from checkers.kernel import Integers
from checkers.models import State
from checkers.state_graph import OBSERVER, OVERWRITE, StateGraph
from checkers.wing_gong import Answer

WIDTHS = (8, 64, 1024, 0)
FEW_STATES = 32
STATES_SHOWN = 10_000
BYTES_OF_A_CELL = 300  # of the table, with its share of the states
WORTH_A_LOOK = 200
FIRST_CAPACITY = 1024
STEPS_BETWEEN_PAUSES = 2000


@dataclass(frozen=True)
class Decision:
    """How the passes ended. `order` is a linearization, as operation numbers; `blocked` the one whose return failed.

    `states` are those that were possible when it returned, `exact` whether crashed operations were counted for them.
    `reached` is how many events of how many the last pass got through, and `widest` its largest set of configurations.
    """

    answer: Answer
    order: tuple[int, ...] | None = None
    blocked: int = -1
    states: tuple[State, ...] = ()
    exact: bool = True
    reached: tuple[int, int] = (0, 0)
    widest: int = 0


def decide(columns: Columns, kinds: Sequence[int], graph: StateGraph, engine: Engine, meter: Meter) -> Decision | None:
    """Whether the history has a linearization; `kinds` numbers the kinds of the columns in the graph.

    None if more operations are open at once than the masks of the engine hold.
    """
    base = _prepared(columns, kinds, graph, engine)
    if base is None:
        return None
    if len(columns.kind) >= WORTH_A_LOOK:
        hopeless = _never_legal(columns, kinds, graph)
        if hopeless >= 0:
            return Decision(Answer.REFUTED, blocked=hopeless, exact=False)
    counted = (False, True) if base[k.CLASSES] else (True,)
    settled: set[bool] = set()  # passes that were not cut, and so have said all they can
    for width in WIDTHS:
        for exact in counted:
            if exact in settled or (width == 0 and not exact):
                continue
            search = _Pass(base, engine, graph, exact=exact, width=width)
            found = search.run(meter)
            if found.answer is Answer.EXHAUSTED or (found.answer is Answer.LINEARIZED and found.order is not None):
                return found
            if found.answer is Answer.REFUTED and not search.cut:
                return found
            if not search.cut or (search.ran_away and not exact):
                settled.add(exact)
            elif found.answer is Answer.REFUTED and width < WIDTHS[-2]:
                break  # what fails even without counts is likelier refuted by a wider pass
    raise AssertionError("the last pass keeps every configuration, and decides")


def _never_legal(columns: Columns, kinds: Sequence[int], graph: StateGraph) -> int:
    """The first operation that returned and is legal in no state that any order of all kinds can reach; -1 if none is.

    Looks only where there are few states; what it says is sound, since it lets every operation happen at any time.
    """
    usable = [kind for kind in kinds if graph.relevant[kind]]
    reached, legal = [0], set()
    for state in reached:
        for kind in usable:
            after = graph.step(kind, state)
            if after >= 0:
                legal.add(kind)
                if after not in reached:
                    reached.append(after)
        if len(reached) > FEW_STATES:
            return -1
    hopeless = {place for place, kind in enumerate(kinds) if graph.relevant[kind] and kind not in legal}
    returned = (~code for code in columns.events if code < 0)
    return next((operation for operation in returned if columns.kind[operation] in hopeless), -1)


def _prepared(columns: Columns, kinds: Sequence[int], graph: StateGraph, engine: Engine) -> Integers | None:
    """The part of the memory that holds the history; None if too many operations are open for the engine's masks."""
    count, width = len(columns.kind), len(graph.kinds)
    parts = {
        k.AT_EVENTS: engine.array(columns.events),
        k.AT_KIND: engine.gather(engine.array(kinds), columns.kind),
        k.AT_DEADLINE: engine.filled(count, 0),
        k.AT_CLASS: engine.filled(count, 0),
        k.AT_CLASS_OF_KIND: engine.filled(width, -1),
        k.AT_CLASS_KIND: engine.filled(min(count, width), 0),
    }
    parts[k.AT_FLAGS], parts[k.AT_RELEVANT] = graph.arrays(engine.array)
    memory = engine.filled(k.CONTROL_WORDS + sum(len(part) for part in parts.values()), 0)
    end = k.CONTROL_WORDS
    for address, part in parts.items():
        memory[address] = end
        memory[end : end + len(part)] = part
        end += len(part)
    memory[k.ALL_EVENTS] = len(columns.events)
    engine.search["prepare"](memory)
    return memory if memory[k.MOST_OPEN] <= engine.most_open else None


class _Pass:
    """One pass over the history, with memory of its own."""

    def __init__(self, history: Integers, engine: Engine, graph: StateGraph, *, exact: bool, width: int) -> None:
        self.engine = engine
        self.graph = graph
        self.exact = exact
        classes = int(history[k.CLASSES])
        self.node_words = k.USED + (classes if exact else 0)
        self.fixed = len(history) + classes + k.SLOT_WORDS * (int(history[k.MOST_OPEN]) + 1)
        self.capacity = FIRST_CAPACITY
        self.memory = self._room(history)
        memory = self.memory
        memory[k.AT_AVAILABLE], memory[k.AT_SLOTS] = len(history), len(history) + classes
        memory[k.TRACK], memory[k.WIDTH] = int(exact), width
        memory[k.NODE_WORDS], memory[k.FRONT_COUNT] = self.node_words, 1
        memory[memory[k.AT_FRONT]] = memory[k.AT_POOL]
        memory[k.NODES] = memory[k.AT_POOL] + self.node_words

    def _room(self, old: Integers) -> Integers:
        """Memory for `capacity` configurations that begins with the fixed part of the old one."""
        buckets = 2 * self.capacity
        sizes = {k.AT_FRONT: self.capacity, k.AT_WORK: self.capacity, k.AT_RESULT: self.capacity}
        sizes |= {k.AT_BUCKETS: buckets * k.BUCKET_WORDS, k.AT_POOL: self.capacity * self.node_words}
        memory = self.engine.filled(self.fixed + sum(sizes.values()), 0)
        shared = min(self.fixed, len(old))
        memory[:shared] = old[:shared]
        end = self.fixed
        for address, size in sizes.items():
            memory[address] = end
            end += size
        memory[k.BUCKET_MASK], memory[k.POOL_END] = buckets - 1, end
        return memory

    @property
    def cut(self) -> bool:
        """Whether configurations were given up for the width."""
        return bool(self.memory[k.CUT])

    @property
    def ran_away(self) -> bool:
        """Whether one return led to more configurations than a pass of this width looks at."""
        return bool(self.memory[k.CUT] == k.RAN_AWAY)

    def run(self, meter: Meter) -> Decision:
        """How this pass ends, within the budget."""
        advance = self.engine.search["advance"]
        steps, size = 0, len(self.memory)
        meter.spend(0, 8 * size)
        while True:
            self.memory[k.STEP_LIMIT] = self.memory[k.STEPS] + STEPS_BETWEEN_PAUSES
            status = advance(self.memory, self.graph.table.words)
            done = int(self.memory[k.STEPS])
            within = meter.spend(done - steps) and meter.read_clock()
            steps = done
            if status == k.WANTED and within:
                self._fill(int(self.memory[k.WANTED_KIND]), int(self.memory[k.WANTED_STATE]))
                within = meter.spend(0, BYTES_OF_A_CELL)
            elif status == k.FULL and within and meter.spend(0, 8 * size):
                size *= 2
                self._grow()
            elif status != k.PAUSED or not within:
                break
        meter.spend(0, -8 * size)
        return self._ended(status)

    def _ended(self, status: int) -> Decision:
        control = self.memory
        reached = (int(control[k.EVENT]), int(control[k.EVENTS]))
        if status == k.FINISHED:
            return Decision(Answer.LINEARIZED, order=self._order(), reached=reached, widest=int(control[k.WIDEST]))
        blocked = ~int(self.memory[self.memory[k.AT_EVENTS] + reached[0]]) if reached[0] < reached[1] else -1
        return Decision(
            Answer.REFUTED if status == k.REFUTED else Answer.EXHAUSTED,
            blocked=blocked,
            states=() if self.cut and status == k.REFUTED else self._states(),
            exact=self.exact,
            reached=reached,
            widest=int(control[k.WIDEST]),
        )

    def _fill(self, kind: int, state: int) -> None:
        """Asks the model for the cell wanted and, while states are few, for those that the open operations may want."""
        self.graph.step(kind, state)
        if len(self.graph.states) > FEW_STATES:
            return
        memory = self.memory
        for slot in range(int(memory[k.MOST_OPEN])):
            if int(memory[k.OPEN]) >> slot & 1:
                self.graph.step(int(memory[memory[k.AT_SLOTS] + slot * k.SLOT_WORDS + k.SLOT_KIND]), state)

    def _grow(self) -> None:
        """Twice the room; the return that ran out of it starts over."""
        old, pool = self.memory, int(self.memory[k.AT_POOL])
        self.capacity *= 2
        self.memory = memory = self._room(old)
        moved = int(memory[k.AT_POOL]) - pool
        used = int(old[k.FIRST_NODE]) - pool
        memory[pool + moved : pool + moved + used] = old[pool : pool + used]
        for node in range(pool + moved + self.node_words, pool + moved + used, self.node_words):
            memory[node + k.PARENT] += moved
        front = int(old[k.AT_FRONT])
        for place in range(int(old[k.FRONT_COUNT])):
            memory[memory[k.AT_FRONT] + place] = old[front + place] + moved
        memory[k.NODES] = memory[k.FIRST_NODE] = old[k.FIRST_NODE] + moved
        memory[k.BUSY] = 0

    def _states(self) -> tuple[State, ...]:
        """The states of the configurations that the return under way has found, sorted by their text."""
        start, count = int(self.memory[k.AT_WORK]), min(int(self.memory[k.WORK_COUNT]), STATES_SHOWN)
        nodes = self.engine.listed(self.memory[start : start + count])
        states = {int(self.memory[node + k.STATE]) for node in nodes}
        return tuple(sorted((self.graph.states[state] for state in states), key=repr))

    def _order(self) -> tuple[int, ...] | None:
        """A linearization out of the most frugal survivor; None if it used more crashed operations than there were."""
        memory = self.memory
        uses: list[tuple[int, int]] = []
        node = int(memory[memory[k.AT_FRONT]])
        while memory[node + k.PARENT]:
            uses.append((int(memory[node + k.MOMENT]), int(memory[node + k.VIA])))
            node = int(memory[node + k.PARENT])
        uses.reverse()
        for klass, count in Counter(~operation for _, operation in uses if operation < 0).items():
            if count > memory[memory[k.AT_AVAILABLE] + klass]:
                return None
        operations = int(memory[k.AT_CLASS] - memory[k.AT_DEADLINE])
        replay = _Replay(self._part(k.AT_KIND, operations), self._part(k.AT_CLASS, operations), self.graph)
        return replay.order(self._part(k.AT_EVENTS, int(memory[k.EVENTS])), uses)

    def _part(self, address: int, size: int) -> list[int]:
        """That many words of the array that begins at an address."""
        start = int(self.memory[address])
        return self.engine.listed(self.memory[start : start + size])


class _Replay:
    """Walks the events again, along the uses that a surviving configuration remembers, and writes down the order."""

    def __init__(self, kind: list[int], klass: list[int], graph: StateGraph) -> None:
        self.graph = graph
        self.flags = graph.flags
        self.kind = kind
        self.klass = klass
        self.crashed: dict[int, list[int]] = {}
        self.open: dict[int, None] = {}
        self.state = 0
        self.placed: list[int] = []

    def order(self, events: Sequence[int], uses: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
        """The linearization, or None where a crashed operation would have to be used that was not called yet."""
        seen = {via for _, via in uses if via >= 0}
        place = 0
        for moment, code in enumerate(events):
            while place < len(uses) and uses[place][0] == moment:
                if not self._use(uses[place][1], seen):
                    return None
                place += 1
            if code < 0:
                self.open.pop(~code, None)
            elif self.klass[code] >= 0:
                self.crashed.setdefault(self.klass[code], []).append(code)
            else:
                self.open[code] = None
                kind = self.kind[code]
                if self.flags[kind] == OBSERVER and self.graph.step(kind, self.state) == self.state:
                    self._place([code])
        return tuple(self.placed)

    def _use(self, via: int, seen: set[int]) -> bool:
        """Places an operation, the overwrites that it hides before it, and the observers that agree after it."""
        if via < 0:
            if not self.crashed.get(~via):
                return False
            operation = self.crashed[~via].pop(0)
        else:
            operation = via
        if self.flags[self.kind[operation]] == OVERWRITE:
            hidden = [one for one in self.open if one not in seen and self.flags[self.kind[one]] == OVERWRITE]
            self._place(hidden)
        self._place([operation])
        self.state = self.graph.step(self.kind[operation], self.state)
        self._observe()
        return True

    def _observe(self) -> None:
        agreeing = [
            one
            for one in self.open
            if self.flags[self.kind[one]] == OBSERVER and self.graph.step(self.kind[one], self.state) == self.state
        ]
        self._place(agreeing)

    def _place(self, operations: Sequence[int]) -> None:
        for operation in operations:
            self.placed.append(operation)
            self.open.pop(operation, None)
