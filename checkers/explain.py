"""Why not: the first operation that cannot be placed, what it could have found, and a small window wrong by itself.

Lives here: from an engine's no to a violation. Where the rules of the model name a few operations that contradict each
other (`Model.anomaly`), these are the window; else deletion makes one (`checkers.windows`), of the history or of one
aspect of its state. The engines find it, within a share of the time that is left; it counts only once the reference
search has refuted it, in the rest of the time.
"""

from bisect import bisect_left
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import NamedTuple

from checkers.anomaly import Anomaly
from checkers.budget import Meter
from checkers.cuts import latest_start
from checkers.decision import Answer, Decision
from checkers.engines import reason_of
from checkers.history import History, Key, Operation
from checkers.models import Model, State, cas_argument
from checkers.moment import states_when_returned
from checkers.parts import judge_of
from checkers.register_kernel import NEVER_WRITTEN
from checkers.result import Violation
from checkers.shortcuts import PARTS, RULES
from checkers.times import UNKNOWN_RUN, Run
from checkers.unique_register import SENTENCES
from checkers.version_order import contradiction, impossible
from checkers.windows import Refuter, Window, reduced, reduced_freely
from checkers.wing_gong import search
from checkers.wording import listed

PREFIX_SEARCHED = 20_000  # operations, above which the failing prefix shown need not be the shortest
SHARE_TO_MINIMISE = 0.6  # of the seconds left; the rest is for the proof
STEPS_A_TEST, STEPS_A_TEST_MORE = 20_000, 4  # so many more an operation, and twice what the engine took
READABLE_WHOLE = 1000  # operations, above which a history is cut short at a write before anything else is tried
TESTS = 15  # that last so long; most take far less
MOST_GROUNDS = 6  # updates that are looked for behind a cas
MOST_OPEN = 64  # returns after an anomaly among which it is looked for when it was known
EXACT = ("search", "compiled search", "walk")  # they stop at the first return at which nothing is possible any more


def explain(
    history: History, key: Key, model: Model, decision: Decision, meter: Meter, run: Run = UNKNOWN_RUN
) -> Violation | None:
    """The violation in a refuted history; None if the reference search did not confirm it within the budget.

    The history holds only operations that matter to the model. `run` is when the run began and ended.
    """
    enough = STEPS_A_TEST + STEPS_A_TEST_MORE * len(history) + 2 * meter.steps  # to refute a part of it
    refuted = Refuter(model, meter.part(steps=TESTS * enough, share=SHARE_TO_MINIMISE), enough)
    blocked = decision.blocked if decision.blocked >= 0 else _returned(history)[-1]
    found = (
        _by_core(history, blocked, decision, refuted)
        or _by_rule(history, blocked, decision, refuted)
        or _by_deletion(history, blocked, decision, refuted)
    )
    confirmed = search(found.window.operations, found.window.judge, meter.part(steps=meter.budget.steps)).answer
    if confirmed is Answer.LINEARIZED and len(found.window.operations) < len(
        history
    ):  # nothing shorter: the whole is left
        found = Found(_returned(history)[-1], Window(history.operations, model), "")
        confirmed = search(history.operations, model, meter.part(steps=meter.budget.steps)).answer
    if confirmed is not Answer.REFUTED:
        meter.read_clock()
        return None
    shown = history.prefix(found.known_at)
    one = _blocked(found.window)
    states: tuple[State, ...] = ()
    is_known_then = one.return_rank == history.operations[found.known_at].return_rank
    if decision.engine != "versions" and is_known_then and len(history) <= PREFIX_SEARCHED:
        states = states_when_returned(shown, one, model, meter)
    return Violation(
        key=key,
        blocked=one,
        states=states,
        prefix=shown.operations,
        window=tuple(found.window.operations),
        judge=found.window.judge,
        sentence=_sentence(one, states, found.why),
        shortest=found.window.shortest,
        run=run,
    )


def _place_of(operation: Operation, history: History) -> int:
    return bisect_left(history.operations, operation.call_rank, key=lambda one: one.call_rank)


def _blocked(window: Window) -> Operation:
    """The operation of a window that cannot be placed: the last to return, since what is left without it is legal."""
    return max((one for one in window.operations if one.returned), key=lambda one: one.return_rank)


def confirmed(history: History, model: Model, decision: Decision, meter: Meter) -> bool:
    """Whether the reference search, too, refutes what an engine refuted, or a window of it."""
    return explain(history, None, model, decision, meter) is not None


def _returned(history: History) -> list[int]:
    """The places of the operations that returned, in order of that."""
    return [~code for code in history.columns.events if code < 0]


class Found(NamedTuple):
    """A window and why it is wrong; the history up to the return of the operation at place `known_at` is refuted.

    That may be later than anything in the window returned: where it is told only then that an update did not happen.
    """

    known_at: int
    window: Window
    why: str


def _by_core(history: History, blocked: int, decision: Decision, refuted: Refuter) -> Found | None:
    """Return the window made of what the register engine names, in a history that is too long to look through."""
    if not (decision.core and refuted.model.single_value and len(history) > PREFIX_SEARCHED):
        return None
    last = history.operations[blocked]
    part = History([history.operations[place] for place in sorted(decision.core)], history.source)
    found = _by_rule(part, _place_of(last, part), replace(decision, core=()), refuted)
    if found is None and refuted(part):
        window = reduced(part, last, refuted)
        found = Found(blocked, window, _reason(window, decision, refuted.model))
    return found and found._replace(known_at=blocked)


def _by_rule(history: History, blocked: int, decision: Decision, refuted: Refuter) -> Found | None:
    """The few operations that the model's rules, or the versions, name; None if they name none that are refuted."""
    model = refuted.model
    shown = history.prefix(blocked)
    if decision.engine == "versions" and model.gapped is not None:
        window = reduced_freely(shown.part(sorted(decision.core)), refuted.under(model.gapped))
        return Found(blocked, window, _by_versions(window, model))
    anomaly = model.anomaly and model.anomaly(shown.operations)
    if not anomaly:
        return None
    known_at, anomaly = _as_known(history, blocked, anomaly, model)
    core, within = History(anomaly.core, history.source), refuted.under(anomaly.judge(model))
    grounded = _grounded(anomaly, shown, refuted) if anomaly.loose else None
    if grounded is not None:
        core, within = grounded, refuted
    if not within(core) or not _nothing_before(history, known_at, decision, refuted):
        return None
    begins = core.operations[0] if len(core) > 1 else None
    return Found(known_at, reduced(core, anomaly.blocked, within, begins), anomaly.sentence)


def _grounded(anomaly: Anomaly, shown: History, refuted: Refuter) -> History | None:
    """Return the core with the updates that made its cas possible, so that the model itself refutes no less than that.

    None if no such few are found; then the core stands under the `loose` model.
    """
    core = {one.call_rank: one for one in anomaly.core}
    needs = anomaly.core[0]
    for _ in range(MOST_GROUNDS):
        part = History([core[rank] for rank in sorted(core)], shown.source)
        rest = part.part([place for place, one in enumerate(part) if one.call_rank != anomaly.blocked.call_rank])
        if refuted(part) and not refuted(rest):
            return part
        found = _producer(needs, shown, core) if refuted.model.single_value and needs.f == "cas" else None
        if found is None:
            return None
        core[found.call_rank] = needs = found
    return None


def _producer(cas: Operation, shown: History, known: Container[int]) -> Operation | None:
    """Return the last write, else the last cas, that can have left the value that the cas replaced."""
    old = cas_argument(cas)[0]
    writes, others = [], []
    for one in shown:
        if one.call_rank < cas.return_rank and one.call_rank not in known and one.status != "fail":
            if one.f == "write" and one.value == old:
                writes.append(one)
            elif one.f == "cas" and cas_argument(one)[1] == old:
                others.append(one)
    found = writes or others
    return found[-1] if found else None


def _as_known(history: History, blocked: int, anomaly: Anomaly, model: Model) -> tuple[int, Anomaly]:
    """The first return at which an anomaly was known that the whole shows, and the anomaly as it was known then.

    What was open when its last operation returned may have been told to have failed only later.
    """
    assert model.anomaly is not None, "it found the anomaly"
    returned = _returned(history)
    first, last = returned.index(_place_of(anomaly.blocked, history)), returned.index(blocked)
    for place in returned[first : min(last, first + MOST_OPEN)]:
        known = model.anomaly(history.prefix(place).operations)
        if known:
            return place, known
    return blocked, anomaly


def _nothing_before(history: History, place: int, decision: Decision, refuted: Refuter) -> bool:
    """Whether nothing is known to be refuted before that operation returned."""
    if (_is_first(decision, refuted.model) and decision.blocked == place) or len(history) > PREFIX_SEARCHED:
        return True
    returned = _returned(history)
    number = returned.index(place)
    return number == 0 or not refuted(history.prefix(returned[number - 1]))


def _by_versions(window: Window, model: Model) -> str:
    """Why replies with versions contradict each other, or one of them itself; empty if no pair shows it."""
    assert isinstance(model.initial, tuple), "it is a value and a version"
    if len(window.operations) == 1:
        return impossible(window.operations[0], model.initial[0])
    found = contradiction(window.operations)
    return found.sentence if found is not None else ""


def _by_deletion(history: History, blocked: int, decision: Decision, refuted: Refuter) -> Found:
    """A window that deletion makes of the shortest prefix that is refuted."""
    if _is_first(decision, refuted.model) or decision.engine == PARTS:
        whole = len(history) <= READABLE_WHOLE and decision.engine != PARTS
        at_once = _window_at_once(history.prefix(blocked), history.operations[blocked], refuted, whole)
        if at_once is not None:
            return Found(blocked, at_once, _reason(at_once, decision, refuted.model))
    blocked, decision = shortest(history, blocked, decision, refuted)
    shown = history.prefix(blocked)
    window = _window(shown, history.operations[blocked], decision, refuted)
    return Found(blocked, window, _reason(window, decision, refuted.model))


def _window_at_once(shown: History, blocked: Operation, refuted: Refuter, whole: bool) -> Window | None:
    """A window that takes no look at the whole, so that the prefix is known to be refuted as well; None without one.

    `whole`: a look at the whole costs little, and makes a better one.
    """
    model = refuted.model
    if model.aspects is not None:
        return _aspect(shown, blocked, refuted)
    if whole or not model.overwrites:
        return None
    part, first = latest_start(shown, blocked, model, refuted)
    return None if first is None else reduced(part, blocked, refuted, first)


def _is_first(decision: Decision, model: Model) -> bool:
    """Whether the prefix up to the blocked operation is known to be the first that is refuted.

    It is if the engine stopped at the first return at which nothing was possible. Knowing how operations ended that
    were still open then, it may have stopped before the prefix is refuted, but not after. Not if the model lets it know
    beforehand what is told later; what merely merges texts does not.
    """
    foresees = model.hindsight is not None and not model.extends
    return decision.engine in EXACT and not decision.core and decision.blocked >= 0 and not foresees


def shortest(history: History, blocked: int, decision: Decision, refuted: Refuter) -> tuple[int, Decision]:
    """The first operation up to whose return the history is refuted, or one not far behind; what is said up to there.

    O(log n) decisions; two in a long history.
    """
    returned = _returned(history)
    high = returned.index(blocked)
    low = high if _is_first(decision, refuted.model) or len(history) > PREFIX_SEARCHED else 0
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
        part = shown.part([place for place, one in enumerate(shown) if gapped.relevant(one)])
        with_gaps = refuted.under(gapped)
        if with_gaps(part):
            return reduced_freely(part, with_gaps)
    told = bool(decision.core) and decision.engine != RULES and (model.single_value or len(decision.core) == 1)
    part = shown.part(sorted(decision.core)) if told else shown
    if told and not refuted(part):
        part = shown
    if model.aspects is not None and not told:
        found = _aspect(shown, blocked, refuted)
        if found is not None:
            return found
    return reduced(part, blocked, refuted)


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
            window = reduced(part, blocked, within)
            kept = {one.call_rank for one in window.operations}
            operations = [one for one in shown if one.call_rank in kept]
            return window._replace(operations=operations, judge=judge_of(model, name))
    return None


def _reason(window: Window, decision: Decision, model: Model) -> str:
    """Why the operations of a window contradict each other; empty if there is no more to say than that they do."""
    anomaly = _named_by_rule(window)
    if anomaly is not None:
        return anomaly.sentence
    if model.gapped is not None:
        return _by_versions(window, model)
    told = decision.sentence if decision.core and decision.engine in EXACT else ""
    reason = reason_of(window.operations, window.judge) or told
    if reason == SENTENCES[NEVER_WRITTEN] and window.begins is not None:  # it may have been, before that
        return f"nothing can have written that value after [{window.begins}]"
    return reason


def _named_by_rule(window: Window) -> Anomaly | None:
    """What the rules say of the window alone. That something was never written cannot be told from a part."""
    rule = window.judge.anomaly
    anomaly = rule and rule(list(window.operations))
    return anomaly if anomaly and len(anomaly.core) > 1 else None


def _sentence(blocked: Operation, states: Sequence[State], why: str) -> str:
    """Names the operation, where it is written, why it has no place, and every state it could have found."""
    where = f" (line {blocked.line})" if blocked.line else ""
    because = f": {why}" if why else ""
    if not states:
        return f"{blocked}{where} cannot be placed{because}"
    many = "states when it returned were" if len(states) > 1 else "state when it returned was"
    return f"{blocked}{where} cannot be placed{because}; the only possible {many} {listed(states)}"
