"""Why not: the first operation that cannot be placed, what it could have found, and a small window wrong by itself.

Lives here: everything that makes an invalid verdict readable. A window is made by deletion, and only by deletions
that keep a linearizable history linearizable, so that it cannot blame an operation for the lack of another: of
observations, of all operations on some values together, of all that a blind write made forgotten (`checkers.cuts`), or,
under the `gapped` model, of anything; and an aspect of a state is judged by itself. The engines find it, within a share
of the time that is left; it counts only once the reference search has refuted it, in the rest of the time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from msgspec import UNSET

from checkers.budget import Meter
from checkers.cuts import latest_start
from checkers.decision import Answer, Decision
from checkers.engines import decide
from checkers.history import History, Key, Operation
from checkers.models import Illegal, Model, State, cas_argument
from checkers.result import Violation
from checkers.wing_gong import search

Places = Sequence[int]
Window = tuple[Sequence[Operation], Model]  # the operations, and the model that refutes them
Touched = Callable[[Operation], tuple[State, ...] | None]
PREFIX_SEARCHED = 20_000  # operations, above which the failing prefix shown need not be the shortest
SHARE_TO_MINIMISE = 0.6  # of the seconds left; the rest is for the proof
STEPS_A_TEST, STEPS_A_TEST_MORE = 20_000, 4  # so many more an operation, and twice what the engine took
STEPS_TO_TELL_APART = 5_000
TESTS = 15  # that last so long; most take far less
EXACT = ("search", "compiled search", "walk")  # they stop at the first return at which nothing is possible any more
READABLE, READABLE_WHOLE = 12, 1000  # a larger window, of a larger history at once, is cut short at a write


@dataclass(frozen=True)
class Refuter:
    """Asks the engines whether histories have no linearization. What does not last counts as one that may have."""

    model: Model
    effort: Meter
    enough: int

    def __call__(self, part: History) -> bool:
        return self.decided(part).answer is Answer.REFUTED

    def decided(self, part: History, engine: str = "auto") -> Decision:
        """What an engine says, within a share of the effort."""
        if not self.effort.read_clock():
            return Decision(Answer.EXHAUSTED, engine)
        patience = self.effort.part(steps=self.enough)
        found = decide(part, self.model, engine, patience)
        self.effort.spend(patience.steps)
        return found

    @property
    def spent(self) -> bool:
        return self.effort.exhausted is not None

    def under(self, model: Model) -> "Refuter":
        """The same effort, for another model."""
        return Refuter(model, self.effort, self.enough)


def explain(history: History, key: Key, model: Model, decision: Decision, meter: Meter) -> Violation | None:
    """The violation in a refuted history; None if the reference search did not confirm it within the budget.

    The history holds only operations that matter to the model.
    """
    enough = STEPS_A_TEST + STEPS_A_TEST_MORE * len(history) + 2 * meter.steps  # to refute a part of it
    refuted = Refuter(model, meter.part(steps=TESTS * enough, share=SHARE_TO_MINIMISE), enough)
    operations, blocked = history.operations, decision.blocked
    if blocked < 0:
        blocked = max(_returned(history), key=lambda place: operations[place].return_rank)
    window = _window_at_once(history.prefix(blocked), operations[blocked], decision, refuted)
    if window is None:
        blocked, decision = shortest(history, blocked, decision, refuted)
        window = _window(history.prefix(blocked), operations[blocked], decision, refuted)
    shown = history.prefix(blocked)
    part, judge = window
    if operations[blocked] not in part and judge.looks(operations[blocked]):  # that it failed is what told
        part = sorted([*part, operations[blocked]], key=lambda one: one.call_rank)
    confirmed = search(part, judge, meter.part()).answer
    if confirmed is Answer.LINEARIZED and len(shown) < len(history):  # nothing shorter was found: the whole is left
        blocked = _returned(history)[-1]
        shown, part, judge = history, history.operations, model
        confirmed = search(part, judge, meter.part()).answer
    if confirmed is not Answer.REFUTED:
        meter.read_clock()
        return None
    states = () if decision.engine == "versions" else _states(shown, decision, refuted)
    return Violation(
        key=key,
        blocked=operations[blocked],
        states=states,
        prefix=shown.operations,
        window=tuple(part),
        judge=judge,
        sentence=_sentence(operations[blocked], states, decision),
    )


def _returned(history: History) -> list[int]:
    """The places of the operations that returned, in order of that."""
    return [~code for code in history.columns.events if code < 0]


def _first_of_all(decision: Decision, model: Model) -> bool:
    """Whether the engine stopped at the first return at which nothing was possible, and said what was just before.

    Knowing how operations ended that were still open then, it may have stopped before the prefix is refuted, but not
    after. Not if the model lets it know beforehand what is told later; what merely merges texts does not.
    """
    foresees = model.hindsight is not None and not model.extends
    return decision.engine in EXACT and not decision.core and bool(decision.states) and not foresees


def _window_at_once(shown: History, blocked: Operation, decision: Decision, refuted: Refuter) -> Window | None:
    """A window that takes no look at the whole, so that the prefix is known to be refuted as well; None without one."""
    model, core = refuted.model, sorted(decision.core)
    if decision.engine == "versions" and model.gapped is not None:  # the two operations say it all
        return shown.part(core).operations, model.gapped
    if len(core) == 1 and not model.single_value and not model.versioned:
        return shown.part(core).operations, model
    if model.possible is not None and not model.possible(shown)(blocked):
        return [blocked], model
    if not _first_of_all(decision, model) and model.hindsight is None:
        return None
    if model.aspects is not None:
        return _aspect(shown, blocked, refuted)
    if len(shown) <= READABLE_WHOLE or not model.overwrites:
        return None
    part, first = latest_start(shown, blocked, model, refuted)
    return None if first is None else (_without_values(part, first, refuted).operations, model)


def shortest(history: History, blocked: int, decision: Decision, refuted: Refuter) -> tuple[int, Decision]:
    """The first operation up to whose return the history is refuted, or one not far behind; what is said up to there.

    O(log n) decisions; two in a long history.
    """
    returned = _returned(history)
    high = returned.index(blocked)
    low = high if _first_of_all(decision, refuted.model) or len(history) > PREFIX_SEARCHED else 0
    found = refuted.decided(history.prefix(blocked))
    if found.answer is not Answer.REFUTED:  # an engine may have looked ahead
        found, low, high = replace(decision, core=()), high + 1, len(returned) - 1
        if refuted.spent or low > high:
            return blocked, found
    while low < high and not refuted.spent:
        middle = (low + high) // 2
        anew = refuted.decided(history.prefix(returned[middle]))
        if anew.answer is Answer.REFUTED:
            high, found = middle, anew
        else:
            low = middle + 1
    return returned[high], found


def _window(shown: History, blocked: Operation, decision: Decision, refuted: Refuter) -> Window:
    """The smallest part found of the refuted operations that is refuted by itself, and the model that refutes it."""
    model, gapped = refuted.model, refuted.model.gapped
    if gapped is not None:
        if decision.core and decision.engine == "versions":  # that of another engine contradicts the whole only
            return shown.part(sorted(decision.core)).operations, gapped
        part = shown.part([place for place, one in enumerate(shown) if gapped.relevant(one)])
        with_gaps = refuted.under(gapped)
        if with_gaps(part):
            return minimise(part, [[place] for place in range(len(part))], with_gaps).operations, gapped
    told = bool(decision.core) and (model.single_value or len(decision.core) == 1)
    part = shown.part(sorted(decision.core)) if told else shown
    if model.aspects is not None and not told:
        found = _aspect(shown, blocked, refuted)
        if found is not None:
            return found
    return _reduced(part, blocked, refuted).operations, model


def _aspect(shown: History, blocked: Operation, refuted: Refuter) -> Window | None:
    """The window of an aspect that is wrong by itself, those that the blocked operation tells of asked first."""
    model = refuted.model
    aspects = model.aspects
    assert aspects is not None, "asked only of models that have them"
    names = dict.fromkeys([*aspects.names(blocked), *(name for one in shown for name in aspects.names(one))])
    for name in names:
        if refuted.spent:
            break
        seen = {one.call_rank: aspects.seen(name, one) for one in shown}
        part = History([one for one in seen.values() if one is not None], shown.source)
        within = refuted.under(aspects.model(name))
        if within(part):
            kept = {one.call_rank for one in _reduced(part, blocked, within)}
            return [one for one in shown if one.call_rank in kept], judge_of(model, name)
    return None


def judge_of(model: Model, name: object) -> Model:
    """The model of one aspect, as a model of the operations as they were."""
    aspects = model.aspects
    assert aspects is not None, "asked only of models that have them"
    seen, simpler = aspects.seen, aspects.model(name)

    def step(state: State, operation: Operation) -> State | Illegal:
        found = seen(name, operation)
        return state if found is None else simpler.step(state, found)

    return Model(f"{model.name}, {name!r} only", simpler.initial, step, reads=model.reads, per_key=False)


def _reduced(part: History, blocked: Operation, refuted: Refuter) -> History:
    """As few of the operations as sound deletions leave refuted. One that is cut short keeps the write it begins at."""
    first: Operation | None = None
    if len(part) > READABLE_WHOLE:
        part, first = latest_start(part, blocked, refuted.model, refuted)
    found = _without_values(part, first, refuted)
    if first is None and len(found) > READABLE:
        found, first = latest_start(found, blocked, refuted.model, refuted)
        if first is not None:
            found = _without_values(found, first, refuted)
    return found


def _without_values(part: History, first: Operation | None, refuted: Refuter) -> History:
    """Without as many values as can be, but that of the first write, then without as much as can be that only looks."""
    model = refuted.model
    if model.single_value:
        telling = [place for place, one in enumerate(part) if one.status != "fail" or one.actual is not UNSET]
        without_blind = part.part(telling)
        if len(telling) == len(part) or refuted(without_blind):  # a cas that saw only "not old" ties all values
            part = _by_values(without_blind, _touched, first, refuted)
    elif model.touches is not None:
        part = _by_values(part, model.touches, first, refuted)
    observers = [place for place, one in enumerate(part) if model.looks(one)]
    updates = sorted(set(range(len(part))) - set(observers))
    return minimise(part, [[place] for place in observers], refuted, updates)


def _by_values(history: History, touched: Touched, first: Operation | None, refuted: Refuter) -> History:
    """The history without as many values as can be."""
    groups = by_value(history, touched)
    kept = [place for place, one in enumerate(history) if touched(one) is None]
    if first is not None:
        rank = first.call_rank
        its = [group for group in groups if any(history.operations[place].call_rank == rank for place in group)]
        groups = [group for group in groups if group not in its]
        kept = sorted([*kept, *(place for group in its for place in group)])
    return minimise(history, groups, refuted, kept)


def by_value(history: History, touched: Touched) -> list[Places]:
    """The places of operations by the values that they touch, values that one operation connects together."""
    group_of: dict[State, list[State]] = {}
    for operation in history:
        merged: list[State] = []
        for value in touched(operation) or ():
            known = group_of.get(value, [value])
            merged.extend(one for one in known if one not in merged)
        for value in merged:
            group_of[value] = merged
    groups: dict[int, list[int]] = {}
    alone: list[Places] = []
    for place, operation in enumerate(history):
        values = touched(operation)
        if values:
            groups.setdefault(id(group_of[values[0]]), []).append(place)
        elif values is not None:
            alone.append([place])
    return [*groups.values(), *alone]


def _touched(operation: Operation) -> tuple[State, ...]:
    """The values that a register operation read, wrote or replaced."""
    if operation.f == "read":
        return (operation.result,)
    if operation.status == "fail":
        return (operation.actual,)
    return cas_argument(operation) if operation.f == "cas" else (operation.value,)


def minimise(history: History, groups: Sequence[Places], refuted: Refuter, kept: Places = ()) -> History:
    """The kept and those of as few groups as deleting halves, quarters, ... leaves refuted. About k log n tests.

    Whatever is found when the effort is spent: it is refuted too.
    """
    groups = list(groups)
    smallest = history
    size = 2 * len(groups)
    while size > 1 and not refuted.spent:
        size = (size + 1) // 2
        start = len(groups)
        while start > 0 and refuted.effort.read_clock():
            start = max(0, start - size)
            rest = groups[:start] + groups[start + size :]
            part = history.part(sorted(place for group in (*rest, kept) for place in group))
            if refuted(part):
                groups, smallest = rest, part
    return smallest


def _states(shown: History, decision: Decision, refuted: Refuter) -> tuple[State, ...]:
    """All states that were possible when the last operation returned; none if the effort does not last.

    Where hindsight takes many states for one, they are told apart again, if that does not take long.
    """
    model = refuted.model
    if _first_of_all(decision, model) and decision.blocked >= 0:
        states = decision.states
    else:
        found = refuted.decided(shown, "search")
        states = found.states if found.answer is Answer.REFUTED else ()
    if states and model.hindsight is not None and not model.versioned:  # versions rule states out, and merge none
        plain = replace(model, hindsight=None, extends=frozenset())
        each = Refuter(plain, refuted.effort, STEPS_TO_TELL_APART).decided(shown, "search")
        states = each.states if each.answer is Answer.REFUTED else states
    return states


def _sentence(blocked: Operation, states: Sequence[State], decision: Decision) -> str:
    """Names the operation, where it is written, and every state it could have found."""
    where = f" (line {blocked.line})" if blocked.line else ""
    why = f": {decision.sentence}" if decision.sentence else ""
    if not states:
        return f"{blocked}{where} cannot be placed{why}"
    listed = ", ".join(repr(state) for state in states[:5]) + (
        f" and {len(states) - 5} more" if len(states) > 5 else ""
    )
    many = "states when it returned were" if len(states) > 1 else "state when it returned was"
    return f"{blocked}{where} cannot be placed; the only possible {many} {listed}{why}"
