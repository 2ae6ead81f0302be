"""Replies of a versioned register that tell little: they agree with everything, nothing follows from their silence."""

from random import Random

import pytest
from checker_oracle import is_linearizable, versioned_history
from msgspec import UNSET
from msgspec.structs import replace

from checkers import History, Operation, Verdict, check, models, unfinished
from checkers.version_order import contradiction

MODEL = models.versioned_register(None)


def op(f: str, value: object, call: int, back: int | None, **more: object) -> Operation:
    given = {"result": value} if f == "read" else {"value": value}
    return Operation(f=f, call_time=call, return_time=back, **given, **more)  # type: ignore[arg-type]


def test_a_failed_cas_that_tells_only_a_version_contradicts_no_value() -> None:
    silent = op("cas", (7, 102), 1, 2, process=1, status="fail", error="mismatch", version=1)
    result = check([op("write", 101, 0, 3, version=1), silent], MODEL)
    assert result.verdict is Verdict.VALID


def test_no_fate_is_concluded_from_what_was_not_said() -> None:
    silent = op("cas", (7, 102), 2, 3, process=1, status="fail", error="mismatch", version=1)
    crashed = op("write", 5, 0, None, process=2, status="info")
    history = [op("write", 101, 0, 1, version=1), silent, crashed]
    result = check(history, MODEL)
    assert result.verdict is Verdict.VALID
    assert [fate for _, fate in unfinished(result, MODEL)] == ["may"]


def test_the_version_of_what_never_returned_is_not_compared() -> None:
    crashed = op("write", 5, 0, None, status="info", version=9)
    assert check([crashed, op("read", 5, 10, 20, version=1)], MODEL).verdict is Verdict.VALID


@pytest.mark.parametrize("first", range(0, 2000, 500))
def test_replies_that_tell_less_are_judged_as_brute_force_judges_them(first: int) -> None:
    model = models.versioned_register(0)
    for seed in range(first, first + 500):
        random = Random(seed)
        history = History.of_operations([_telling_less(random, one) for one in versioned_history(random, 7)])
        relevant = [one for one in history if model.relevant(one)]
        if not any(one.returned for one in relevant):
            continue
        right = is_linearizable(relevant, model)
        result = check(history, model)
        assert result.verdict is (Verdict.VALID if right else Verdict.INVALID), seed
        pair = contradiction(relevant)
        assert pair is None or not right
        for one, fate in unfinished(result, model):
            without = [other for other in relevant if other is not one]
            assert fate in ("may", "must", "cannot", "undecided")
            assert (fate == "must") == (not is_linearizable(without, model)) or fate in ("cannot", "undecided"), seed


def _telling_less(random: Random, one: Operation) -> Operation:
    if one.status != "fail" or random.random() < 0.3:
        return one
    return replace(one, actual=UNSET, version=one.version if random.random() < 0.7 else None)
