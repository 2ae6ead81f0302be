"""The one entry: is this history linearizable?

Lives here: the split by key, the choice of an engine, and the rule that no verdict is believed on an engine's word:
valid is reported once the witness was replayed, invalid once the reference search has refuted the prefix or core
shown.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from checkers import models
from checkers.budget import MONOTONIC, Budget, Clock, Meter
from checkers.decision import Answer, Decision
from checkers.engines import ENGINES, Judgement, decide, relevant
from checkers.explain import EXACT, explain
from checkers.guard import ModelRaisedError, TheirStep, guarded, is_ours, located, probe
from checkers.history import Event, History, HistoryError, Operation, Unmade
from checkers.models import Illegal, Model, ModelError, State
from checkers.replay import UNFINISHED, replay
from checkers.result import Result, Verdict, merge
from checkers.shown import one_line
from checkers.wording import listed, shown_key

MOST_PROBED = 5
IMPURE = "is its step pure, and does it look only at what `checkers.model` says?"


def check(
    history: History | Iterable[Operation] | Iterable[Event],
    model: Model | str,
    *,
    budget: Budget = Budget(),  # noqa: B008  (frozen)
    engine: str = "auto",
    all_keys: bool = False,
    clock: Clock = MONOTONIC,
    meter: Meter | None = None,
) -> Result:
    """Whether some order of the operations respects real time and satisfies the model.

    Keys are checked apart where the model allows it, the smallest first; the first violation ends the check unless
    `all_keys`. The budget is for the whole check; a `meter` that is running already, since it counted what it took to
    read the history, stands for budget and clock. Events are taken in the order given, or in that of
    their indexes if each has one, as `History.of_events` does.
    Raises HistoryError or ModelError for input that cannot be judged.
    """
    if engine not in ENGINES:
        raise ModelError(f"no engine named {engine!r}; there are {', '.join(ENGINES)}")
    model = models.get(model) if isinstance(model, str) else model
    if not isinstance(model, Model):
        raise ModelError(f"{model!r} is no model; give a name, one of `checkers.models`, or a Model of your own")
    model = guarded(model)
    history = _as_history(history)
    _require_known(history, model)
    try:
        result = _check(history, model, engine, all_keys, meter or Meter(budget, clock))
        if isinstance(model.step, TheirStep):
            probe(model, history.columns.kinds, _states_met(result, model))
        return result
    except ModelRaisedError as error:
        raise located(error, history) from error.__cause__


def _as_history(given: History | Iterable[Operation] | Iterable[Event]) -> History:
    """The history that was given in one of three forms; raises HistoryError for anything else."""
    if isinstance(given, History):
        return given
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise HistoryError(f"{given!r} is no history; give operations or events, or read a file with checkers.formats")
    found = list(given)
    operations = [one for one in found if isinstance(one, Operation)]
    events = [one for one in found if isinstance(one, Event)]
    if len(operations) == len(found):
        return History.of_operations(operations)
    if len(events) == len(found):
        return History.of_events(events)
    first = Event if isinstance(found[0], Event) else Operation
    place, odd = next((place, one) for place, one in enumerate(found) if not isinstance(one, first))
    raise HistoryError(f"history: item {place} is {odd!r}; a history is a list of Operation, or of Event")


def _states_met(result: Result, model: Model) -> Iterator[State]:
    """Some states that a model can be in, if it is right that it can: the first, and some that a witness leads to."""
    state: State | Illegal = model.initial
    yield model.initial
    for one in ((result.keys or (result,))[0].witness or ())[:MOST_PROBED]:
        state = model.step(state, one)
        if isinstance(state, Illegal):
            return
        yield state


def _check(history: History, model: Model, engine: str, all_keys: bool, meter: Meter) -> Result:
    """The result of a check whose arguments are in order."""
    if not _anything_completed(history, model):
        return Result(verdict=Verdict.UNKNOWN, reason="no operation completed", engine="none", operations=len(history))
    results: list[Result] = []
    before, start = 0, history.operations[0].call_time or 0
    for part, decision in Judgement(history, model, engine, meter):
        results.append(_proved(part, decision, model, engine, meter, meter.steps - before, start))
        before = meter.steps
        if results[-1].verdict is Verdict.INVALID and not all_keys:
            break
    keys = len(history.columns.keys) if model.per_key else 1
    return results[0] if keys < 2 else _merged(results, keys, history)


def _anything_completed(history: History, model: Model) -> bool:
    """Whether any operation returned that tells the model something."""
    returned = (~code for code in history.columns.events if code < 0)
    return any(model.relevant(history.operations[place]) for place in returned)


def _proved(
    history: History, decision: Decision, model: Model, engine: str, meter: Meter, steps: int, start: float
) -> Result:
    """The result for one key, once what the engine says of it has been confirmed."""
    places = relevant(history, model)
    result = Result(
        verdict=Verdict.UNKNOWN,
        reason=_gave_up(decision, meter),
        engine=decision.engine,
        why=decision.why,
        operations=len(history),
        key=history.columns.keys[0] if model.per_key else None,
        steps=steps,
        relevant=history.at(places),
    )
    if decision.answer is Answer.LINEARIZED:
        return _replayed(result, history.at(decision.order), model, meter)
    if decision.answer is Answer.EXHAUSTED:
        return result
    part = history if len(places) == len(history) else history.part(places)
    core = [bisect_left(places, place) for place in decision.core]
    local = replace(decision, core=core, blocked=bisect_left(places, decision.blocked) if decision.blocked >= 0 else -1)
    violation = explain(part, result.key, model, local, meter, start)
    if violation is None and decision.engine not in EXACT and engine == "auto" and meter.read_clock():
        return _proved(history, decide(history, model, "search", meter), model, "search", meter, steps, start)
    if violation is None:
        limited = meter.budget != Budget()
        if not limited and not is_ours(model.step):
            raise ModelError(f"model {model.name} allows an order that it denied the {decision.engine}; {IMPURE}")
        lost = ", but the budget did not last to confirm it" if limited else " that the reference search does not share"
        reason = f"the {decision.engine} found a contradiction{lost}"
        return replace(result, reason=reason)
    return replace(result, verdict=Verdict.INVALID, reason=violation.sentence, violation=violation)


def _replayed(result: Result, order: Sequence[Operation], model: Model, meter: Meter) -> Result:
    """Valid, once the witness was replayed within the time that is left; its steps are none of the search's."""
    mistake = replay(order, result.relevant, model, meter.part())
    if mistake is UNFINISHED:
        reason = f"the {result.engine} found a linearization, but {mistake}"
        return replace(result, reason=reason)
    if mistake is not None:  # no engine errs so where the model keeps its word
        raise ModelError(
            f"model {model.name} denied the {result.engine} an order that it had allowed: {mistake}; {IMPURE}"
        )
    reason = f"the {result.operations} operations have a linearization, replayed"
    return replace(
        result, verdict=Verdict.VALID, reason=reason, witness=order if isinstance(order, Unmade) else tuple(order)
    )


def _gave_up(decision: Decision, meter: Meter) -> str:
    """How far an exhausted search got, and what was still possible there."""
    possible = ""
    if decision.states:
        possible = f"; states possible there: {listed(decision.states)}"
    return f"{meter.exhausted or 'the budget is spent'} after {decision.progress}{possible}"


def _require_known(history: History, model: Model) -> None:
    """Raises ModelError for the first operation that the model does not know or cannot take."""
    if not model.operations:
        return
    for operation in history.columns.examples:
        if operation.f not in model.operations:
            names = ", ".join(sorted(model.operations))
            where = history.where(operation)
            raise ModelError(f"{where}: model {model.name} has no operation {operation.f!r}; it has {names}")
    if not (model.single_value or model.versioned):
        return
    told = history.operations
    alike = told.like(lambda one: one.f == "cas") if isinstance(told, Unmade) else history.columns.kinds
    for operation in alike:
        if operation.f == "cas" and not (isinstance(operation.value, tuple) and len(operation.value) == 2):
            raise ModelError(f"{history.where(operation)}: cas takes [old, new], not {operation.value!r}")


def _merged(results: Sequence[Result], keys: int, history: History) -> Result:
    """One result of those of the keys."""
    verdict = merge(result.verdict for result in results)
    worst = [result for result in results if result.verdict is verdict]
    if verdict is Verdict.VALID:
        reason = f"the {len(history)} operations on {keys} keys have a linearization each, replayed"
    else:
        share = "undecided" if verdict is Verdict.UNKNOWN else "violated"
        key = one_line(shown_key(worst[0].key))
        reason = f"key {key}: {worst[0].reason} ({len(worst)} of {len(results)} keys checked {share})"
    return Result(
        verdict=verdict,
        reason=reason,
        engine="+".join(sorted({result.engine for result in results})),
        why="; ".join(sorted({f"{result.engine}, since {result.why}" for result in results})),
        operations=len(history),
        steps=sum(result.steps for result in results),
        violation=worst[0].violation,
        keys=tuple(results),
    )
