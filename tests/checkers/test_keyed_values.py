"""Values that are [key value]: when they are, when they are not, and when it is asked."""

import itertools
from pathlib import Path

import msgspec
import pytest

from checkers import HistoryError, Verdict, check, formats, models
from checkers.formats import independent, jepsen_edn
from checkers.formats.edn_atoms import Word
from checkers.values import FALSE, TRUE, Map

Keys = set[object]


def op(process: int, f: str, called: str, answered: str | None = None, how: str = "ok") -> str:
    """An operation in EDN; it is answered with what it was called with if nothing is said."""
    form = "{{:process {}, :type :{}, :f :{}, :value {}}}\n"
    return form.format(process, "invoke", f, called) + form.format(process, how, f, answered or called)


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "history.edn"
    path.write_text(text)
    return path


def keys_of(path: Path, **options: object) -> Keys:
    return {operation.key for operation in formats.read(path, **options)}  # type: ignore[arg-type]


WRITES = op(0, "write", "[1 2]") + op(0, "write", "[2 2]")
ASKED = op(1, "read", "[1 nil]", "[1 2]")
FILLED = op(1, "read", "[1 2]")
A_MAP = Map({Word(":a"): 1, Word(":b"): 2})
KEYED: dict[str, tuple[str, Keys]] = {
    "reads": (WRITES + ASKED, {1, 2}),
    "reads of vectors": (op(0, "read", "[[1 2] nil]", "[[1 2] 5]"), {(1, 2)}),
    "reads of booleans": (op(0, "read", "[true nil]") + op(0, "read", "[false nil]"), {TRUE, FALSE}),
    "reads of nil": (op(0, "read", "[nil nil]", "[nil 5]") + op(0, "read", "[1 nil]"), {None, 1}),
    "reads of maps": (op(0, "read", "[{:a 1, :b 2} nil]") + op(0, "read", "[{:b 2, :a 1} nil]"), {A_MAP}),
    "reads of sets": (op(0, "read", "[#{1} nil]"), {frozenset({1})}),
    "reads of numbers with a fraction": (op(0, "read", "[1.5 nil]"), {1.5}),
    "reads of texts": (op(0, "read", '["x" nil]'), {"x"}),
    "reads of keywords": (op(0, "read", "[:x nil]"), {Word(":x")}),
    "a cas": (WRITES + op(0, "cas", "[1 [2 3]]"), {1, 2}),
    "a cas alone": (op(0, "cas", "[1 [nil 3]]"), {1}),
    "a cas of three": (op(0, "cas", "[1 2 3]"), {1}),
    "a cas of three and a vector as key": (op(0, "cas", "[[1 2] 2 3]"), {(1, 2)}),
    "a cas of vectors beside reads": (ASKED + op(0, "cas", "[[1 2] [3 4]]"), {1, (1, 2)}),
    "taking": (op(0, "enqueue", "[1 2]") + op(0, "dequeue", "[1 nil]", "[1 2]"), {1}),
    "locks": (op(0, "acquire", "[1 nil]") + op(0, "release", "[1 nil]"), {1}),
    "an answer to what is not known as a read": (op(0, "write", "[1 2]") + op(0, "look", "[1 nil]", "[1 2]"), {1}),
    "transactions": (op(0, "txn", "[1 [[:r :x nil] [:w :y 2]]]"), {1}),
    "a tag": (op(0, "write", "#jepsen.independent.Tuple [1 2]"), {1}),
    "an entry of a map": (op(0, "write", "#clojure.lang.MapEntry [[1] 2]"), {(1,)}),
    "a failure without its value": (op(0, "read", "[1 nil]", "nil", "fail"), {1}),
    "a failure with its error instead": (op(0, "read", "[1 nil]", ":timed-out", "info"), {1}),
}  # fmt: skip
WHOLE = {
    "reads": WRITES + op(0, "read", "nil", "[2 2]"),
    "a cas": WRITES + op(0, "cas", "[1 2]"),
    "a cas of a pair to something else": WRITES + op(0, "cas", "[[1 2] 3]"),
    "values of other lengths": WRITES + op(0, "write", "[1 2 3]"),
    "a cas of pairs beside a read of nothing": op(0, "cas", "[[1 2] [3 4]]") + op(0, "read", "nil", "[3 4]"),
    "a cas of a number to a pair beside a read of nothing": op(0, "cas", "[1 [3 4]]") + op(0, "read", "nil", "[3 4]"),
    "transactions of two": op(0, "txn", "[[:r :x nil] [:w :y 2]]"),
    "transactions of two that append": op(0, "txn", "[[:append 1 2] [:r 1 nil]]"),
    "locks": op(0, "acquire", "nil") + op(0, "release", "nil"),
    "nothing": "",
    "only the nemesis": "{:process :nemesis, :type :info, :f :start, :value [1 nil]}\n",
}
DOUBTFUL = {
    "writes": (WRITES, 1),
    "writes under vectors": (op(0, "write", "[[1 2] 5]"), 1),
    "a cas of pairs": (op(0, "cas", "[[1 2] [3 4]]"), 1),
    "reads called with two": (WRITES + FILLED, 5),
    "and also with a key": (WRITES + FILLED + ASKED, 5),
    "reads with a key and without": (ASKED + op(0, "read", "nil"), 3),
    "a cas with a key and a read without": (op(0, "cas", "[1 2 3]") + op(0, "read", "nil"), 3),
    "a later read called with two": (ASKED * 1100 + FILLED, 2201),
    "a later write without a key": (ASKED * 1100 + op(0, "write", "1"), 2201),
    "a later read with a key": (op(0, "read", "nil") * 1100 + ASKED, 2201),
    "a later cas of three": (op(0, "read", "nil") * 1100 + op(0, "cas", "[1 2 3]"), 2201),
    "a read with a key, answered without": (op(0, "read", "[1 nil]", "5"), 2),
}


@pytest.mark.parametrize("name", KEYED)
def test_keys_are_seen_in_the_invocations(name: str, tmp_path: Path) -> None:
    text, keys = KEYED[name]
    path = file(tmp_path, text)
    assert formats.load(path).keyed
    assert keys_of(path) == keys == keys_of(path, keyed="yes")


@pytest.mark.parametrize("name", WHOLE)
def test_so_is_that_there_are_none(name: str, tmp_path: Path) -> None:
    reading = formats.load(file(tmp_path, WHOLE[name]))
    assert not reading.keyed
    assert {operation.key for operation in reading.history} <= {None}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_where_keys_cannot_be_told_it_is_asked(name: str, tmp_path: Path) -> None:
    text, line = DOUBTFUL[name]
    path = file(tmp_path, text)
    with pytest.raises(HistoryError, match=f"history.edn:{line}: .* say --keyed yes or --keyed no$"):
        formats.read(path)
    assert keys_of(path, keyed="no") == {None}


def test_all_that_has_a_key_is_taken_apart_where_it_is_asked_for(tmp_path: Path) -> None:
    texts = [text for text, _ in KEYED.values()] + [WRITES, FILLED, op(0, "cas", "[[1 2] [3 4]]")]
    for text in texts:
        assert formats.load(file(tmp_path, text), keyed="yes").keyed
    with pytest.raises(HistoryError, match=r"history.edn:1: value 5 is no \[key value\]"):
        formats.read(file(tmp_path, op(0, "write", "5")), keyed="yes")


def test_a_cas_of_three_is_one_of_a_key_and_two(tmp_path: Path) -> None:
    path = file(tmp_path, op(0, "write", "[1 2]") + op(0, "cas", "[1 2 3]") + op(0, "read", "[1 nil]", "[1 3]"))
    assert check(formats.read(path), "cas-register").verdict is Verdict.VALID
    path = file(tmp_path, op(0, "write", "[1 2]") + op(0, "cas", "[1 1 3]") + op(0, "read", "[1 nil]", "[1 3]"))
    assert check(formats.read(path), "cas-register").verdict is Verdict.INVALID


def test_a_verdict_on_pairs_follows_the_answer(tmp_path: Path) -> None:
    path = file(tmp_path, WRITES + FILLED)
    assert check(formats.read(path, keyed="no"), "register").verdict is Verdict.INVALID
    assert check(formats.read(path, keyed="yes"), "register").verdict is Verdict.VALID


@pytest.mark.parametrize("key", ["[1 2]", "true", "1", "1.0", "nil", "{:a [1]}", "#{1 2}", '"1"', ":x", "x", "1/2"])
def test_keys_of_every_kind_are_apart(key: str, tmp_path: Path) -> None:
    """A key of its own beside each other kind: a stale read of it is found, and the others do not hide it."""
    others = [op(1, "write", f"[{other} 7]") for other in ("[2 1]", "false", "2", "{:a [2]}", '"x"', "[[1 2]]")]
    good = op(0, "write", f"[{key} 1]") + "".join(others) + op(0, "read", f"[{key} nil]", f"[{key} 1]")
    bad = op(0, "write", f"[{key} 1]") + "".join(others) + op(0, "read", f"[{key} nil]", f"[{key} 7]")
    for text, verdict in ((good, Verdict.VALID), (bad, Verdict.INVALID)):
        assert check(formats.read(file(tmp_path, text)), "register").verdict is verdict


def jsonl(*events: tuple[str, str, object]) -> str:
    return "".join(
        msgspec.json.encode({"index": n, "time": n, "type": kind, "process": 0, "f": f, "value": value}).decode() + "\n"
        for n, (kind, f, value) in enumerate(events)
    )


def test_lines_of_json_may_have_keys_in_their_values(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    writes = [(kind, "write", [[key, 0], 1]) for key in (1, 2) for kind in ("invoke", "ok")]
    path.write_text(jsonl(*writes, ("invoke", "read", [[1, 0], None]), ("ok", "read", [[1, 0], 1])))
    assert keys_of(path) == {(1, 0), (2, 0)} == keys_of(path, keyed="yes")
    path.write_text(jsonl(*writes))
    with pytest.raises(HistoryError, match="say --keyed yes or --keyed no"):
        formats.read(path)
    path.write_text(jsonl(*writes, ("invoke", "read", None), ("ok", "read", [[1, 0], 1])))
    assert keys_of(path) == {None}


def test_a_line_with_a_key_needs_none_in_its_value(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"index":0,"time":0,"type":"invoke","process":0,"f":"write","key":"x","value":[1,2]}\n')
    assert keys_of(path) == {"x"}
    with pytest.raises(HistoryError, match=r"value \[1, 2\] is no \[key value\]"):
        formats.read(path, keyed="yes")


def test_events_are_taken_one_by_one_as_they_are_read() -> None:
    line = b"{:process 0, :type :%s, :f :read, :value [7 nil]}\n"
    read: list[int] = []
    lines = (line % kind for kind in itertools.cycle((b"invoke", b"ok")))
    counted = (read.append(1) or one for one in lines)  # type: ignore[func-returns-value]
    split, stream = independent.split(jepsen_edn.events(counted, "h"), "h", "auto")
    assert split
    assert next(stream)[1].key == 7
    assert len(read) == 2 * independent.LOOK - 1


def test_what_the_nemesis_says_first_hides_no_keys(tmp_path: Path) -> None:
    nemesis = "{:process :nemesis, :type :info, :f :start, :value nil}\n" * 3000
    assert keys_of(file(tmp_path, nemesis + WRITES + ASKED)) == {1, 2}
    assert check(formats.read(file(tmp_path, nemesis + WRITES + ASKED)), models.register()).verdict is Verdict.VALID
