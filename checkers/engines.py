"""Which engine decides a history, and what it says, in one form for all of them.

Lives here: the choice, and the adapters. `walk` tries the one obvious order; `register` is the near-linear decision;
`search` the frontier search, plain or compiled; `reference` the readable search. None of them is believed on its
word: see `checkers.linearizable`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter

from checkers import frontier, unique_register, version_order, wing_gong
from checkers.budget import Budget, Meter
from checkers.compiled import Engine, compiled, interpreted
from checkers.history import History, Operation
from checkers.models import Illegal, Model, ModelError, State
from checkers.replay import replay
from checkers.state_graph import StateGraph
from checkers.wing_gong import Answer

ENGINES = ("auto", "reference", "search", "register")
REPAYS_LOADING = 20_000  # operations, above which the compiled loops are worth loading
STEPS_INTERPRETED = 100_000  # about a second; past it the compiled loops are worth loading
KINDS_KEPT = 10_000
_return_rank = attrgetter("return_rank")


@dataclass(frozen=True)
class Decision:
    """What an engine says. `order` is the linearization found; `core` are operations that contradict each other.

    `blocked` is an operation up to whose return the history is refuted; `states` were possible then, if `exact` no
    others were.
    `progress` says how far an exhausted search got.
    """

    answer: Answer
    engine: str
    order: Sequence[Operation] = ()
    core: Sequence[Operation] = ()
    sentence: str = ""
    blocked: Operation | None = None
    states: tuple[State, ...] = ()
    exact: bool = False
    progress: str = ""


def decide(history: History, model: Model, engine: str, meter: Meter, load: bool = False) -> Decision:
    """What the engine says of the history; `load` is whether the compiled loops may be loaded."""
    if engine == "search":
        return _search(history, model, meter, load)
    operations = relevant(history, model)
    if engine == "reference":
        return _reference(operations, model, meter)
    if engine == "auto":
        decision = _walk(operations, model)
        if decision is not None:
            return decision
        if model.versioned:
            decision = _versions(operations, model)
            if decision is not None:
                return decision
    if engine == "register" or (model.single_value and _mostly_unique(operations)):
        decision = _register(operations, model, _loops(load or len(operations) >= REPAYS_LOADING))
        if decision is not None:
            return decision
        if engine == "register":
            raise ModelError(
                "the register engine does not apply: it takes registers where every value seen was written once "
                "and every failed cas says what it saw; use --engine auto"
            )
    return _search(history, model, meter, load)


def relevant(history: History, model: Model) -> Sequence[Operation]:
    """The operations that can matter to the verdict: asked once for each kind."""
    columns = history.columns
    wanted = [model.relevant(operation) for operation in columns.kinds.values()]
    if all(wanted):
        return history.operations
    return [operation for operation, kind in zip(history.operations, columns.kind, strict=True) if wanted[kind]]


def _walk(operations: Sequence[Operation], model: Model) -> Decision | None:
    """Tries the order of the returns, which always respects real time; decides also the no of a sequential history."""
    order = sorted((one for one in operations if one.returned), key=_return_rank)
    state: State = model.initial
    for operation in order:
        after = model.step(state, operation)
        if isinstance(after, Illegal):
            if len(order) < len(operations) or not _sequential(operations):
                return None
            return Decision(Answer.REFUTED, "walk", blocked=operation, states=(state,), exact=True)
        state = after
    return Decision(Answer.LINEARIZED, "walk", order=order)


def _sequential(operations: Sequence[Operation]) -> bool:
    """Whether each operation returned before the next was called."""
    return all(first.return_rank < second.call_rank for first, second in pairwise(operations))


def _versions(operations: Sequence[Operation], model: Model) -> Decision | None:
    """What the versions in the replies say, or None where they leave it open."""
    pair = version_order.contradiction(operations)
    if pair is not None:
        blocked = max(pair, key=_return_rank)
        other = next(one for one in pair if one is not blocked)
        sentence = f"its version contradicts that of {other}"
        return Decision(Answer.REFUTED, "versions", core=pair, sentence=sentence, blocked=blocked)
    order = version_order.sorted_by_version(operations)
    if order is None or replay(order, operations, model) is not None:
        return None
    return Decision(Answer.LINEARIZED, "versions", order=order)


def _reference(operations: Sequence[Operation], model: Model, meter: Meter) -> Decision:
    before = meter.steps
    found = wing_gong.search(operations, model, meter)
    order = [operations[place] for place in found.order]
    return Decision(found.answer, "reference", order=order, progress=f"{meter.steps - before} steps")


def _register(operations: Sequence[Operation], model: Model, loops: Engine) -> Decision | None:
    """What the register engine says, or None if it does not apply."""
    if not model.single_value:
        return None
    columns = unique_register.columns_of(operations, model.initial, loops)
    if columns is None:
        return None
    if isinstance(columns, Operation):
        sentence = "a failed cas saw the very value that it compared with"
        return Decision(Answer.REFUTED, "register", core=[columns], sentence=sentence, blocked=columns)
    answer = unique_register.decide(columns[0], loops)
    if not answer.applies:
        return None
    places = columns[1]
    if answer.witness is not None:
        order = [operations[places[row]] for row in loops.listed(answer.witness[: answer.count])]
        return Decision(Answer.LINEARIZED, "register", order=order)
    core = [operations[places[row]] for row in answer.core]
    blocked = max((one for one in core if one.returned), key=lambda one: one.return_rank)
    return Decision(Answer.REFUTED, "register", core=core, sentence=answer.sentence, blocked=blocked)


def _search(history: History, model: Model, meter: Meter, load: bool) -> Decision:
    """What the frontier search says: interpreted for little work, else compiled if that can be had."""
    loops = _loops(load or len(history) >= REPAYS_LOADING)
    if not loops.compiled:
        patience = Meter(
            Budget(seconds=meter.seconds_left, steps=STEPS_INTERPRETED, bytes=meter.budget.bytes), meter.clock
        )
        found = _frontier(history, model, loops, patience)
        meter.spend(patience.steps)
        if found.answer is not Answer.EXHAUSTED or not meter.read_clock():
            return found
    return _frontier(history, model, _loops(load=True), meter)


def _frontier(history: History, model: Model, loops: Engine, meter: Meter) -> Decision:
    operations, columns = history.operations, history.columns
    graph = _graph(model, loops) if model.hindsight is None else StateGraph(model, loops.filled, operations)
    if len(columns.kinds) + len(graph.kinds) > KINDS_KEPT:
        graph = StateGraph(model, loops.filled, operations)
    found = frontier.decide(columns, graph.kinds_of(columns.kinds), graph, loops, meter)
    if found is None:  # too many open at once for the compiled loops
        return _frontier(history, model, interpreted(), meter)
    return Decision(
        found.answer,
        "compiled search" if loops.compiled else "search",
        order=[operations[place] for place in found.order or ()],
        blocked=operations[found.blocked] if found.blocked >= 0 else None,
        states=found.states,
        exact=found.exact,
        progress=f"{found.reached[0]} of {found.reached[1]} events, up to {found.widest} configurations",
    )


@lru_cache(maxsize=16)
def _graph(model: Model, loops: Engine) -> StateGraph:
    """The states of a model explored so far: histories of one model share them."""
    return StateGraph(model, loops.filled)


def _loops(load: bool) -> Engine:
    """The compiled loops if they are loaded already or may be, and exist; else the plain ones."""
    if load or "numba" in sys.modules:
        return compiled() or interpreted()
    return interpreted()


def _mostly_unique(operations: Sequence[Operation]) -> bool:
    """Whether it looks as if written values are different: asked of a sample, so that it costs nothing."""
    written = [operation.value for operation in operations[:64] if operation.f != "read"]
    return len(set(written)) * 4 >= len(written) * 3
