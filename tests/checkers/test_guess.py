"""The guess at a model: one that fits is taken; where several fit or none, the user is asked."""

import json
from pathlib import Path

import pytest
from test_check_command import run

from checkers import Event, History, ModelError, Operation, models
from checkers.formats.edn_atoms import Float, Number, Word
from checkers.history import EventType

Step = tuple[str, object, object] | tuple[str, object, object, str]


def guessed(*steps: Step) -> str:
    """The model of operations one after another: (f, value, result, "ok" if nothing is said)."""
    operations = [
        Operation(f=f, value=value, result=result, call_time=2 * n, return_time=2 * n + 1, status=("ok", *more)[-1])  # type: ignore[arg-type]
        for n, (f, value, result, *more) in enumerate(steps)
    ]
    return models.guess(History.of_operations(operations))


ADD = ("add", 7, 7)
ONE: dict[str, tuple[str, list[Step]]] = {
    "a list was read": ("set", [ADD, ("read", None, [7])]),
    "an empty list was read": ("set", [ADD, ("read", None, [])]),
    "a set was read": ("set", [ADD, ("read", None, {7})]),
    "a set that was nothing at first": ("set", [("read", None, None), ADD, ("read", None, [7])]),
    "a number was read": ("counter", [ADD, ("read", None, 7)]),
    "a JSON number with a fraction was read": ("counter", [ADD, ("read", None, 7.0)]),
    "adds told the sum": ("counter", [ADD, ("add", 1, 8), ("read", None, 8)]),
    "nothing but texts was added": ("set", [("add", "x", None)]),
    "booleans were added": ("set", [("add", True, None)]),
    "something was removed": ("set", [ADD, ("remove", 7, None)]),
    "the read of another kind failed": ("counter", [ADD, ("read", None, 7), ("read", None, [1], "fail")]),
    "a value was written": ("register", [("write", 1, 1), ("read", None, 1)]),
    "a list was written": ("register", [("write", [1, 2], None), ("read", None, [1, 2])]),
    "texts were read": ("register", [("read", None, "x")]),
    "keywords were read": ("register", [("read", None, Word(":x")), ("read", None, None)]),
    "a value was compared": ("cas-register", [("cas", [1, 2], None, "fail"), ("read", None, None)]),
    "pairs were compared": ("cas-register", [("cas", [[["x", 1]], [["x", 2]]], None), ("read", None, [["x", 2]])]),
    "transactions": ("multi-register", [("txn", [["r", "x", None], ["w", "y", 1]], [["r", "x", None], ["w", "y", 1]])]),
    "transactions of keywords": ("multi-register", [("txn", [[Word(":r"), Word(":x"), None]], None)]),
    "transactions and reads": ("multi-register", [("txn", [["w", "x", 1]], None), ("read", None, {"x": 1})]),
    "texts by key": ("kv", [("put", "a", None), ("append", "b", None), ("get", None, "ab")]),
    "numbers by key": ("kv", [("put", 1, None), ("get", None, 2), ("get", None, "")]),
    "a queue": ("queue", [("enqueue", 1, 1), ("dequeue", None, 1)]),
    "a stack": ("stack", [("push", 1, 1), ("pop", None, [1])]),
    "a lock": ("mutex", [("acquire", None, None), ("release", None, None, "fail")]),
    "nothing at all": ("register", []),
}
SEVERAL: dict[str, tuple[str, list[Step]]] = {
    "nothing was read": ("counter, set", [ADD, ("add", 8, 8)]),
    "no read returned": ("counter, set", [ADD, ("read", None, [7], "info")]),
    "null was read": ("counter, set", [ADD, ("read", None, None)]),
    "adds told numbers, as Redis does": ("counter, set", [ADD, ("add", 8, 1)]),
    "only numbers were read": ("counter, register", [("read", None, 7)]),
    "only lists were read": ("register, set", [("read", None, [7])]),
    "only lists of pairs were read": ("multi-register, register, set", [("read", None, [["x", 7]])]),
    "only null was read": ("counter, register, set", [("read", None, None)]),
    "pairs were written": ("multi-register, register", [("write", [["x", 1]], None), ("read", None, [["x", 1]])]),
    "maps were written": ("multi-register, register", [("write", {"x": 1}, None), ("read", None, {"x": 1})]),
}
NONE: dict[str, tuple[str, list[Step]]] = {
    "lists and numbers were read": ("counter, set", [ADD, ("read", None, [7]), ("read", None, 7)]),
    "null and numbers were read": ("counter, set", [("read", None, None), ADD, ("read", None, 7)]),
    "texts were added, numbers read": ("counter, set", [("add", "x", None), ("read", None, 1)]),
    "texts were read": ("counter, set", [ADD, ("read", None, "7")]),
    "maps were read": ("counter, set", [ADD, ("read", None, {7: 1})]),
    "a float of EDN was read": ("counter, set", [ADD, ("read", None, Float(7.0))]),
    "a ratio was read": ("counter, set", [ADD, ("read", None, Number("", 7))]),  # type: ignore[arg-type]
    "adds told texts": ("counter, set", [("add", 1, "done"), ("read", None, 1)]),
    "a number was read after a remove": ("set", [("remove", 7, None), ("read", None, 0)]),
    "lists were appended to": ("kv", [("append", 1, None), ("get", None, [1])]),
    "a key held nothing": ("kv", [("put", "a", None), ("get", None, None)]),
    "transactions that append": ("multi-register", [("txn", [["append", "x", 1]], [["append", "x", 1]])]),
    "a transaction answered otherwise": ("multi-register", [("txn", [["r", "x", None]], 7)]),
}


@pytest.mark.parametrize("name", ONE)
def test_the_one_model_that_fits_is_taken(name: str) -> None:
    model, steps = ONE[name]
    assert guessed(*steps) == model


@pytest.mark.parametrize("name", SEVERAL)
def test_where_several_fit_the_option_is_named(name: str) -> None:
    fitting, steps = SEVERAL[name]
    with pytest.raises(ModelError, match=rf"fit several models, {fitting}; name one with --model$"):
        guessed(*steps)


@pytest.mark.parametrize("name", NONE)
def test_where_none_fits_the_option_is_named(name: str) -> None:
    refused, steps = NONE[name]
    with pytest.raises(ModelError, match=rf"do not fit {refused}; name one with --model$"):
        guessed(*steps)


@pytest.mark.parametrize("names", [["add", "write"], ["enqueue", "drain"], ["append", "read"], ["re\nad"]])
def test_where_no_model_knows_the_operations_they_are_named(names: list[str]) -> None:
    with pytest.raises(ModelError, match=r"no model has all of .*; name one with --model"):
        guessed(*((name, None, None) for name in names))


def test_a_long_history_is_not_looked_at_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkers.history.MOST_MADE", 10)
    kinds: list[EventType] = ["invoke", "ok"]
    for f, model in (("write", "register"), ("push", "stack"), ("cas", "cas-register")):
        events = [Event(type=kind, process=0, f=f, value=[n, n]) for n in range(20) for kind in kinds]
        history = History.of_events(events)
        assert models.guess(history) == model
        assert not history.columns.counted
    events = [Event(type=kind, process=0, f="write", value=n, version=n) for n in range(20) for kind in kinds]
    assert models.guess(History.of_events(events)) == "versioned-register"


def test_of_many_names_a_few_are_shown() -> None:
    with pytest.raises(ModelError, match=r"f0, f1, f10, f11, f12, f13, f14, f15 and 92 more; name"):
        guessed(*((f"f{n}", None, None) for n in range(100)))


def test_replies_with_a_version_are_of_a_versioned_register() -> None:
    operations = [Operation(f="write", value=1, version=1, call_time=0, return_time=1)]
    assert models.guess(operations) == "versioned-register"


ADDS = "{:process 0, :type :invoke, :f :add, :value 7}\n{:process 0, :type :ok, :f :add, :value 7}\n"
READ = "{:process 1, :type :invoke, :f :read, :value nil}\n{:process 1, :type :ok, :f :read, :value %s}\n"


def test_the_model_is_said_and_whether_it_was_guessed(tmp_path: Path) -> None:
    path = tmp_path / "adds.edn"
    path.write_text(ADDS + READ % "[7]")
    assert "model: set (guessed)\n" in run(path).stdout
    assert "model: set\n" in run(path, "--model", "set").stdout
    table = run(path, path).stdout
    assert "set" in table.splitlines()[1]
    assert "model, of 2 of them: guessed; --model says which" in table
    assert "guessed" not in run(path, path, "--model", "set").stdout
    for options, guessed in (((), True), (("--model", "set"), False)):
        (row,) = json.loads(run(path, "--json", *options).stdout)["files"]
        assert (row["model"], row["guessed"], row["verdict"]) == ("set", guessed, "valid")


def test_a_model_that_cannot_be_guessed_is_one_line_and_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "adds.edn"
    for text in (ADDS, ADDS + READ % "nil", ADDS + READ % '"7"', ADDS.replace(":add", ":inc")):
        path.write_text(text)
        ended = run(path)
        assert (ended.exit_code, ended.stdout) == (254, "")
        assert ended.stderr.endswith("; name one with --model\n")
        assert ended.stderr.count("\n") == 1
    (row, _) = json.loads(run(path, path, "--json").stdout)["files"]
    assert (row["model"], row["guessed"], row["verdict"]) == (None, False, "error")
