"""The one entry: is this history linearizable?

Lives here: the split by key, the choice of an engine, and the rule that no verdict is believed on an engine's word:
valid is reported once the witness was replayed, invalid once the reference search has refuted the prefix or core
shown.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from checkers import models
from checkers.budget import MONOTONIC, Budget, Clock, Meter
from checkers.decision import Answer, Decision
from checkers.engines import ENGINES, Judgement, relevant
from checkers.explain import explain
from checkers.history import History, Operation
from checkers.models import Illegal, Model, ModelError, NotApplicableError, State
from checkers.replay import replay
from checkers.result import Result, Verdict, merge

SECONDS_TO_BLAME = 10

NOTHING_COMPLETED = "no operation completed"
"""Why a history proves nothing that speaks against nothing."""


def check(
    history: History | Iterable[Operation],
    model: Model | str,
    *,
    budget: Budget = Budget(),  # noqa: B008  (frozen)
    engine: str = "auto",
    all_keys: bool = False,
    clock: Clock = MONOTONIC,
) -> Result:
    """Whether some order of the operations respects real time and satisfies the model.

    Keys are checked apart where the model allows it, the smallest first; the first violation ends the check unless
    `all_keys`. The budget is for the whole check. Raises HistoryError or ModelError for input that cannot be judged.
    """
    if engine not in ENGINES:
        raise ModelError(f"no engine named {engine!r}; there are {', '.join(ENGINES)}")
    model = models.get(model) if isinstance(model, str) else model
    history = history if isinstance(history, History) else History.of_operations(history)
    _require_known(history, model)
    try:
        return _check(history, model, engine, all_keys, Meter(budget, clock))
    except NotApplicableError:
        raise
    except Exception:
        _blame(history, model)
        raise


def _check(history: History, model: Model, engine: str, all_keys: bool, meter: Meter) -> Result:
    """The result of a check whose arguments are in order."""
    if not _anything_completed(history, model):
        return Result(verdict=Verdict.UNKNOWN, reason=NOTHING_COMPLETED, engine="none", operations=len(history))
    results: list[Result] = []
    before = 0
    for part, decision in Judgement(history, model, engine, meter):
        results.append(_proved(part, decision, model, meter, meter.steps - before))
        before = meter.steps
        if results[-1].verdict is Verdict.INVALID and not all_keys:
            break
    keys = len(history.columns.keys) if model.per_key else 1
    return results[0] if keys < 2 else _merged(results, keys, history)


def _anything_completed(history: History, model: Model) -> bool:
    """Whether any operation returned that tells the model something."""
    returned = (~code for code in history.columns.events if code < 0)
    return any(model.relevant(history.operations[place]) for place in returned)


def _proved(history: History, decision: Decision, model: Model, meter: Meter, steps: int) -> Result:
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
        relevant=[history.operations[place] for place in places],
    )
    if decision.answer is Answer.LINEARIZED:
        return _replayed(result, [history.operations[place] for place in decision.order], model)
    if decision.answer is Answer.EXHAUSTED:
        return result
    part = history if len(places) == len(history) else history.part(places)
    core = [bisect_left(places, place) for place in decision.core]
    local = replace(decision, core=core, blocked=bisect_left(places, decision.blocked) if decision.blocked >= 0 else -1)
    violation = explain(part, result.key, model, local, meter)
    if violation is None:
        reason = f"the {decision.engine} found a contradiction, but the budget did not last to confirm it"
        return replace(result, reason=reason)
    return replace(result, verdict=Verdict.INVALID, reason=violation.sentence, violation=violation)


def _replayed(result: Result, order: Sequence[Operation], model: Model) -> Result:
    """Valid, once the witness was replayed."""
    mistake = replay(order, result.relevant, model)
    assert mistake is None, f"{result.engine}: {mistake}"
    reason = f"the {result.operations} operations have a linearization, replayed"
    return replace(result, verdict=Verdict.VALID, reason=reason, witness=tuple(order))


def _gave_up(decision: Decision, meter: Meter) -> str:
    """How far an exhausted search got, and what was still possible there."""
    possible = ""
    if decision.states:
        shown = ", ".join(repr(state) for state in decision.states[:5])
        more = f" and {len(decision.states) - 5} more" if len(decision.states) > 5 else ""
        possible = f"; states possible there: {shown}{more}"
    return f"{meter.exhausted or 'the budget is spent'} after {decision.progress}{possible}"


def _require_known(history: History, model: Model) -> None:
    """Raises ModelError for the first operation that the model does not know or cannot take."""
    if not model.operations:
        return
    for operation in history.columns.kinds:
        if operation.f not in model.operations:
            names = ", ".join(sorted(model.operations))
            where = history.where(operation)
            raise ModelError(f"{where}: model {model.name} has no operation {operation.f!r}; it has {names}")
        if operation.f == "cas" and not (isinstance(operation.value, tuple) and len(operation.value) == 2):
            raise ModelError(f"{history.where(operation)}: cas takes [old, new], not {operation.value!r}")


def _blame(history: History, model: Model) -> None:
    """Raises ModelError for the operation on which the model raises; returns if it was not the model that did."""

    def step(state: State, operation: Operation) -> State | Illegal:
        try:
            after = model.step(state, operation)
            _ = {after}  # which raises for a state without a hash
        except Exception as error:
            said = f"raised {type(error).__name__} on [{operation}]: {error}"
            raise ModelError(f"{history.where(operation)}: model {model.name} {said}") from error
        return after

    guarded = replace(model, step=step, hindsight=None, extends=frozenset())
    for _ in Judgement(history, guarded, "auto", Meter(Budget(seconds=SECONDS_TO_BLAME))):
        pass


def _merged(results: Sequence[Result], keys: int, history: History) -> Result:
    """One result of those of the keys."""
    verdict = merge(result.verdict for result in results)
    worst = [result for result in results if result.verdict is verdict]
    if verdict is Verdict.VALID:
        reason = f"the {len(history)} operations on {keys} keys have a linearization each, replayed"
    else:
        share = "undecided" if verdict is Verdict.UNKNOWN else "violated"
        reason = f"key {worst[0].key}: {worst[0].reason} ({len(worst)} of {len(results)} keys checked {share})"
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
