"""The frontier search, driven: passes over a history, narrow and wide in turn.

Lives here: what surrounds the kernel. It fills the cells of the table that the kernel asks for, gives it room, and
reads the clock. Two kinds of pass answer two questions:

- only the most frugal configurations kept: if one survives, it is a linearization;
- all kept: decides, if it lasts.

They take turns, each longer or wider than the last of its kind, since a history that one of them settles at once may
take the other for ever.
"""

from itertools import accumulate

from checkers import kernel as k
from checkers.budget import Meter
from checkers.compiled import Engine
from checkers.decision import Answer, Decision
from checkers.history import Columns
from checkers.kernel import Integers
from checkers.models import State
from checkers.state_graph import TRAITS, StateGraph
from checkers.text_states import TextStates

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
    """A history laid out for the kernel, whole or key by key."""

    def __init__(
        self, columns: Columns, graph: StateGraph | TextStates, engine: Engine, why: str = "", *, by_key: bool = False
    ) -> None:
        self.columns = columns
        self.graph = graph
        self.engine = engine
        self.why = why
        self.name = "compiled search" if engine.compiled else "search"
        self.keys = len(columns.keys) if by_key else 1
        count, events = len(columns.kind), len(columns.events)
        kind = engine.view(columns.kind)
        kinds = len(columns.kinds)
        if isinstance(graph, StateGraph):
            numbers, kinds = graph.kinds_of(columns), len(graph.kinds)
            if numbers != range(kinds):
                kind = engine.gather(numbers, kind)
        classes = min(2 * count - events, kinds)  # what has no return has crashed
        slots = k.SLOT_WORDS * (min(count, engine.most_open) + 1)
        self.sizes = [kinds] * 4 + [count] * 6 + [events] * 2 + [self.keys + 2] * 3
        self.sizes += [classes, classes, 2 * classes, slots]
        self.fixed = k.CONTROL_WORDS + sum(self.sizes)
        self.capacity = FIRST_CAPACITY
        self.node_words = k.USED + classes
        self.memory = memory = self._with_room()
        memory[k.KEYS], memory[k.OPEN_LIMIT] = self.keys, engine.most_open
        memory[k.TEXTS], memory[k.INITIAL_LENGTH] = isinstance(graph, TextStates), graph.initial_length
        if isinstance(graph, StateGraph):
            memory[k.CONTROL_WORDS : k.CONTROL_WORDS + TRAITS * kinds] = graph.traits
        engine.search["share"](memory, kind, engine.view(columns.key), engine.view(columns.events))
        self._stopped: dict[int, Decision | None] = {}

    def _with_room(self) -> Integers:
        """Empty memory, its arrays one behind the other, with room for `capacity` configurations."""
        most = self.capacity
        growing = [most, most, most, 2 * most * k.BUCKET_WORDS, most * self.node_words]
        ends = list(accumulate(self.sizes + growing, initial=k.CONTROL_WORDS))
        memory = self.engine.filled(ends.pop(), 0)
        memory[k.AT_FLAGS : k.CONTROL_WORDS] = ends
        memory[k.BUCKET_MASK] = 2 * most - 1
        return memory

    def of_key(self, place: int, meter: Meter) -> Decision | None:
        """What is decided of the key at that place in order of size; None as for `decide`."""
        while place not in self._stopped and place >= self._key:
            if self._key in self._stopped:
                self.memory[k.KEY] += 1
                self.memory[k.BEGUN] = 0
            self.decide(meter)
        return self._stopped[place] if place in self._stopped else self._linearized(place)

    def decide(self, meter: Meter) -> Decision | None:
        """Goes on with the key under way: what is decided of the first that has no linearization, or of the last.

        None if more is open at once than the engine's masks hold.
        """
        found = self._never_legal() if len(self.columns.events) >= WORTH_A_LOOK else None
        key, turn = self._key, 0
        while found is None:
            status, within = self._go(meter)
            if self._key != key:
                key, turn = self._key, 0
            if status == k.CROWDED:
                break
            found = self._ended(status, within)
            turn += 1
            if found is None:
                width, steps = PASSES[turn]
                if steps == A_WHILE and len(self.columns.events) < WORTH_A_LOOK:
                    found = self._never_legal()
                self.engine.search["start"](self.memory, width, steps * int(self.memory[k.EVENTS]))
        if found is None or found.answer is not Answer.LINEARIZED:
            self._stopped[key] = found
        return found

    @property
    def _key(self) -> int:
        return int(self.memory[k.KEY])

    def _never_legal(self) -> Decision | None:
        """No, for the first operation that returned and is legal in no state that any order of all kinds can reach.

        Looks only where there are few states; what it says is sound, since it lets every operation happen at any time.
        """
        graph = self.graph
        if isinstance(graph, TextStates):
            return None
        flags = self.engine.listed(graph.traits[: len(graph.kinds)])
        kind_of = self._array(k.AT_KIND, len(self.columns.kind))
        events = [code for code in self.columns.events if flags[kind_of[code if code >= 0 else ~code]] != k.IRRELEVANT]
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
                            return None
        blocked = next((~code for code in events if code < 0 and kind_of[~code] not in legal), -1)
        if blocked < 0:
            return None
        core = (blocked,) if graph.model.hindsight is None else ()  # hindsight is what the others told
        return Decision(Answer.REFUTED, self.name, self.why, core=core, sentence=HOPELESS, blocked=blocked)

    def _go(self, meter: Meter) -> tuple[int, bool]:
        """Runs until a pass ends that does not lead to the next key: why it ended, and whether the budget lasts."""
        run, graph = self.engine.search["run"], self.graph
        meter.bytes += self._size()
        while True:
            before = int(self.memory[k.STEPS])
            self.memory[k.STEP_LIMIT] = before + STEPS_BETWEEN_PAUSES
            status = run(self.memory, graph.words, graph.rows, graph.flags, graph.blob)
            steps = int(self.memory[k.STEPS])
            within = meter.spend(steps - before) and meter.read_clock()
            if status == k.WANTED and within:
                within = self._fill(int(self.memory[k.WANTED_KIND]), int(self.memory[k.WANTED_STATE]), meter)
            elif status == k.FULL and within:
                within = meter.spend(0, self._size())
                if within:
                    self._grow()
            elif status == k.CRAMPED and within:
                within = meter.spend(0, self.engine.word_bytes * len(graph.words))
                assert isinstance(graph, TextStates), "only a trie can run out of room"
                graph.grow()
            elif status != k.PAUSED or steps > self.memory[k.PASS_LIMIT]:
                break
            if not within:
                break
        meter.bytes -= self._size()
        return status, within

    def _size(self) -> int:
        return self.engine.word_bytes * len(self.memory)

    def _ended(self, status: int, within: bool) -> Decision | None:
        """What is decided where the search stopped for this reason, the budget not spent or spent."""
        memory = self.memory
        if status == k.FINISHED:
            return self._linearized(self.keys - 1)
        if status == k.REFUTED and not memory[k.CUT]:
            blocked = ~int(memory[memory[k.AT_EVENTS] + memory[k.EVENT]]) - self._first(self._key)
            return Decision(Answer.REFUTED, self.name, self.why, blocked=blocked, states=self._states())
        if status == k.REFUTED or within:
            return None
        reached = f"{int(memory[k.EVENT])} of {int(memory[k.EVENTS])} events"
        progress = f"{reached}, up to {int(memory[k.WIDEST])} configurations"
        return Decision(Answer.EXHAUSTED, self.name, self.why, states=self._states(), progress=progress)

    def _fill(self, kind: int, state: int, meter: Meter) -> bool:
        """Asks the model for the cell wanted and, while states are few, for those that the open operations may want."""
        memory, graph = self.memory, self.graph
        assert isinstance(graph, StateGraph), "a trie knows all cells"
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
        return tuple(sorted((self.graph.state(number) for number in set(numbers)), key=repr))

    def _linearized(self, place: int) -> Decision:
        """Yes, by the order that was written down for the key at that place."""
        first = self._first(place)
        begin = int(self.memory[k.AT_ORDER]) + first
        order = self.engine.listed(self.memory[begin : begin + int(self.memory[self.memory[k.AT_ORDERED] + place])])
        if first:
            order = [operation - first for operation in order]
        return Decision(Answer.LINEARIZED, self.name, self.why, order=order)

    def _first(self, place: int) -> int:
        """The number of the first operation on a key."""
        return int(self.memory[self.memory[k.AT_FIRST_OPERATION] + place])

    def _array(self, address: int, size: int) -> list[int]:
        """So many words of the array whose address that word holds."""
        begin = int(self.memory[address])
        return self.engine.listed(self.memory[begin : begin + size])
