"""What people's files are: JSON in other shapes than ours, directories, and files that are no histories at all."""

import json
from pathlib import Path

import pytest
from test_check_command import run

from checkers import HistoryError, Verdict, check, formats

EVENTS: list[dict[str, object]] = [
    {"type": "invoke", "f": "write", "value": 1, "process": 0, "time": 1, "index": 0},
    {"type": "ok", "f": "write", "value": 1, "process": 0, "time": 2, "index": 1},
    {"type": "invoke", "f": "read", "value": None, "process": 1, "time": 3, "index": 2},
    {"type": "ok", "f": "read", "value": 2, "process": 1, "time": 4, "index": 3},
]
LINES = "".join(json.dumps(event) + "\n" for event in EVENTS)
SHAPES = {
    "an array": json.dumps(EVENTS),
    "an array of a line each": "[" + ",\n".join(map(json.dumps, EVENTS)) + "]\n",
    "an array that begins on a line of its own": "[\n" + ",\n".join(map(json.dumps, EVENTS)) + "\n]\n",
    "an array over many lines": json.dumps(EVENTS, indent=2),
    "an array after blank lines": "\n \n" + json.dumps(EVENTS, indent=2),
    "objects over many lines": "\n".join(json.dumps(event, indent=2) for event in EVENTS),
    "lines": LINES,
}


def file(tmp_path: Path, text: str | bytes, name: str = "history") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", SHAPES)
def test_json_in_other_shapes(name: str, tmp_path: Path) -> None:
    reading = formats.load(file(tmp_path, SHAPES[name]))
    assert reading.form == ("jsonl" if name == "lines" else "json")
    assert check(reading.history, "register").verdict is Verdict.INVALID
    good = formats.read(file(tmp_path, SHAPES[name].replace('"value": 2', '"value": 1')))
    assert check(good, "register").verdict is Verdict.VALID


def test_an_array_may_lack_what_is_not_needed_and_have_more(tmp_path: Path) -> None:
    events: list[dict[str, object]] = [
        {"type": "info", "process": ":nemesis", "f": "start", "value": {"n1": ["n2"]}, "error": [1]},
        {"type": ":invoke", "process": 0, "f": ":write", "value": {"a": [1, "]}", '"']}, "node": "n1"},
        {"type": ":ok", "process": 0, "f": ":write", "value": {"a": [1, "]}", '"']}, "time": None, "index": None},
        {"type": "invoke", "process": 0, "f": "cas", "value": [1, 2], "key": [1, True]},
        {"type": "fail", "process": 0, "f": "cas", "value": [1, 2], "key": [1, True], "error": ["timeout", 5]},
    ]
    write, cas = formats.read(file(tmp_path, json.dumps(events, indent=1)))
    assert (write.f, write.status, write.value["a"]) == ("write", "ok", (1, "]}", '"'))
    assert (cas.status, cas.error) == ("fail", "['timeout', 5]")
    assert str(cas.key) == "(1, true)"


def test_lines_may_have_keywords_and_keys_that_are_no_texts(tmp_path: Path) -> None:
    events: list[dict[str, object]] = [
        {"type": ":invoke", "process": ":nemesis", "f": ":start", "error": {"a": 1}},
        {"type": ":invoke", "process": 0, "f": ":write", "value": 1, "key": [1, {"a": 2}]},
        {"type": ":info", "process": 0, "f": ":write", "value": 1, "key": [1, {"a": 2}], "error": ["timeout"]},
        {"type": "invoke", "process": 1, "f": "read", "key": True},
        {"type": "ok", "process": 1, "f": "read", "key": True, "value": None},
    ]
    events[0]["type"] = ":info"
    write, read = formats.read(file(tmp_path, "".join(json.dumps(event) + "\n" for event in events)))
    assert (write.f, write.status, write.error, str(write.key)) == ("write", "info", "['timeout']", "(1, {'a': 2})")
    assert (read.status, str(read.key)) == ("ok", "true")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"type":"invoke"}]', "history:1: not an event: it has no process"),
        ('[{"type":"invoke","process":0,"f":"x"},\n{"type":"done","process":0,"f":"x"}]', "history:2: type 'done'"),
        ('[{"type":"invoke","process":0,"f":"read"}', "history:1: the file ends inside the array"),
        ('[{"type":"invoke",\n"process":0', "history:2: the file ends inside the object of line 1"),
        ('[{"type":"invoke","process":0,"f":"read"}] x', "history:1: 'x' between events"),
        ('[{"type":"invoke","process":0,"f":"read"}, 5]', "history:1: '5' between events"),
        ('[{"type":"invoke","process":0,"f":"read",}]', "history:1: not an event: JSON is malformed"),
        ('[{"type":"invoke","process":0,"f":"x","value":' + "[" * 2000 + "]" * 2000 + "}]", "history:1: lists more"),
        ('[{"type":"invoke","process":0,"f":"read","value":"\n\n', "history:2: the file ends inside the object"),
    ],
)  # fmt: skip
def test_json_that_is_wrong_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(HistoryError) as caught:
        formats.read(file(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


LIKE = {
    "CSV": "index,time,type\n0,1,invoke\n",
    "CSV, quoted": '"index","time","type"\n0,1,invoke\n',
    "XML": "<history><op/></history>\n",
    "HTML": "<!DOCTYPE html>\n<html></html>\n",
    "YAML": "history:\n  - type: invoke\n",
    "YAML, a document": "---\n- type: invoke\n",
    "YAML or Markdown": "# A title\n\ntext\n",
    "tab separated values": "index\ttime\ttype\n",
    "Parquet": b"PAR1\x15\x04\x15",
    "a zip archive": b"PK\x03\x04\x14\x00",
    "Jepsen's own test.jepsen": b"JEPSEN\x00\x00\x00\x01",
    "binary data": b"\x00\x01\x02\x03" * 50,
    "UTF-16 text": '{"type":"invoke"}'.encode("utf-16"),
    "an SQLite database": b"SQLite format 3\x00\x10\x00",
    "xz": b"\xfd7zXZ\x00\x00",
    "bzip2": b"BZh91AY&SY",
}


@pytest.mark.parametrize("name", LIKE)
def test_what_an_unknown_file_looks_like_is_said(name: str, tmp_path: Path) -> None:
    ended = run(file(tmp_path, LIKE[name]))
    assert (ended.exit_code, ended.stdout) == (254, "")
    assert f"begins no known format; it looks like {name.split(',')[0]}" in ended.stderr
    assert ended.stderr.endswith("; use --format jsonl, json, edn, history-txt or jepsen-log\n")
    assert ended.stderr.count("\n") == 1


EDN = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n"
TXT = "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1\n"
LOG = "INFO\t[main] jepsen.cli: hello\n" + TXT.replace("0\t", "INFO\t[jepsen worker 0] jepsen.util: 0\t")


def test_the_history_in_a_directory_is_found(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert (ended.exit_code, ended.stderr.count("\n")) == (254, 1)
    assert "a directory with no history; one of history.jsonl, history.edn, history.txt, jepsen.log" in ended.stderr
    file(tmp_path, b"JEPSEN", "test.jepsen")
    assert "only test.jepsen, which is Jepsen's own format" in run(tmp_path).stderr
    for text, name, form in (
        (LOG, "jepsen.log", "jepsen-log"),
        (TXT, "history.txt", "history-txt"),
        (EDN, "history.edn", "edn"),
    ):
        file(tmp_path, text, name)
        assert formats.load(tmp_path).form == form
        assert run(tmp_path).exit_code == 0
    file(tmp_path, "", "history.edn")
    assert formats.load(tmp_path).form == "history-txt"
    link = tmp_path / "latest"
    link.symlink_to(tmp_path, target_is_directory=True)
    (row,) = json.loads(run(link, "--json").stdout)["files"]
    assert row["path"] == str(link)


def test_a_log_is_known_by_a_line_that_comes_later(tmp_path: Path) -> None:
    assert formats.load(file(tmp_path, "$ lein run test\nRetrieving a.jar\n\n" + LOG)).form == "jepsen-log"
    with pytest.raises(HistoryError, match="begins no known format"):
        formats.read(file(tmp_path, "$ lein run test\n" * 1000))


@pytest.mark.parametrize(
    "init", ['{"x": 0, "y": 0}', "{:x 0, :y 0}", '{":x": 0, ":y": 0}', "[[:x 0] [:y 0]]", "#:a{:_/x 0 :_/y 0}"]
)
def test_several_registers_begin_with_a_map(init: str, tmp_path: Path) -> None:
    called, read = "[[:read :x nil] [:write :y 2]]", "[[:read :x 0] [:write :y 2]]"
    text = (
        f"{{:process 0, :type :invoke, :f :txn, :value {called}}}\n{{:process 0, :type :ok, :f :txn, :value {read}}}\n"
    )
    path = file(tmp_path, f"; of two registers\n[{text}]")
    assert run(path).exit_code == 1
    ended = run(path, "--init", init)
    assert ended.exit_code == 0
    assert "model: multi-register (guessed)" in ended.stdout
    assert run(path, "--init", init.replace("x 0", "x 1").replace('x": 0', 'x": 1')).exit_code == 1


@pytest.mark.parametrize(("init", "code"), [('{"1": 0}', 0), ("{1 0}", 0), ("[[1, 0]]", 0), ("null", 1), ("{:x", 254)])
def test_registers_with_numbers_as_names(init: str, code: int, tmp_path: Path) -> None:
    steps = [("invoke", [["r", 1, None]]), ("ok", [["r", 1, 0]])]
    events = [{"type": kind, "process": 0, "f": "txn", "value": value} for kind, value in steps]
    ended = run(file(tmp_path, "".join(json.dumps(event) + "\n" for event in events)), "--init", init)
    assert (ended.exit_code, ended.stderr.count("\n")) == (code, code == 254)


def test_what_a_transaction_read_of_nothing_may_be_unknown(tmp_path: Path) -> None:
    write = EDN.replace(":write", ":txn").replace(":value 1", ":value [[:w :x 1]]")
    text = write + "".join(
        f"{{:process 1, :type :{kind}, :f :txn, :value [[:r :x nil]]}}\n" for kind in ("invoke", "ok")
    )
    path = file(tmp_path, text)
    assert run(path).exit_code == 1
    assert run(path, "--nil-read", "unknown").exit_code == 0


CASES = {
    "a set, no model given": (
        "{:type :invoke, :f :add, :value 7, :process 0, :time 1, :index 0}\n"
        "{:type :ok, :f :add, :value 7, :process 0, :time 2, :index 1}\n"
        "{:type :invoke, :f :read, :value nil, :process 1, :time 3, :index 2}\n"
        "{:type :ok, :f :read, :value [7], :process 1, :time 4, :index 3}\n",
        0,
        "set",
    ),
    "registers whose keys are vectors": (
        "".join(
            f"{{:process {process}, :type :{kind}, :f :{f}, :value [{key} {value}]}}\n"
            for process, f, key, values in (
                (0, "write", "[1 2]", (5, 5)),
                (0, "write", "[3 4]", (7, 7)),
                (1, "read", "[1 2]", ("nil", 5)),
            )
            for kind, value in zip(("invoke", "ok"), values, strict=True)
        ),
        0,
        "register",
    ),
    "a history in text": (
        ":nemesis\t:info\t:start\tnil\n" + TXT + "1\t:invoke\t:read\tnil\n1\t:ok\t:read\t2\n",
        1,
        "register",
    ),
    "a log of this decade": (
        "2022-07-28 07:52:55,480{GMT}\tINFO\t[jepsen worker 0] jepsen.util: 0\t:invoke\t:write\t1\n"
        "2022-07-28 07:52:55,481{GMT}\tINFO\t[jepsen worker 0] jepsen.util: 0\t:ok\t:write\t1\n",
        0,
        "register",
    ),
    "an array": (
        '[{"type":"invoke","f":"write","value":1,"process":0,"time":1,"index":0},\n'
        '{"type":"ok","f":"write","value":1,"process":0,"time":2,"index":1}]\n',
        0,
        "register",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_files_that_people_have(name: str, tmp_path: Path) -> None:
    text, code, model = CASES[name]
    path = file(tmp_path, text)
    ended = run(path)
    assert (ended.exit_code, ended.stderr) == (code, "")
    assert f"model: {model} (guessed)" in ended.stdout
    (row,) = json.loads(run(path, "--json").stdout)["files"]
    assert (row["model"], row["guessed"]) == (model, True)
