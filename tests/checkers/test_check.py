"""The entry: verdicts, keys, what a result says, and how it is merged."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

import checkers
from checkers import ILLEGAL, Event, History, HistoryError, Model, ModelError, Operation, Verdict, check, merge, models
from checkers.compiled import interpreted
from checkers.shared_graphs import graph_for


def op(f: str, value: object, call: int, back: int | None, **more: object) -> Operation:
    """A read's value is its result."""
    given = {"result": value} if f == "read" else {"value": value}
    return Operation(f=f, call_time=call, return_time=back, **given, **more)  # type: ignore[arg-type]


STALE = [op("write", 1, 0, 10), op("write", 2, 20, 30, process=1), op("read", 1, 40, 50, process=2)]


def test_a_stale_read_is_invalid_and_says_why() -> None:
    result = check(STALE, models.register(0))
    assert (result.verdict, result.exit_code) == (Verdict.INVALID, 1)
    assert result.violation is not None
    assert result.violation.blocked.f == "read"
    assert result.violation.states == (2,)
    assert "the only possible state when it returned was 2" in result.reason


def test_a_crashed_write_may_take_effect_at_any_later_time_or_never() -> None:
    crashed = op("write", 2, 0, None, status="info", process=9)
    later = [op("write", 1, 10, 20), op("read", 1, 30, 40), op("read", 2, 50, 60)]
    assert check([crashed, *later], models.register(0)).verdict is Verdict.VALID
    assert check([crashed, *later, op("read", 1, 70, 80)], models.register(0)).verdict is Verdict.INVALID


def test_versions_reveal_what_values_hide() -> None:
    lost = [
        op("write", 1, 0, 10, version=1),
        op("write", 2, 0, 10, process=1, version=1),
        op("read", 1, 20, 30, version=2, process=2),
    ]
    assert check(lost, "cas-register").verdict is Verdict.VALID
    assert check(lost, "versioned-register").verdict is Verdict.INVALID


def test_a_version_that_too_few_updates_lead_to_is_explained_by_all_of_them() -> None:
    """Its window was once one write with nothing wrong in it, so that the check said unknown."""
    reads = [op("read", 1, 20 * time, 20 * time + 10, version=1) for time in range(1, 250)]
    at_once = op("read", 1, 20, 6_000, version=1, process=1)
    history = [op("write", 1, 0, 10, version=1), *reads, at_once, op("write", 7, 5_100, 5_110, version=9)]
    result = check(history, "versioned-register")
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert [one.value for one in result.violation.window] == [1, 7]


def test_a_failed_cas_is_a_read_of_what_it_saw() -> None:
    seen = op("cas", (1, 2), 20, 30, status="fail", error="mismatch", actual=0, version=0)
    assert check([op("write", 1, 0, 10), seen], "cas-register").verdict is Verdict.INVALID
    refused = op("cas", (1, 2), 20, 30, status="fail", error="not-leader")
    assert check([op("write", 1, 0, 10), refused], "cas-register").verdict is Verdict.VALID


def test_keys_are_judged_apart_and_the_worst_wins() -> None:
    good = [op("write", 5, 0, 10, key="good")]
    bad = [Operation(f="read", result=7, call_time=t, return_time=t + 1, key="bad") for t in (0, 2)]
    result = check([*good, *bad], models.register(0), all_keys=True)
    assert result.verdict is Verdict.INVALID
    assert {part.key: part.verdict for part in result.keys} == {"good": Verdict.VALID, "bad": Verdict.INVALID}
    assert "key bad" in result.reason


@pytest.mark.parametrize("operations", [[], [op("write", 1, 0, None, status="info")]])
def test_nothing_completed_is_unknown(operations: list[Operation]) -> None:
    result = check(operations, models.register())
    assert (result.verdict, result.exit_code, result.reason) == (Verdict.UNKNOWN, 2, "no operation completed")


def test_merge_takes_the_worst() -> None:
    valid, invalid, unknown = Verdict.VALID, Verdict.INVALID, Verdict.UNKNOWN
    assert merge([]) is unknown
    assert merge([valid, valid]) is valid
    assert merge([valid, unknown]) is unknown
    assert merge([unknown, invalid, valid]) is invalid


def test_an_operation_that_the_model_lacks_is_an_error() -> None:
    with pytest.raises(ModelError, match="model register has no operation 'pop'; it has read, write"):
        check([Operation(f="pop", call_time=0, return_time=1)], "register")


def test_a_model_that_raises_is_an_error_that_names_it() -> None:
    def step(state: object, operation: Operation) -> object:
        raise KeyError("oops")

    with pytest.raises(
        ModelError, match=r"^history: operation 0: model mine raised KeyError on \[0: x -> ok\]: 'oops'$"
    ):
        check([Operation(f="x", call_time=0, return_time=1)], Model("mine", 0, step))  # type: ignore[arg-type]


def test_a_model_of_ones_own_takes_a_few_lines() -> None:
    def step(total: int, operation: Operation) -> object:
        if operation.f == "add":
            return total + operation.value
        return total if operation.result == total else ILLEGAL

    counter = Model("counter", 0, step)  # type: ignore[arg-type]
    adds = [Operation(f="add", value=n, call_time=0, return_time=5, process=n) for n in (1, 2)]
    assert check([*adds, Operation(f="get", result=3, call_time=6, return_time=7)], counter).verdict is Verdict.VALID
    assert check([*adds, Operation(f="get", result=4, call_time=6, return_time=7)], counter).verdict is Verdict.INVALID


def test_an_unknown_engine_or_model_is_an_error() -> None:
    with pytest.raises(ModelError, match="no engine named 'magic'"):
        check(STALE, "register", engine="magic")
    with pytest.raises(ModelError, match="no model named 'magic'"):
        check(STALE, "magic")


def test_the_rendering_shows_the_window_and_ends_with_the_verdict() -> None:
    lines = check(STALE, models.register(0)).render().splitlines()
    assert lines[0].startswith("shortest failing window")
    assert [line for line in lines if line.startswith("  >")] == ["  > 40 .. 50  2: read -> 1"]
    assert lines[-1].startswith("invalid: 2: read -> 1")


@pytest.mark.parametrize("keys", [[None], ["a", "b"]])
def test_the_reason_is_given_once(keys: list[str | None]) -> None:
    operations = [replace(one, key=key) for key in keys for one in STALE]
    result = check(operations, models.register(0))
    assert result.violation is not None
    assert result.render().count(result.violation.sentence) == 1
    assert result.violation.render().splitlines()[-1] == result.violation.sentence


@pytest.mark.parametrize("model", ["kv", "kv-unsplit"])
def test_the_possible_states_are_those_of_the_model_and_stand_for_no_others(model: str) -> None:
    result = check(
        [op("put", "v", 0, 1, key="k"), Operation(f="get", key="k", result="w", call_time=2, return_time=3)], model
    )
    state = '"v"' if model == "kv" else '{["k", "v"]}'
    assert result.reason.endswith(f"the only possible state when it returned was {state}")


def test_states_that_take_too_long_to_tell_apart_are_not_named() -> None:
    many = [op("append", letter, 0, 9, key="k", process=n) for n, letter in enumerate("abcdefghij")]
    result = check([*many, Operation(f="get", key="k", result="w", call_time=10, return_time=11)], "kv")
    assert result.verdict is Verdict.INVALID
    assert result.violation is not None
    assert result.violation.states == ()
    assert result.reason.endswith('cannot be placed: nothing had written "w" when it returned')


def test_a_history_may_be_given_as_events() -> None:
    said = [("invoke", 0, "write", 1), ("invoke", 1, "read", None), ("ok", 0, "write", 1), ("ok", 1, "read", 2)]
    events = [
        Event(index=n, time=n, type=kind, process=who, f=f, value=value)  # type: ignore[arg-type]
        for n, (kind, who, f, value) in enumerate(said)
    ]
    assert check(events, models.register(2)).verdict is Verdict.VALID
    assert check(iter(events), models.register(0)).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"f": "read"}], r"history: item 0 is \{'f': 'read'\}; a history is a list of Operation, or of Event"),
        ([STALE[0], Event(index=0, time=0, type="invoke", process=0, f="read")], "history: item 1 is Event"),
        ([Event(index=0, time=0, type="invoke", process=0, f="read"), STALE[0]], "history: item 1 is Operation"),
        ("history.jsonl", r"'history\.jsonl' is no history; .* read a file with checkers\.formats"),
        (7, "7 is no history"),
    ],
)
def test_what_is_no_history_is_refused(given: object, said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        check(given, "register")  # type: ignore[arg-type]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="is no model; give a name"):
        check(STALE, models.register)  # type: ignore[arg-type]


def test_threads_may_check_at_once() -> None:
    """Two searches that wrote into one graph of states got the numbers of each other's states."""

    def checked(first: int) -> list[Verdict]:
        verdicts = []
        for seed in range(first, first + 60):
            adds = [op("add", seed * 7 + n, 0, 9, process=n) for n in range(5)]
            total = sum(one.value for one in adds) + seed % 2
            verdicts.append(check([*adds, op("read", total, 10, 11)], "counter", engine="search").verdict)
        return verdicts

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = [one for some in pool.map(checked, range(0, 4000, 1000)) for one in some]
    finally:
        sys.setswitchinterval(interval)
    assert found == [Verdict.VALID, Verdict.INVALID] * 120


def test_no_two_threads_share_a_graph_of_states() -> None:
    history, model = History.of_operations([op("add", 1, 0, 1)]), models.get("counter")
    here = graph_for(history, model, interpreted())
    assert graph_for(history, models.get("counter"), interpreted()) is here
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(graph_for, history, model, interpreted()).result() is not here


def test_what_must_have_happened_is_asked_of_the_package() -> None:
    crashed = [op("write", n, 0, None, status="info", process=n) for n in (1, 2)]
    read = op("read", 1, 10, 20)
    result = check([*crashed, read], models.register(0))
    fates = {operation.value: fate for operation, fate in checkers.unfinished(result, models.register(0))}
    assert fates == {1: "must", 2: "may"}


def test_importing_checkers_is_light() -> None:
    code = "import checkers, sys; print(sorted({'numba', 'networkx', 'numpy', 'harness'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_example_in_the_readme_prints_what_stands_below_it() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    section = readme.split("## Use the checker alone")[1].split("\n## ")[0]
    code, output = re.findall(r"```(?:python)?\n(.*?)```", section, re.DOTALL)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == output


def test_a_state_without_a_hash_is_the_fault_of_the_model() -> None:
    model = Model("listing", (), lambda state, operation: [*state, operation.value])  # type: ignore[arg-type, misc]
    writes = [Operation(f="x", value=n, process=n, call_time=0, return_time=1) for n in range(2)]
    with pytest.raises(
        ModelError, match=r"model listing raised TypeError on \[0: x 0 -> ok\]: unhashable type: 'list'"
    ):
        check(writes, model, engine="search")
