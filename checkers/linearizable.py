"""The one entry: is this history linearizable?

Lives here: the split by key, the choice of an engine, and the rule that no verdict is believed on an engine's word:
valid is reported once the witness was replayed, invalid once the reference search has refuted the prefix or core
shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from checkers import models
from checkers.budget import MONOTONIC, Budget, Clock, Meter
from checkers.engines import ENGINES, Decision, decide, relevant
from checkers.explain import explain
from checkers.history import History, Key, Operation
from checkers.models import Model, ModelError
from checkers.replay import replay
from checkers.result import Result, Verdict, merge
from checkers.wing_gong import Answer

REPAYS_LOADING = 20_000  # operations on all keys, above which the compiled loops are worth loading


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
    if not any(operation.returned and model.relevant(operation) for operation in history):
        return Result(verdict=Verdict.UNKNOWN, reason="no operation completed", engine="none", operations=len(history))
    meter = Meter(budget, clock)
    load = len(history) >= REPAYS_LOADING
    if not model.per_key:
        return _check_one(history, None, model, engine, load, meter)
    parts = sorted(history.by_key().items(), key=lambda part: len(part[1]))
    if len(parts) == 1:
        return _check_one(parts[0][1], parts[0][0], model, engine, load, meter)
    results: list[Result] = []
    for key, part in parts:
        results.append(_check_one(part, key, model, engine, load, meter))
        if results[-1].verdict is Verdict.INVALID and not all_keys:
            break
    return _merged(results, len(parts), history)


def _check_one(history: History, key: Key, model: Model, engine: str, load: bool, meter: Meter) -> Result:
    """The result for the operations of one key."""
    operations = relevant(history, model)
    before = meter.steps
    try:
        decision = decide(history, model, engine, meter, load)
        result = Result(
            verdict=Verdict.UNKNOWN,
            reason=_gave_up(decision, meter),
            engine=decision.engine,
            operations=len(history),
            key=key,
            steps=meter.steps - before,
            relevant=operations,
        )
        if decision.answer is Answer.LINEARIZED:
            return _replayed(result, decision, operations, model)
        if decision.answer is Answer.REFUTED:
            return _confirmed(result, decision, operations, model, meter)
        return result
    except (ModelError, AssertionError):
        raise
    except Exception as error:
        raise ModelError(f"{history.source}: model {model.name} raised {type(error).__name__}: {error}") from error


def _replayed(result: Result, decision: Decision, operations: Sequence[Operation], model: Model) -> Result:
    """Valid, once the witness was replayed."""
    mistake = replay(decision.order, operations, model)
    assert mistake is None, f"{decision.engine}: {mistake}"
    reason = f"the {result.operations} operations have a linearization, replayed"
    return replace(result, verdict=Verdict.VALID, reason=reason, witness=tuple(decision.order))


def _confirmed(
    result: Result, decision: Decision, operations: Sequence[Operation], model: Model, meter: Meter
) -> Result:
    """Invalid, once the reference search has refuted the window; else unknown."""
    violation = explain(operations, result.key, model, decision, meter)
    if violation is None:
        reason = f"the {decision.engine} found a contradiction, but the budget did not last to confirm it"
        return replace(result, reason=reason)
    return replace(result, verdict=Verdict.INVALID, reason=violation.sentence, violation=violation)


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
    for operation in history:
        if operation.f not in model.operations:
            names = ", ".join(sorted(model.operations))
            where = history.where(operation)
            raise ModelError(f"{where}: model {model.name} has no operation {operation.f!r}; it has {names}")
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
        reason = f"key {worst[0].key}: {worst[0].reason} ({len(worst)} of {len(results)} keys checked {share})"
    return Result(
        verdict=verdict,
        reason=reason,
        engine="+".join(sorted({result.engine for result in results})),
        operations=len(history),
        steps=sum(result.steps for result in results),
        violation=worst[0].violation,
        keys=tuple(results),
    )
