"""No, by a part of the history: what is tried before the search goes on for long.

Lives here: the parts that are judged by themselves. Each is made by a deletion that leaves a linearizable history
linearizable, so that a part without a linearization proves that the whole has none:

- what the rules of the model name (`Model.anomaly`);
- one aspect of the state after the other, under its simpler model;
- one stretch after the other, from a blind write with nothing concurrent but what only writes or looks
  (`checkers.cuts`) to the next such write.

What this takes is bounded: it is little beside a hard search, and in long histories the search is left to itself.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from checkers.cuts import beginning_at, starts
from checkers.decision import Answer, Decision
from checkers.history import History, Operation
from checkers.models import Model

RULES, PARTS = "rules", "parts"
CONTRADICTED = "a few operations contradict each other, whatever else there is"
PART_REFUTED = "a part of the history has no linearization by itself"
MOST_WORK = 200_000  # operations in all aspects, or in all stretches, above which they are not tried
LONGEST_STRETCH, FARTHEST_BACK = 400, 100

Decide = Callable[[History, Model], Decision]


def by_rules(history: History, model: Model) -> Decision | None:
    """No, if the rules of the model name operations that contradict each other; None if they do not."""
    if model.anomaly is None:
        return None
    found = model.anomaly([one for one in history if model.relevant(one)])
    if found is None:
        return None
    core = [_place_of(one, history) for one in found.core]
    blocked = _place_of(found.blocked, history)
    return Decision(Answer.REFUTED, RULES, CONTRADICTED, core=core, sentence=found.sentence, blocked=blocked)


def by_parts(history: History, model: Model, decide: Decide) -> Decision | None:
    """No, if an aspect or a stretch of the history is refuted; None if none is."""
    for part, judge in _parts(history, model):
        found = decide(part, judge)
        if found.answer is Answer.REFUTED:
            returned = [~code for code in part.columns.events if code < 0]
            last = part.operations[found.blocked if found.blocked >= 0 else returned[-1]]
            return Decision(Answer.REFUTED, PARTS, PART_REFUTED, blocked=_place_of(last, history))
    return None


def _parts(history: History, model: Model) -> Iterator[tuple[History, Model]]:
    if model.aspects is not None:
        yield from _aspects(history, model)
    if model.overwrites:
        for part in _stretches(history, model):
            yield part, model


def _aspects(history: History, model: Model) -> Iterator[tuple[History, Model]]:
    """Each aspect as its model sees it, if that is not too much."""
    aspects = model.aspects
    assert aspects is not None, "asked only of models that have them"
    relevant = [one for one in history if model.relevant(one)]
    names = dict.fromkeys(name for one in relevant for name in aspects.names(one))
    if len(names) * len(relevant) > MOST_WORK:
        return
    for name in names:
        seen = [aspects.seen(name, one) for one in relevant]
        yield History([one for one in seen if one is not None], history.source), aspects.model(name)


def _stretches(history: History, model: Model) -> Iterator[History]:
    """The history from each blind write to the next, the last one first."""
    operations = history.operations
    last = max(operations, key=lambda one: one.return_rank if one.returned else -1)
    places = starts(history, last, model)
    crashed = [place for place, one in enumerate(operations) if not one.returned]
    work = 0
    for number in range(len(places) - 1, -1, -1):
        place = places[number]
        next_place = places[number + 1] if number + 1 < len(places) else None
        cut = last.return_rank if next_place is None else operations[next_place].return_rank
        end = bisect_left(operations, cut, key=lambda one: one.call_rank)
        back = [n for n in range(max(0, place - FARTHEST_BACK), place) if operations[n].returned]
        far = {n for n in crashed if n < place} | {n for n in back if _overlap(operations[n], operations[place])}
        if end - place + len(far) > LONGEST_STRETCH:
            continue
        work += end - place + len(far)
        if work > MOST_WORK:
            return
        part = History([operations[n] for n in (*sorted(far), *range(place, end))], history.source)
        shown = part if next_place is None else part.prefix(_place_of(operations[next_place], part))
        yield beginning_at(shown, _place_of(operations[place], shown), model)


def _overlap(earlier: Operation, one: Operation) -> bool:
    return earlier.return_rank > one.call_rank


def _place_of(operation: Operation, history: History) -> int:
    return bisect_left(history.operations, operation.call_rank, key=lambda one: one.call_rank)
