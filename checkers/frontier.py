"""The frontier search, driven: passes over a history, narrow and wide in turn.

Lives here: what surrounds the kernel. It fills the cells of the table that the kernel asks for, gives it room, and
reads the clock. Two kinds of pass answer two questions:

- only the most frugal configurations kept: if one survives, it is a linearization;
- all kept: decides, if it lasts.

They take turns, each longer or wider than the last of its kind, since a history that one of them settles at once may
take the other for ever. Where both go on for long, a search that goes deep (`checkers.depth_first`) has its turns too.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from heapq import nsmallest

from checkers import kernel as k
from checkers.budget import Meter, size_of
from checkers.compiled import Loops
from checkers.decision import Answer, Decision
from checkers.depth_first import MOST_BYTES, DepthFirst
from checkers.history import Columns
from checkers.kernel import Integers
from checkers.models import State
from checkers.state_graph import TRAITS, StateGraph
from checkers.text_states import TextStates

ALL = 0  # the width of a pass that keeps all configurations
A_WHILE, AT_LENGTH = 10, 1 << 40  # steps an event
PASSES = ((8, AT_LENGTH), (ALL, A_WHILE), (64, AT_LENGTH), (1024, AT_LENGTH), (ALL, AT_LENGTH))
LATER = 2  # the turn before which the rules are asked, and in short histories what is legal in no state at all
DEEP_FROM = 3  # the turn from which on the search that goes deep has its share:
STEPS_A_DEEP_STEP, CELLS_A_DEEP_STEP = 20, 3  # a step for so many steps, and one for so many questions to the model
MANY_CELLS, DEEP_STEPS_A_CELL = 10_000, 2  # more of them are states that hardly meet again, where going deep is better
DEEP_SLICE = 400  # steps at once
DEEP_SHARE = 0.25  # of the bytes left
FEW_STATES = 32
ENDS = (k.FINISHED, k.REFUTED, k.CROWDED)  # why a search stops that nothing helps
STATES_SHOWN, FEW_SHOWN = 10_000, 5
BYTES_OF_A_KIND = 250  # in the graph of states
BYTES_OF_A_CELL = 300  # of the table
BYTES_OF_A_STATE = 200  # beside what it weighs itself
WORTH_A_LOOK = 400  # events, from which on that look comes before the first pass
FIRST_CAPACITY, LEAST_CAPACITY = 256, 4
FIRST_WORDS = 1 << 16  # of configurations; those are long where many kinds crashed
STEPS_BETWEEN_PAUSES = 2000
STEPS_UNTIL_RULES = 4000  # of one pass, after which the rules are asked though it is not their turn
HOPELESS = "no order of the operations, however often each takes place, leads to a state that allows it"


Look = Callable[[int, bool], Decision | None]
"""A no to the key at that place that takes no search of the whole, if there is one; True: looked for more closely."""


class NoRoomError(Exception):
    """There are not as many bytes as the history takes when it is laid out."""

    def __init__(self, size: int) -> None:
        self.size = size


def require_room(size: int, most_bytes: int | None) -> None:
    """Raises NoRoomError if that many bytes are more than there are."""
    if most_bytes is not None and size > most_bytes:
        raise NoRoomError(size)


class Frontier:
    """A history laid out for the kernel, whole or key by key."""

    def __init__(
        self,
        columns: Columns,
        graph: StateGraph | TextStates,
        loops: Loops,
        why: str = "",
        *,
        by_key: bool = False,
        deep: Callable[[], DepthFirst] | None = None,
        look: Look | None = None,
        most_bytes: int | None = None,
    ) -> None:
        """`deep` makes the search that takes turns with this one, `look` tries shortcuts to a no for a key.

        Raises NoRoomError.
        """
        self.columns = columns
        self._look = look
        self._looked: set[tuple[int, int]] = set()
        self._make_deep = deep
        self._deep: DepthFirst | None = None
        self._deep_steps = self._deep_bytes = self._cells = 0
        self.graph = graph
        self.loops = loops
        self.why = why
        self.name = "compiled search" if loops.compiled else "search"
        self.keys = len(columns.keys) if by_key else 1
        count, events = len(columns.kind), len(columns.events)
        kind, kinds = loops.view(columns.kind), len(columns.kinds)
        if isinstance(graph, StateGraph):
            kind, kinds = loops.gather(graph.kinds_of(columns), kind), len(graph.kinds)
        classes = min(2 * count - events, kinds)  # what has no return has crashed
        self.sizes = kinds, count, events, classes, min(count, loops.most_open) + 1
        self.capacity = FIRST_CAPACITY
        while self.capacity > LEAST_CAPACITY and self.capacity * (k.USED + classes) > FIRST_WORDS:
            self.capacity //= 2
        registers = loops.filled(k.CONTROL_WORDS, 0)
        registers[k.KEYS], registers[k.OPEN_LIMIT] = self.keys, loops.most_open
        registers[k.TEXTS], registers[k.INITIAL_LENGTH] = isinstance(graph, TextStates), graph.initial_length
        words = loops.search["lay_out"](registers, *self.sizes, self.capacity)
        self._beside = BYTES_OF_A_KIND * len(columns.kinds)
        require_room(self._beside + words * loops.word_bytes, most_bytes)
        self.memory = self._with_room(registers)
        if isinstance(graph, StateGraph):
            self.memory[k.CONTROL_WORDS : k.CONTROL_WORDS + TRAITS * kinds] = graph.traits
        loops.search["share"](self.memory, kind, columns.key, columns.events)
        self._answers: dict[int, Answer | None] = {}
        self._stopped: dict[int, Decision | None] = {}
        self._settled: Decision | None = None  # by other means than a pass

    def _with_room(self, registers: Integers) -> Integers:
        """Memory that is empty but for these registers, with room for `capacity` configurations."""
        memory = self.loops.filled(self.loops.search["lay_out"](registers, *self.sizes, self.capacity), 0)
        memory[: k.CONTROL_WORDS] = registers
        return memory

    def of_key(self, place: int, meter: Meter) -> Decision | None:
        """What is decided of the key at that place in order of size; None as for `answer`."""
        while place not in self._stopped and place >= self._key:
            if self._key in self._stopped:
                self.memory[k.KEY] += 1
                self.memory[k.BEGUN] = 0
                self._settled = None
            found = self.decide(meter)
            if found is None or found is self._settled or found.answer is not Answer.LINEARIZED:
                self._stopped[self._key] = found
        return self._stopped[place] if place in self._stopped else self._linearized(place)

    def decide(self, meter: Meter) -> Decision | None:
        """What is decided of the key that `answer` speaks of."""
        answer = self.answer(meter)
        if answer is None or self._settled is not None:
            return self._settled
        return self._linearized(self.keys - 1) if answer is Answer.LINEARIZED else self._stuck(answer)

    def answer(self, meter: Meter) -> Answer | None:
        """Goes on with the key under way: the answer for the first that has no linearization, or for the last.

        None if more is open at once than the loops' masks hold.
        """
        key, turn, look = self._key, 0, 0 if len(self.columns.events) >= WORTH_A_LOOK else LATER
        if key in self._answers:
            return self._answers[key]
        while True:
            if (turn == look and self._never_legal()) or (turn in (LATER, DEEP_FROM) and self._by_shortcut(key, turn)):
                return self._settle(key)
            if turn > 0:
                width, steps = PASSES[turn - 1]
                self.loops.search["start"](self.memory, width, steps * int(self.memory[k.EVENTS]))
            status, within = self._go(meter, deep=turn >= DEEP_FROM)
            if self._settled is not None:
                return self._settle(key)
            if status == k.FINISHED:
                return Answer.LINEARIZED
            if self._key != key:
                key, turn = self._key, 0
            if not within:
                self._answers[key] = Answer.EXHAUSTED
            elif status == k.REFUTED and not self.memory[k.CUT]:
                self._answers[key] = Answer.REFUTED
            elif status == k.CROWDED:
                self._answers[key] = None
            if key in self._answers:
                return self._answers[key]
            turn += 1

    @property
    def _key(self) -> int:
        return int(self.memory[k.KEY])

    def _settle(self, key: int) -> Answer:
        assert self._settled is not None
        self._answers[key] = self._settled.answer
        return self._settled.answer

    def _went_deep(self, meter: Meter) -> bool:
        """Whether the search that goes deep decides the history with as many more steps as are due to it."""
        due = int(self.memory[k.STEPS]) // STEPS_A_DEEP_STEP + self._cells // CELLS_A_DEEP_STEP
        due += max(0, self._cells - MANY_CELLS) * DEEP_STEPS_A_CELL - self._deep_steps
        if self._make_deep is None or due < DEEP_SLICE:
            return False
        self._deep_steps += due
        if self._deep is None:
            self._deep = self._make_deep()
            if meter.budget.bytes is not None:
                self._deep.most_bytes = min(MOST_BYTES, int(DEEP_SHARE * (meter.budget.bytes - meter.bytes)))
        found = self._deep.go(due, meter)
        meter.bytes += self._deep.bytes - self._deep_bytes
        self._deep_bytes = self._deep.bytes
        if found is not None:
            self._settled = replace(found, why=self.why)
        elif self._deep.gave_up:
            meter.bytes -= self._deep_bytes
            self._make_deep = self._deep = None
        return found is not None

    def _by_shortcut(self, key: int, turn: int) -> bool:
        """Whether the rules of the model, or a closer look before the later turn, refute the key."""
        if (key, turn) in self._looked or self._look is None:
            return False
        self._looked.add((key, turn))
        self._settled = self._look(key, turn != LATER)
        return self._settled is not None

    def _never_legal(self) -> bool:
        """Whether an operation that returned is legal in no state that any order of all kinds can reach.

        Asks the model, or looks at all states where there are few; what it says is sound, since it lets every operation
        happen at any time.
        """
        graph = self.graph
        if isinstance(graph, TextStates):
            return False
        flags = self.loops.listed(graph.traits[: len(graph.kinds)])
        kind_of = self._array(k.AT_KIND, len(self.columns.kind))
        events = [code for code in self.columns.events if flags[kind_of[code if code >= 0 else ~code]] != k.IRRELEVANT]
        usable = {kind_of[code]: None for code in events if code >= 0}
        legal = self._possible(usable)
        if legal is None:
            return False
        blocked = next((~code for code in events if code < 0 and kind_of[~code] not in legal), -1)
        if blocked >= 0:
            core = (blocked,) if graph.model.hindsight is None or graph.model.possible else ()  # else others told
            no = Answer.REFUTED
            self._settled = Decision(no, self.name, self.why, core=core, sentence=HOPELESS, blocked=blocked)
        return blocked >= 0

    def _possible(self, usable: Iterable[int]) -> set[int] | None:
        """The kinds that are legal in any state that any order of these kinds can reach; None if it is hard to say."""
        graph = self.graph
        assert isinstance(graph, StateGraph), "only its kinds are asked for"
        if graph.model.possible is not None:
            fits = graph.model.possible([graph.kinds[kind] for kind in usable])
            return {kind for kind in usable if fits(graph.kinds[kind])}
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
        return legal

    def _go(self, meter: Meter, deep: bool) -> tuple[int, bool]:
        """Runs until a pass ends that does not lead to the next key: why it ended, and whether the budget lasts.

        The search that goes `deep` takes steps in between, so that it has a like share of the time; it may settle it.
        """
        run, graph = self.loops.search["run"], self.graph
        meter.bytes += self._size() + self._beside
        within, steps = True, int(self.memory[k.STEPS])
        first = steps
        while within:
            memory, before = self.memory, steps
            left = meter.steps_left
            memory[k.STEP_LIMIT] = before + min(STEPS_BETWEEN_PAUSES, STEPS_BETWEEN_PAUSES if left is None else left)
            status: int = run(memory, graph.words, graph.rows, graph.flags, graph.blob)
            steps = int(memory[k.STEPS])
            within = meter.spend(steps - before) and meter.read_clock()
            if status in ENDS or (status == k.PAUSED and steps > memory[k.PASS_LIMIT]):
                break
            if within:
                within = self._help(status, meter)
            if within and deep and self._went_deep(meter):
                break
            if within and steps - first > STEPS_UNTIL_RULES and self._by_shortcut(self._key, LATER):
                break
        meter.bytes -= self._size() + self._beside
        return status, within or status in ENDS

    def _help(self, status: int, meter: Meter) -> bool:
        """Gives the search what it stopped for; whether the budget lasts."""
        if status == k.WANTED:
            return self._fill(int(self.memory[k.WANTED_KIND]), int(self.memory[k.WANTED_STATE]), meter)
        if status == k.FULL:
            old = self._size()
            within = meter.spend(0, 2 * old)  # the new one is twice as large, and for a while there are both
            if within:
                self._grow()
            meter.bytes += self._size() - 3 * old if within else -2 * old
            return within
        if status == k.CRAMPED:
            assert isinstance(self.graph, TextStates), "only a trie is cramped"
            self.graph.grow()
            return meter.spend(0, self.loops.word_bytes * len(self.graph.words))
        return True

    def _size(self) -> int:
        return self.loops.word_bytes * len(self.memory)

    def _stuck(self, answer: Answer) -> Decision:
        """What is decided of the key under way: no, or that the budget is spent."""
        memory = self.memory
        states = self._states(None if answer is Answer.REFUTED else FEW_SHOWN)
        if answer is Answer.REFUTED:
            blocked = ~int(memory[memory[k.AT_EVENTS] + memory[k.EVENT]]) - self._first(self._key)
            return Decision(answer, self.name, self.why, blocked=blocked, states=states)
        reached = f"{int(memory[k.EVENT])} of {int(memory[k.EVENTS])} events"
        widest = max(int(memory[k.WIDEST]), int(memory[k.WORK_COUNT]))  # those of the return under way count too
        progress = f"{reached}, up to {widest} configurations"
        return Decision(answer, self.name, self.why, states=states, progress=progress)

    def _fill(self, kind: int, state: int, meter: Meter) -> bool:
        """Asks the model for the cell wanted and, while states are few, for those that the open operations may want."""
        memory, graph = self.memory, self.graph
        assert isinstance(graph, StateGraph), "a trie knows all cells"
        before, states = len(graph.table), len(graph.states)
        graph.step(kind, state)
        if len(graph.states) <= FEW_STATES:
            for slot in range(int(memory[k.MOST_OPEN])):
                if int(memory[k.OPEN]) >> slot & 1:
                    graph.step(int(memory[memory[k.AT_SLOTS] + slot * k.SLOT_WORDS + k.SLOT_KIND]), state)
        self._cells += len(graph.table) - before
        new = sum(BYTES_OF_A_STATE + size_of(state) for state in graph.states[states:])
        return meter.spend(0, new + BYTES_OF_A_CELL * (len(graph.table) - before))

    def _grow(self) -> None:
        """Twice the room; the return that ran out of it starts over."""
        old, pool = self.memory, int(self.memory[k.AT_POOL])
        self.capacity *= 2
        fixed = int(old[k.AT_FRONT])
        self.memory = memory = self._with_room(self.loops.array(old[: k.CONTROL_WORDS]))
        memory[k.CONTROL_WORDS : fixed] = old[k.CONTROL_WORDS : fixed]
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
        self.loops.search["bound"](memory)
        memory[k.BUSY] = 0

    def _states(self, most: int | None) -> tuple[State, ...]:
        """The states of the configurations that the return under way has found; the first, or all, sorted by text."""
        begin, count = int(self.memory[k.AT_WORK]), min(int(self.memory[k.WORK_COUNT]), STATES_SHOWN)
        nodes = self.memory[begin : begin + count]
        numbers = {*self.loops.listed(self.loops.gather(self.memory, nodes))}  # a node's first word is its state
        states = {number: self.graph.state(number) for number in numbers}
        first = nsmallest(most or len(states), states, key=lambda number: repr(states[number]))  # holds no more texts
        return tuple(states.pop(number) for number in first) + tuple(states.values())

    def _linearized(self, place: int) -> Decision:
        """Yes, by the order that was written down for the key at that place."""
        first = self._first(place)
        begin = int(self.memory[k.AT_ORDER]) + first
        order = self.loops.listed(self.memory[begin : begin + int(self.memory[self.memory[k.AT_ORDERED] + place])])
        if first:
            order = [operation - first for operation in order]
        return Decision(Answer.LINEARIZED, self.name, self.why, order=order)

    def _first(self, place: int) -> int:
        """The number of the first operation on a key."""
        return int(self.memory[self.memory[k.AT_FIRST_OPERATION] + place])

    def _array(self, address: int, size: int) -> list[int]:
        """So many words of the array whose address that word holds."""
        begin = int(self.memory[address])
        return self.loops.listed(self.memory[begin : begin + size])
