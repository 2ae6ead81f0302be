"""Which engine decides a history, and why that one.

Lives here: the choice, and the adapters. `walk` tries the one obvious order; `versions` is what version numbers say,
`register` the near-linear decision, `search` the frontier search, plain or compiled. Unless it decides at once, the
search tries shortcuts to a no (`checkers.shortcuts`). `reference` is the readable search. None of them is believed on
its word: see `checkers.linearizable`.
"""

import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from checkers import unique_register, version_order, version_rows, wing_gong
from checkers.budget import Meter
from checkers.compiled import Loops, compiled, interpreted
from checkers.decision import Answer, Decision
from checkers.depth_first import DepthFirst
from checkers.frontier import Frontier, Look
from checkers.guard import is_ours
from checkers.history import History, Operation
from checkers.layout import BYTES_OF_A_KIND, NoRoomError, require_room
from checkers.models import Illegal, Model, NotApplicableError, State
from checkers.recorded import Recorded
from checkers.replay import replay
from checkers.shared_graphs import graph_for, may_be_shared
from checkers.shortcuts import PART_REFUTED, by_parts, by_rules
from checkers.state_graph import StateGraph
from checkers.text_states import TextStates

ENGINES = ("auto", "reference", "search", "register")
REPAYS_LOADING = 20_000  # operations, above which the compiled loops are worth loading
STEPS_A_PART = 5_000
STEPS_INTERPRETED = 100_000  # about a second; past it the compiled loops are worth loading
ASKED_FOR = "it was asked for"
REPEATED = "values were written more than once"
NO_QUICKER = "no quicker engine fits the model"
SAW_ITS_OWN = "it failed, though it saw the very value that it compared with"
NOT_APPLICABLE = (
    "the register engine does not apply: it takes registers where every value seen was written once "
    "and every failed cas says what it saw; use --engine auto"
)


class Judgement:
    """What an engine says of each key that is checked apart, the smallest first.

    Nothing is decided before it is asked for. `load` is whether the compiled loops may be loaded.
    """

    def __init__(self, history: History, model: Model, engine: str, meter: Meter, load: bool = False) -> None:
        self.history, self.model, self.engine, self.meter = history, model, engine, meter
        self.load = load or len(history) >= REPAYS_LOADING
        self._frontier = self._laid_out()

    def _laid_out(self) -> Frontier | None:
        """The search of all keys, where no other engine is asked before it."""
        loops, history, model = _loops(self.load), self.history, self.model
        columns = history.columns
        if not loops.compiled or not columns.events or self.engine not in ("auto", "search"):
            return None
        if self.meter.bytes_left is not None and len(columns.kinds) * BYTES_OF_A_KIND > self.meter.bytes_left:
            return None
        texts = TextStates.of(columns, model, loops) if model.per_key else None
        if texts is not None:
            return self._with_room(texts, loops, NO_QUICKER, by_key=True)
        why = _why_search(history, model) if self.engine == "auto" else ASKED_FOR
        if why is None or (model.per_key and len(columns.keys) > 1):
            return None
        return self._with_room(graph_for(history, model, loops), loops, why, by_key=False)

    def _with_room(self, graph: StateGraph | TextStates, loops: Loops, why: str, by_key: bool) -> Frontier | None:
        """The search, if there are as many bytes as it takes; where there are not, others may do with less."""
        history, model, deep = self.history, self.model, None
        if not by_key:
            deep = lambda: DepthFirst(history, model)  # noqa: E731
        parts: list[History] = [] if by_key else [history]

        def look(key: int, closely: bool) -> Decision | None:
            if not parts:
                parts.extend(history.by_key())
            return shortcut(parts[key], model, self.meter, closely)

        try:
            return Frontier(
                history.columns,
                graph,
                loops,
                why,
                by_key=by_key,
                deep=deep,
                look=look,
                most_bytes=self.meter.bytes_left,
            )
        except NoRoomError:
            return None

    @property
    def answer(self) -> Answer:
        """What is said of the first key that has no linearization; that all have one."""
        found = self._frontier and self._frontier.answer(self.meter)
        if found:
            return found
        answers = (decision.answer for _, decision in self)
        return next((answer for answer in answers if answer is not Answer.LINEARIZED), Answer.LINEARIZED)

    def __iter__(self) -> Iterator[tuple[History, Decision]]:
        """Each key's own history, and what is said of it."""
        for place, part in enumerate(self.history.by_key() if self.model.per_key else [self.history]):
            found = self._frontier and self._frontier.of_key(place, self.meter)
            yield part, found or decide(part, self.model, self.engine, self.meter, self.load)


def decide(history: History, model: Model, engine: str, meter: Meter, load: bool = False) -> Decision:
    """What the engine says of the whole history, taken as one."""
    if not history.columns.events:
        return Decision(Answer.LINEARIZED, "walk", "there is nothing to order")
    asked = _Engines(history, model, meter, load)
    if engine == "auto":
        return asked.automatic()
    if engine == "search":
        return asked.search(ASKED_FOR)
    decision: Decision | None = None
    if engine == "reference":
        decision = asked.on_relevant(asked.reference)
    elif model.single_value:
        decision = asked.on_relevant(asked.register)
    if decision is None:
        raise NotApplicableError(NOT_APPLICABLE)
    return replace(decision, why=ASKED_FOR)


class _Engines:
    """The engines at work on one history."""

    def __init__(self, history: History, model: Model, meter: Meter, load: bool) -> None:
        self.history = history
        self.model = model
        self.meter = meter
        self.loops = _loops(load or len(history) >= REPAYS_LOADING)
        self.look: Look | None = lambda _, closely: shortcut(history, model, meter, closely)

    def automatic(self) -> Decision:
        """What the first engine says that settles it, the cheapest asked first."""
        decision = None
        if not (self.loops.compiled and may_be_shared(self.model)):  # else the search is as fast
            decision = _walk(self.history, self.model, self.meter)
        why = NO_QUICKER
        if decision is None and self.model.versioned:
            why = "the versions in the replies leave the order open"
            decision = self.on_relevant(self.versions)
        if decision is None and self.model.single_value:
            why = REPEATED
            if _mostly_unique(self.history):
                why = "a value that was seen has two possible writers, or a failed cas does not say what it saw"
                decision = self.on_relevant(self.register)
        return decision or self.search(why)

    def on_relevant(self, engine: Callable[[Sequence[Operation]], Decision | None]) -> Decision | None:
        """What an engine says that takes only the operations that matter."""
        places = relevant(self.history, self.model)
        found = engine(self.history.at(places))
        if found is None or len(places) == len(self.history):
            return found
        return replace(
            found,
            order=self.loops.words(self.loops.gather(places, found.order)) if found.order else (),
            core=[places[place] for place in found.core],
            blocked=places[found.blocked] if found.blocked >= 0 else -1,
        )

    def reference(self, operations: Sequence[Operation]) -> Decision:
        return wing_gong.search(operations, self.model, self.meter)

    def versions(self, operations: Sequence[Operation]) -> Decision | None:
        """What the versions in the replies say, or None where they leave it open."""
        at_once = self._versions_of_columns(operations) if isinstance(operations, Recorded) else None
        if at_once is not None:
            return at_once
        place_of = {one.call_rank: place for place, one in enumerate(operations)}
        why = "each reply says how many updates there were"
        found = version_order.contradiction(operations)
        if found is not None and self._confirmed([found.first, found.second]):
            core = [place_of[found.first.call_rank], place_of[found.second.call_rank]]
            return Decision(Answer.REFUTED, "versions", why, core=core, sentence=found.sentence, blocked=core[1])
        order = version_order.sorted_by_version(operations)
        if order is None or replay(order, operations, self.model) is not None:
            return None
        return Decision(Answer.LINEARIZED, "versions", why, order=[place_of[one.call_rank] for one in order])

    def _confirmed(self, pair: Sequence[Operation]) -> bool:
        """Whether the reference search, too, finds that the pair contradicts itself; if not, others decide."""
        judge = self.model.gapped or self.model
        return wing_gong.search(pair, judge, self.meter.part()).answer is Answer.REFUTED

    def _versions_of_columns(self, operations: Recorded) -> Decision | None:
        """The same of operations that have not been made; None where that takes a closer look."""
        assert isinstance(self.model.initial, tuple), "a version belongs to the state"
        walk = version_rows.walk(operations, self.model.initial[0], self.loops)
        if walk.order is not None:
            why = "each reply says how many updates there were"
            return Decision(Answer.LINEARIZED, "versions", why, order=walk.order)
        places = sorted(walk.suspects or ())
        pair = self.versions([operations[place] for place in places])
        if pair is None or pair.answer is not Answer.REFUTED:
            return None
        return replace(pair, core=[places[one] for one in pair.core], blocked=places[pair.blocked])

    def register(self, operations: Sequence[Operation]) -> Decision | None:
        """What the register engine says, or None if it does not apply."""
        why = "every value that was seen was written once"
        columns = unique_register.columns_of(operations, self.model.initial, self.loops)
        if columns is None:
            return None
        if isinstance(columns, int):
            return Decision(Answer.REFUTED, "register", why, core=[columns], sentence=SAW_ITS_OWN, blocked=columns)
        answer = unique_register.decide(columns[0], self.loops)
        if not answer.applies:
            return None
        places = columns[1]
        if answer.witness is not None:
            order = self.loops.words(self.loops.gather(places, answer.witness[: answer.count]))
            return Decision(Answer.LINEARIZED, "register", why, order=order)
        core = [places[row] for row in answer.core]
        returned = [place for place in core if operations[place].returned]
        blocked = max(returned, key=lambda place: operations[place].return_rank)
        return Decision(Answer.REFUTED, "register", why, core=core, sentence=answer.sentence, blocked=blocked)

    def search(self, why: str) -> Decision:
        """What the frontier search says: interpreted for little work, else compiled if that can be had."""
        loops, meter = self.loops, self.meter
        if not loops.compiled:
            patience = meter.part(steps=_least(STEPS_INTERPRETED, meter.steps_left))
            found = self._frontier(loops, patience, why)
            within = meter.spend(patience.steps) and meter.read_clock()
            if found.answer is not Answer.EXHAUSTED or not within:
                return found
            loops = _loops(load=True)
        return self._frontier(loops, meter, why)

    def _frontier(self, loops: Loops, meter: Meter, why: str) -> Decision:
        columns = self.history.columns
        deep = lambda: DepthFirst(self.history, self.model)  # noqa: E731
        try:
            require_room(BYTES_OF_A_KIND * len(columns.kinds), meter.bytes_left)
            graph = TextStates.of(columns, self.model, loops) or graph_for(self.history, self.model, loops)
            frontier = Frontier(columns, graph, loops, why, deep=deep, look=self.look, most_bytes=meter.bytes_left)
        except NoRoomError as error:
            meter.spend(0, error.size)
            progress = f"0 of {len(columns.events)} events, for which alone it needs {error.size} bytes"
            return Decision(Answer.EXHAUSTED, "search", why, progress=progress)
        return frontier.decide(meter) or self._frontier(interpreted(), meter, why)


def shortcut(history: History, model: Model, meter: Meter, closely: bool) -> Decision | None:
    """No, if the rules of the model or, looked at `closely`, a part of the history say so."""
    if not closely:
        return by_rules(history, model)

    def decide_part(part: History, judge: Model) -> Decision:
        patience = meter.part(steps=_least(STEPS_A_PART, meter.steps_left))
        asked = _Engines(part, judge, patience, load=False)
        asked.look = None  # a part has no parts
        found = asked.automatic() if judge is not model else asked.search(PART_REFUTED)
        meter.spend(patience.steps)
        return found if meter.read_clock() else replace(found, answer=Answer.EXHAUSTED)

    return by_parts(history, model, decide_part)


def reason_of(operations: Sequence[Operation], model: Model) -> str:
    """What the register engine says of a few operations; empty where it does not apply, or finds no fault."""
    loops = interpreted()
    columns = unique_register.columns_of(operations, model.initial, loops) if model.single_value else None
    if columns is None or isinstance(columns, int):
        return "" if columns is None else SAW_ITS_OWN
    answer = unique_register.decide(columns[0], loops)
    return answer.sentence if answer.applies else ""


def relevant(history: History, model: Model) -> Sequence[int]:
    """The places of the operations that can matter to the verdict; each kind is asked once.

    Where kinds have not been counted, each operation is, unless the model is ours: then each shape, which is all that
    ours look at.
    """
    columns, operations, places = history.columns, history.operations, range(len(history))
    if isinstance(operations, Recorded) and not columns.counted:
        if not is_ours(model.observes):
            return array("q", [place for place, one in enumerate(operations) if model.relevant(one)])
        examples, alike = operations.shapes
    else:
        examples, alike = columns.kinds, columns.kind
    wanted = [model.relevant(operation) for operation in examples]
    return places if all(wanted) else array("q", [place for place in places if wanted[alike[place]]])


def _least(first: int, second: int | None) -> int:
    return first if second is None else min(first, second)


def _walk(history: History, model: Model, meter: Meter) -> Decision | None:
    """Tries the order of the returns, which always respects real time; settles also the no where nothing overlaps."""
    operations, step, observes = history.operations, model.step, model.observes
    state: State = model.initial
    order: list[int] = []
    for code in history.columns.events:
        if code >= 0 or not observes(operations[~code]):
            continue
        if not meter.spend():
            progress = f"{len(order)} operations in the order of their returns"
            return Decision(Answer.EXHAUSTED, "walk", "it comes first", progress=progress)
        after = step(state, operations[~code])
        if isinstance(after, Illegal):
            if not _sequential(history, model, ~code):
                return None
            why = "no two operations overlap, so there is one order only"
            return Decision(Answer.REFUTED, "walk", why, blocked=~code, states=(state,))
        state = after
        order.append(~code)
    return Decision(Answer.LINEARIZED, "walk", "the order of the returns is a linearization", order=order)


def _sequential(history: History, model: Model, last: int) -> bool:
    """Whether, up to the return of the operation at place `last`, each returned before the next was called."""
    end = history.operations[last].return_rank
    begun = (one for one in history if one.call_rank < end and model.relevant(one))
    return all(first.return_rank < second.call_rank for first, second in pairwise(begun))


def _why_search(history: History, model: Model) -> str | None:
    """Why the compiled search is the first to be asked: it knows the states, and nothing else is as fast; else None."""
    if not may_be_shared(model) or model.versioned:
        return None
    if model.single_value:
        return None if _mostly_unique(history) else REPEATED
    return NO_QUICKER


def _mostly_unique(history: History) -> bool:
    """Whether it looks as if written values are different: asked of a sample, so that it costs nothing."""
    if history.columns.counted and 2 * len(history.columns.kinds) < len(history):
        return False
    written = [operation.value for operation in history.operations[:64] if operation.f != "read"]
    return len(set(written)) * 4 >= len(written) * 3


def _loops(load: bool) -> Loops:
    """The compiled loops if they are loaded already or may be, and exist; else the plain ones."""
    if load or "numba" in sys.modules:
        return compiled() or interpreted()
    return interpreted()
