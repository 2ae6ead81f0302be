"""The scheduler of the frontier search: which pass comes next, and what a pass that paused needs.

It fills the table cells that the kernel asks for, makes room, and reads the clock. There are two kinds of pass:

- one that keeps only the most frugal configurations: if any survives, it is a linearization;
- one that keeps all: exact, if the budget lasts.

They take turns, each longer or wider than the last of its kind, since a history that one kind settles at once may take
the other forever. Where both take long, a depth-first search (`checkers.depth_first`) takes turns as well.
"""

from collections.abc import Callable
from dataclasses import replace
from heapq import nsmallest

from checkers import kernel as k
from checkers.budget import Meter, size_of
from checkers.compiled import Loops
from checkers.decision import Answer, Decision
from checkers.depth_first import MOST_BYTES, DepthFirst
from checkers.history import Columns
from checkers.hopeless import FEW_STATES, HOPELESS, first_hopeless
from checkers.layout import Layout
from checkers.models import State
from checkers.search_arrays import TRIE_WORDS
from checkers.state_graph import StateGraph
from checkers.text_states import TextStates

ALL = 0  # the width of a pass that keeps all configurations
A_WHILE, AT_LENGTH = 10, 1 << 32  # steps an event; the second is no limit
PASSES = ((8, AT_LENGTH), (ALL, A_WHILE), (64, AT_LENGTH), (1024, AT_LENGTH), (ALL, AT_LENGTH))
LATER = 2  # the turn before which the rules are asked, and short histories searched for what is legal in no state
DEEP_FROM = 3  # the turn from which on the depth-first search has its share:
STEPS_A_DEEP_STEP, CELLS_A_DEEP_STEP = 20, 3  # one step for so many steps, and one for so many new cells
MANY_CELLS, DEEP_STEPS_A_CELL = 10_000, 2  # above, states hardly ever meet again, and going deep is better
DEEP_SLICE = 400  # steps at once
DEEP_SHARE = 0.25  # of the bytes left
ENDS = (k.FINISHED, k.REFUTED, k.CROWDED)  # a pass that ends so cannot be resumed
STATES_SHOWN, FEW_SHOWN = 10_000, 5
BYTES_OF_A_CELL = 300  # of the table
BYTES_OF_A_STATE = 200  # on top of the state itself
LONG = 400  # events, from which on that comes before the first pass
STEPS_BETWEEN_PAUSES = 2000
STEPS_UNTIL_RULES = 4000  # of one pass, after which the rules are asked though it is not their turn

Look = Callable[[int, bool], Decision | None]
"""A refutation of the key at that place, if there is one, without a search of the whole; True: look more closely."""


class Frontier:
    """The search of one history, whole or key by key."""

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
        """Lay out the history; `deep` makes the depth-first search, `look` tries shortcuts to a refutation of a key.

        Raise NoRoomError.
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
        self.layout = Layout(columns, graph, loops, self.keys, most_bytes)
        self._answers: dict[int, Answer | None] = {}
        self._stopped: dict[int, Decision | None] = {}
        self._settled: Decision | None = None  # by other means than a pass

    def of_key(self, place: int, meter: Meter) -> Decision | None:
        """Return what is decided of the key at that place in order of size; None as for `answer`."""
        while place not in self._stopped and place >= self._key:
            if self._key in self._stopped:
                self.layout.skip_key()
                self._settled = None
            found = self.decide(meter)
            if found is None or found is self._settled or found.answer is not Answer.LINEARIZED:
                self._stopped[self._key] = found
        return self._stopped[place] if place in self._stopped else self._linearized(place)

    def decide(self, meter: Meter) -> Decision | None:
        """Return the decision that goes with `answer`."""
        answer = self.answer(meter)
        if answer is None or self._settled is not None:
            return self._settled
        return self._linearized(self.keys - 1) if answer is Answer.LINEARIZED else self._stuck(answer)

    def answer(self, meter: Meter) -> Answer | None:
        """Go on from the current key; return the answer for the first without a linearization, or for the last.

        None if more operations are open at once than the masks have bits.
        """
        key, turn, look = self._key, 0, 0 if len(self.columns.events) >= LONG else LATER
        if key in self._answers:
            return self._answers[key]
        while True:
            if (turn == look and self._never_legal()) or (turn in (LATER, DEEP_FROM) and self._by_shortcut(key, turn)):
                return self._settle(key)
            if turn > 0:
                self.layout.start(*PASSES[turn - 1])
            status, within = self._go(meter, deep=turn >= DEEP_FROM)
            if self._settled is not None:
                return self._settle(key)
            if status == k.FINISHED:
                return Answer.LINEARIZED
            if self._key != key:
                key, turn = self._key, 0
            if not within:
                self._answers[key] = Answer.EXHAUSTED
            elif status == k.REFUTED and not self.layout.now.cut:
                self._answers[key] = Answer.REFUTED
            elif status == k.CROWDED:
                self._answers[key] = None
            if key in self._answers:
                return self._answers[key]
            turn += 1

    @property
    def _key(self) -> int:
        return self.layout.now.key

    def _settle(self, key: int) -> Answer:
        assert self._settled is not None
        self._answers[key] = self._settled.answer
        return self._settled.answer

    def _went_deep(self, meter: Meter) -> bool:
        """Whether the depth-first search decides the history with as many more steps as are due to it."""
        due = self.layout.now.steps // STEPS_A_DEEP_STEP + self._cells // CELLS_A_DEEP_STEP
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
        """Whether some operation that returned is legal in no reachable state, which settles the key."""
        graph = self.graph
        if isinstance(graph, TextStates):
            return False
        blocked = first_hopeless(graph, self.columns.events, self.layout.kinds())
        if blocked >= 0:
            core = (blocked,) if graph.model.hindsight is None or graph.model.possible else ()  # else others told
            no = Answer.REFUTED
            self._settled = Decision(no, self.name, self.why, core=core, sentence=HOPELESS, blocked=blocked)
        return blocked >= 0

    def _go(self, meter: Meter, deep: bool) -> tuple[int, bool]:
        """Run until a pass ends without reaching the next key; return why, and whether the budget lasts.

        With `deep` the depth-first search takes steps in between, and may settle the key.
        """
        layout = self.layout
        meter.bytes += layout.bytes + layout.bytes_beside
        first = steps = layout.now.steps
        within = True
        while within:
            before, left = steps, meter.steps_left
            status = layout.run(min(STEPS_BETWEEN_PAUSES, STEPS_BETWEEN_PAUSES if left is None else left))
            steps = layout.now.steps
            within = meter.spend(steps - before) and meter.read_clock()
            if status in ENDS or (status == k.PAUSED and steps > layout.now.pass_limit):
                break
            if within:
                within = self._help(status, meter)
            if within and deep and self._went_deep(meter):
                break
            if within and steps - first > STEPS_UNTIL_RULES and self._by_shortcut(self._key, LATER):
                break
        meter.bytes -= layout.bytes + layout.bytes_beside
        return status, within or status in ENDS

    def _help(self, status: int, meter: Meter) -> bool:
        """Give the search what it stopped for; return whether the budget lasts."""
        if status == k.WANTED:
            return self._fill(self.layout.now.wanted_kind, self.layout.now.wanted_state, meter)
        if status == k.FULL:
            old = self.layout.bytes
            within = meter.spend(0, 2 * old)  # the new one is twice as large, and for a while there are both
            if within:
                self.layout.grow()
            meter.bytes += self.layout.bytes - 3 * old if within else -2 * old
            return within
        if status == k.CRAMPED:
            assert isinstance(self.graph, TextStates), "only a trie is cramped"
            self.graph.grow()
            return meter.spend(0, self.loops.word_bytes * TRIE_WORDS * self.graph.room)
        return True

    def _stuck(self, answer: Answer) -> Decision:
        """Return the decision of the current key: refuted, or exhausted."""
        now = self.layout.now
        states = self._states(None if answer is Answer.REFUTED else FEW_SHOWN)
        if answer is Answer.REFUTED:
            return Decision(answer, self.name, self.why, blocked=self.layout.blocked(), states=states)
        reached = f"{now.event} of {now.event_count} events"
        widest = max(now.widest, now.worklist_size)  # those of the return under way count too
        progress = f"{reached}, up to {widest} configurations"
        return Decision(answer, self.name, self.why, states=states, progress=progress)

    def _fill(self, kind: int, state: int, meter: Meter) -> bool:
        """Ask the model for the missing cell and, while states are few, for those that open operations may need."""
        graph = self.graph
        assert isinstance(graph, StateGraph), "a trie knows all cells"
        before, states = len(graph.table), len(graph.states)
        graph.step(kind, state)
        if len(graph.states) <= FEW_STATES:
            for other in self.layout.open_kinds():
                graph.step(other, state)
        self._cells += len(graph.table) - before
        new = sum(BYTES_OF_A_STATE + size_of(state) for state in graph.states[states:])
        return meter.spend(0, new + BYTES_OF_A_CELL * (len(graph.table) - before))

    def _states(self, most: int | None) -> tuple[State, ...]:
        """Return the states found at the current return; those that come first by their text, or all, are sorted."""
        states = {number: self.graph.state(number) for number in self.layout.states(STATES_SHOWN)}
        first = nsmallest(most or len(states), states, key=lambda number: repr(states[number]))  # holds no more texts
        return tuple(states.pop(number) for number in first) + tuple(states.values())

    def _linearized(self, place: int) -> Decision:
        """Return the decision that the key at that place is linearizable, with its witness."""
        return Decision(Answer.LINEARIZED, self.name, self.why, order=self.layout.order(place))
