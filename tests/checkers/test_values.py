"""Values: what equals what, in histories, in initial values and in the states of every engine."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from msgspec import UNSET

from checkers import ILLEGAL, Event, History, HistoryError, Model, ModelError, Operation, Verdict, check, models
from checkers.values import FALSE, TRUE, freeze, told_apart

VALID, INVALID = Verdict.VALID, Verdict.INVALID
ENGINES = ("auto", "search", "reference")


def op(f: str, call: int, back: int | None, **more: object) -> Operation:
    return Operation(f=f, call_time=call, return_time=back, **more)  # type: ignore[arg-type]


def verdicts(operations: Sequence[Operation], model: Model | str) -> set[Verdict]:
    """What the engines say; one verdict if they agree."""
    return {check(operations, model, engine=engine).verdict for engine in ENGINES}


def test_a_boolean_is_true_or_false_but_no_number() -> None:
    assert (freeze(True), freeze([False, [1]])) == (TRUE, (FALSE, (1,)))
    assert freeze(True) != 1
    assert TRUE
    assert not FALSE


def test_what_is_equal_is_told_apart_by_type() -> None:
    several = [1, 1.0, TRUE, -0.0, 0.0, (1,), (1.0,), ((1,),), ((1.0,),), frozenset({1}), frozenset({1.0}), Decimal(1)]
    assert len({told_apart(value) for value in several}) == len(several)
    assert told_apart((1, ("a", None))) == (1, ("a", None))


@pytest.mark.parametrize("name", ["register", "cas-register"])
@pytest.mark.parametrize(("initial", "other"), [(True, 1), ([1, 2], [2, 1]), ("1", 1), (1, True)])
def test_the_initial_value_is_as_values_in_the_history_are(name: str, initial: object, other: object) -> None:
    model = models.get(name, initial)
    assert verdicts([op("read", 0, 1, result=initial)], model) == {VALID}
    assert verdicts([op("read", 0, 1, result=other)], model) == {INVALID}


def test_the_initial_value_of_a_versioned_register_too() -> None:
    assert verdicts([op("read", 0, 1, result=[True], version=0)], models.versioned_register([True])) == {VALID}


def test_models_that_begin_with_equal_values_are_different_models() -> None:
    assert [repr(models.get("register", value).initial) for value in (1, True, 1.0)] == ["1", "true", "1.0"]


@pytest.mark.parametrize("value", [{"a": {1: float("nan")}}, float("nan"), [float("nan")], [bytearray()]])
def test_an_initial_value_that_is_none_is_said_so(value: object) -> None:
    with pytest.raises(ModelError, match="model register: the initial value"):
        models.register(value)


@pytest.mark.parametrize(("initial", "expected"), [(False, VALID), (FALSE, VALID), (None, VALID), (TRUE, INVALID)])
def test_a_mutex_that_is_free_at_first_can_be_acquired(initial: object, expected: Verdict) -> None:
    assert verdicts([op("acquire", 0, 1)], models.get("mutex", initial)) == {expected}


@pytest.mark.parametrize("field", ["value", "result", "actual"])
@pytest.mark.parametrize("value", [float("nan"), (1, float("nan")), Decimal("NaN")])
def test_what_does_not_equal_itself_is_refused_and_the_operation_named(field: str, value: object) -> None:
    with pytest.raises(HistoryError, match=rf"operation 1 \(0: read.*\): {field} .* equals nothing, not even itself"):
        History.of_operations([op("write", 0, 1, value=1), op("read", 2, 3, **{field: value})])


def test_an_event_with_nan_is_named_by_its_line() -> None:
    nan = float("nan")
    kinds = enumerate(("invoke", "ok"))
    events = [Event(index=n, time=n, type=kind, process=0, f="write", value=nan) for n, kind in kinds]  # type: ignore[arg-type]
    with pytest.raises(HistoryError, match=r"h:1: value nan equals nothing"):
        History.of_events(events, "h")


def test_a_key_is_a_value_too() -> None:
    reads = [op("read", n, n, result=n, key=key) for n, key in enumerate([1, True])]
    assert len(History.of_operations(reads).columns.keys) == 2
    with pytest.raises(HistoryError, match=r"key bytearray\(b''\) cannot be hashed"):
        History.of_operations([op("read", 0, 1, key=bytearray())])


def test_a_map_is_a_value_and_a_key() -> None:
    one, same, other = {"a": [1], "b": {True: 2}}, {"b": {True: 2}, "a": (1,)}, {"a": [1], "b": {1: 2}}
    assert freeze(one) == freeze(same) != freeze(other)
    assert hash(freeze(one)) == hash(freeze(same))
    assert repr(freeze(one)) == repr(freeze(same)) == "{'a': (1,), 'b': {true: 2}}"
    assert told_apart(freeze({"a": 1})) != told_apart(freeze({"a": 1.0}))
    assert freeze({"a": [1]}) == {"a": (1,)}
    for read, expected in ((same, VALID), (other, INVALID)):
        assert verdicts([op("write", 0, 1, value=one), op("read", 2, 3, result=read)], "register") == {expected}
    keyed = [op("read", n, n, key=key) for n, key in enumerate([one, other, same])]
    assert len(History.of_operations(keyed).columns.keys) == 2


def test_one_and_one_point_zero_are_equal_to_a_register_and_two_kinds_to_a_model_that_looks() -> None:
    assert verdicts([op("write", 0, 1, value=1), op("read", 2, 3, result=1.0)], "register") == {VALID}

    def step(said: tuple[str, ...], operation: Operation) -> object:
        if operation.f == "say":
            return (*said, repr(operation.value))
        return said if operation.result == said else ILLEGAL

    log = Model("log", (), step, reads=frozenset({"heard"}))  # type: ignore[arg-type]
    said = [op("say", 0, 9, value=1), op("say", 10, 19, value=1.0)]
    assert verdicts([*said, op("heard", 20, 21, result=["1", "1.0"])], log) == {VALID}
    assert verdicts([*said, op("heard", 20, 21, result=["1", "1"])], log) == {INVALID}


def test_states_that_are_equal_and_of_other_types_are_two() -> None:
    puts = [
        op("put", 0, 1, key="a", value=1.0),
        op("put", 2, 3, key="a", value=1),
        op("append", 4, 5, key="a", value="x"),
    ]
    for name in ("kv", "kv-unsplit"):
        assert verdicts([*puts, op("get", 6, 7, key="a", result="1x")], name) == {VALID}
        assert verdicts([*puts, op("get", 6, 7, key="a", result="1.0x")], name) == {INVALID}


def test_what_never_returned_may_have_happened_whatever_its_status_says() -> None:
    """Its status is "ok" by default."""
    pushed = [op("enqueue", 0, 1, value=1), op("dequeue", 2, None)]
    assert verdicts([*pushed, op("dequeue", 3, 4, result=None)], "queue") == {VALID}
    assert verdicts([*pushed, op("dequeue", 3, 4, result=1)], "queue") == {VALID}
    (one,) = History.of_operations([op("read", 0, None, result=1, version=3)])
    assert (one.status, one.result, one.version, one.returned) == ("info", None, None, False)


def test_a_status_or_a_time_that_there_is_not_is_refused() -> None:
    with pytest.raises(HistoryError, match="has status 'done'; it is one of ok, fail, info"):
        History.of_operations([op("read", 0, 1, status="done")])


WRONG = {
    "a return that is no number": ({"return_time": float("nan")}, "has return_time nan; a time is a number"),
    "a return that never comes": ({"return_time": float("inf")}, "has return_time inf"),
    "a return as text": ({"return_time": "1"}, "has return_time '1'"),
    "a call as text": ({"call_time": "0", "return_time": "1"}, "has call_time '0'"),
    "no call": ({"call_time": None}, "has call_time None; a time is a number, and every operation has"),
    "no call and no return": ({"call_time": None, "return_time": None}, "has call_time None"),
    "a call that is a boolean": ({"call_time": False}, "has call_time False"),
    "a return before the call": ({"return_time": -1}, "returns at -1, before its call at 0"),
    "no name": ({"f": ""}, "has f ''"),
    "a name that is none": ({"f": None}, "has f None"),
    "names": ({"f": ["read"]}, "has f ['read']"),
    "a status that is none": ({"status": None}, "has status None"),
    "a status in a list": ({"status": ["ok"]}, "has status ['ok']"),
    "no process": ({"process": None}, "has process None"),
    "a process that is a boolean": ({"process": True}, "has process True"),
    "a version as text": ({"version": "1"}, "has version '1'"),
    "a version that is a boolean": ({"version": True}, "has version True"),
    "an error that is none": ({"error": ValueError("x")}, "has error ValueError('x')"),
    "echoed as text": ({"echoed": "no"}, "has echoed 'no'"),
    "a key that is a map": ({"key": {1: bytearray()}}, "key {1: bytearray(b'')} "),
    "a value that equals nothing": ({"value": float("nan")}, "value nan equals nothing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_field_of_the_wrong_kind_is_one_line(name: str) -> None:
    fields, message = WRONG[name]
    given: dict[str, object] = {"f": "read", "call_time": 0, "return_time": 1, **fields}
    with pytest.raises(HistoryError) as caught:
        check([op("write", 0, 1, value=1), Operation(**given)], "register")  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert str(caught.value).startswith("history: operation 1 (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fields", [{"return_time": None}, {"return_time": None, "status": "fail"}, {"status": "info"}])
def test_an_operation_that_is_not_known_to_have_ended_may_have_happened(fields: dict[str, object]) -> None:
    for result in (None, 1):
        crashed = Operation(**{"f": "write", "value": 1, "call_time": 0, "return_time": 1, **fields})  # type: ignore[arg-type]
        assert verdicts([crashed, op("read", 2, 3, result=result)], "register") == {VALID}
    told = Operation(**{"f": "cas", "value": (1, 2), "result": 3, "version": 1, "actual": 7, "call_time": 0, **fields})  # type: ignore[arg-type]
    (one,) = History.of_operations([told])
    assert (one.status, one.result, one.version, one.actual, one.return_time) == ("info", None, None, UNSET, None)
    assert not one.returned


def test_times_may_be_of_any_unit_and_have_a_fraction() -> None:
    operations = [op("write", 0.25, 0.5, value=1), op("read", Fraction(3, 4), 1, result=None)]  # type: ignore[arg-type]
    assert verdicts(operations, "register") == {INVALID}


@pytest.mark.parametrize("error", ["mismatch", "timeout", None])
@pytest.mark.parametrize("model", [models.register(), models.cas_register(), models.versioned_register()])
def test_only_a_cas_that_failed_is_an_observation(model: Model, error: str | None) -> None:
    failed = op("write", 0, 1, value=1, status="fail", error=error, version=1, actual=7)
    assert verdicts([failed, op("read", 2, 3, result=None)], model) == {VALID}
    assert verdicts([failed, op("read", 2, 3, result=1)], model) == {INVALID}


def test_what_a_failed_write_or_read_is_said_to_have_seen_rules_no_version_out() -> None:
    failed = [op(f, 0, 1, value=1, status="fail", version=1, actual=7) for f in ("write", "read")]
    written = [op("write", 2, 9, value=5, version=1), op("write", 3, 9, value=6), op("read", 10, 11, result=6)]
    assert verdicts([*failed, *written], models.versioned_register()) == {VALID}


@pytest.mark.parametrize(("put", "take", "name"), [("enqueue", "dequeue", "queue"), ("push", "pop", "stack")])
def test_a_null_in_a_queue_is_a_value(put: str, take: str, name: str) -> None:
    values = [None, 1] if name == "queue" else [1, None]
    puts = [op(put, 2 * n, 2 * n + 1, value=value) for n, value in enumerate(values)]
    taken = [op(take, 10, 11, result=None), op(take, 12, 13, result=1), op(take, 14, 15, result=None)]
    assert verdicts([*puts, *taken], name) == {VALID}
    assert verdicts([*puts, *taken[1:]], name) == {INVALID}
    assert verdicts([puts[0], *taken[1:]], name) == {INVALID if name == "queue" else VALID}


@pytest.mark.parametrize("made", [set, frozenset, tuple, list])
def test_a_set_is_read_as_a_set_or_as_a_list(made: type) -> None:
    adds = [op("add", 0, 1, value=1), op("add", 0, 1, value=2, process=1)]
    assert verdicts([*adds, op("read", 2, 3, result=made([2, 1]))], "set") == {VALID}
    assert verdicts([*adds, op("read", 2, 3, result=made([2]))], "set") == {INVALID}
    assert verdicts([op("read", 2, 3, result=made([2, 1]))], models.set_model(made([1, 2]))) == {VALID}


def test_what_an_add_reports_is_compared() -> None:
    model = models.counter(5)
    for result, expected in ((6, VALID), (None, VALID), (1, INVALID), (2, INVALID)):
        assert verdicts([op("add", 0, 1, value=1, result=result)], model) == {expected}


def test_an_event_that_only_repeats_the_argument_reports_nothing() -> None:
    def add(reported: int) -> History:
        events = [(0, "invoke", 1), (1, "ok", reported)]
        return History.of_events(
            [Event(index=n, time=n, type=kind, process=0, f="add", value=value) for n, kind, value in events]  # type: ignore[arg-type]
        )

    said = {reported: check(add(reported), models.counter(5), engine="search").verdict for reported in (1, 2, 6)}
    assert said == {1: VALID, 2: INVALID, 6: VALID}
    told = op("add", 0, 1, value=1, result=1)
    assert check([told], models.counter(5), engine="search").verdict is INVALID  # though the kinds look alike


def test_a_counter_takes_whole_numbers() -> None:
    with pytest.raises(ModelError, match=r"operation 0: model counter stopped on .*: it adds whole numbers, not 1\.5"):
        check([op("add", 0, 1, value=1.5)], "counter")
    for initial in (0.5, True, "1"):
        with pytest.raises(ModelError, match="model counter: the initial value is a whole number, not"):
            models.counter(initial)


@pytest.mark.parametrize("initial", [{"x": 1, "y": [2]}, [["x", 1], ["y", [2]]], (("x", 1), ("y", (2,)))])
def test_several_registers_begin_with_a_map(initial: object) -> None:
    model = models.multi_register(initial)
    assert verdicts([op("read", 0, 1, result=[["y", [2]], ["x", 1], ["z", None]])], model) == {VALID}
    assert verdicts([op("read", 0, 1, result=[["x", None]])], model) == {INVALID}


@pytest.mark.parametrize("initial", [1, [1, 2], "xy", False])
def test_several_registers_begin_with_nothing_else(initial: object) -> None:
    with pytest.raises(ModelError, match="the initial value is a map of names to values"):
        models.multi_register(initial)


@pytest.mark.parametrize("name", ["kv", "kv-unsplit"])
def test_no_text_stands_for_those_that_nobody_sees(name: str) -> None:
    odd = "\0 a text that no get can see"
    for got in (odd, "a text that no get sees"):
        history = [op("put", 0, 1, key="a", value="q"), op("append", 2, 3, key="a", value="r")]
        assert verdicts([*history, op("get", 4, 5, key="a", result=got)], name) == {INVALID}
        assert verdicts([op("put", 0, 1, key="a", value=got), op("get", 4, 5, key="a", result=got)], name) == {VALID}


def test_unsplit_keys_begin_with_the_initial_text() -> None:
    history = [op("append", 0, 1, key="a", value="x"), op("get", 2, 3, key="a", result="0x")]
    for name in ("kv", "kv-unsplit"):
        assert verdicts(history, models.get(name, "0")) == {VALID}
        assert verdicts(history, name) == {INVALID}
