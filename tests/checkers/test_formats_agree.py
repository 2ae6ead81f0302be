"""One history in every format is one history; and the shapes in which Knossos keeps its own are read as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from checkers import Verdict, check, formats, models

Row = tuple[int, str, str, object]


def recorded(random: Random) -> list[Row]:
    """Events of four clients of a register that may be stale, some of which never answer."""
    rows: list[Row] = []
    waiting: dict[int, tuple[str, object]] = {}
    process_of = {client: client for client in range(4)}
    held: object = None
    for _ in range(random.randint(4, 24)):
        client = random.randrange(4)
        process = process_of[client]
        if process not in waiting:
            f = random.choice(["read", "write"])
            waiting[process] = (f, None if f == "read" else random.randint(0, 3))
            rows.append((process, "invoke", *waiting[process]))
            continue
        f, value = waiting.pop(process)
        kind = random.choice(["ok", "ok", "ok", "fail", "info"])
        if kind == "ok" and f == "write":
            held = value
        rows.append((process, kind, f, held if f == "read" and random.random() < 0.9 else value))
        process_of[client] += 4 * (kind == "info")
    return rows


def edn(value: object) -> str:
    return "nil" if value is None else str(value)


def tabbed(row: Row) -> str:
    process, kind, f, value = row
    return f"{process}\t:{kind}\t:{f}\t{edn(value)}" + ("\t:timed-out" if kind in ("fail", "info") else "")


def as_map(row: Row) -> str:
    process, kind, f, value = row
    return f"{{:process {process}, :type :{kind}, :f :{f}, :value {edn(value)}}}"


def as_json(row: Row) -> str:
    return json.dumps(dict(zip(("process", "type", "f", "value"), row, strict=True)))


def lines(of: Callable[[Row], str]) -> Callable[[list[Row]], str]:
    return lambda rows: "".join(of(row) + "\n" for row in rows)


AT = "2022-07-28 07:52:55,480{GMT}\tINFO\t[jepsen worker 0] "
FORMATS: dict[str, Callable[[list[Row]], str]] = {
    "jsonl": lines(as_json),
    "array": lambda rows: f"[{','.join(map(as_json, rows))}]",
    "map a line": lines(as_map),
    "vector of maps": lambda rows: f"[{' '.join(map(as_map, rows))}]\n",
    "list over lines": lambda rows: "(" + lines(lambda row: as_map(row).replace(", ", "\n "))(rows) + ")",
    "vector a line": lines(lambda row: f"[{row[0]} :{row[1]} :{row[2]} {edn(row[3])}]"),
    "records": lines(lambda row: f"#jepsen.history.Op{as_map(row)}"),
    "history.txt": lines(tabbed),
    "log of 2015": lines(lambda row: f"INFO  jepsen.util - {tabbed(row)}"),
    "log of unilog": lines(lambda row: f"INFO [2017-03-30 22:38:51,892] jepsen worker 1 - jepsen.util {tabbed(row)}"),
    "jepsen.log": lines(lambda row: f"{AT}jepsen.core: noise\n{AT}jepsen.util: {tabbed(row)}\nnoise"),
}


@pytest.mark.parametrize("seed", range(60))
def test_one_history_in_every_format_is_one_history(seed: int, tmp_path: Path) -> None:
    rows = recorded(Random(seed))
    path = tmp_path / "history"
    said, verdicts = set(), set()
    for write in FORMATS.values():
        path.write_text(write(rows))
        history = formats.read(path)
        said.add(tuple((one.process, one.f, one.status, one.value, one.call_rank, one.return_rank) for one in history))
        verdicts.add(check(history, "register").verdict)
    assert len(said) == 1
    assert len(verdicts) == 1


KNOSSOS = {
    "good, in a vector, with a comment": (
        "; small\n[{:process 4, :type :invoke, :f :write, :value 2}\n {:process 4, :type :ok, :f :write, :value 2}\n"
        " {:process 1, :type :invoke, :f :cas, :value [2 4]}\n {:process 1, :type :ok, :f :cas, :value [2 4]}\n"
        " {:process 6, :type :invoke, :f :read, :value nil}\n {:process 6, :type :ok, :f :read, :value 4}]\n",
        models.cas_register(0),
        Verdict.VALID,
    ),
    "bad, in a list, with comments and times": (
        "({:type :invoke, :f :write, :value 0, :process 0, :time 99286665244}\n"
        " {:type :ok, :f :write, :value 0, :process 0, :time 99286666632}\n ; never written\n"
        " {:type :invoke, :f :read, :value nil, :process 101, :time 99291886853}\n"
        " {:type :ok, :f :read, :value 3, :process 101, :time 99292796802}\n ; {:a 1}\n)\n",
        models.cas_register(),
        Verdict.INVALID,
    ),
    "a lock, without values, with indexes and errors": (
        "[{:type :invoke, :f :release, :process 1, :time 341187643, :index 0}\n"
        "{:type :fail, :f :release, :process 1, :time 342667129, :error :not-held, :index 1}\n"
        "{:type :invoke, :f :acquire, :process 3, :time 371408519, :index 2}\n"
        "{:type :ok, :f :acquire, :process 3, :time 584312016, :index 3}\n"
        '{:type :invoke, :f :release, :process 4, :time 585400396, :index 4}\n{:type :fail, :f :release, :process 4, '
        ':time 585400397, :error [:not-found "lease"], :index 5}\n'
        "{:type :invoke, :f :acquire, :process 0, :time 585400398, :index 6}\n"
        "{:type :ok, :f :acquire, :process 0, :time 585400399, :index 7}]\n",
        models.mutex(),
        Verdict.INVALID,
    ),
    "several registers, each field on a line": (
        "; x=0 and y=0\n[{:type :invoke,\n :f :txn,\n :value [[:read :x nil] [:read :y nil]],\n :process 3,\n"
        " :time 7686455705}\n"
        "{:type :invoke,\n :f :txn,\n :value [[:write :y 2]],\n :process 4,\n :time 7686306180}\n"
        "{:type :ok,\n :f :txn,\n :value [[:read :x 0] [:read :y 2]],\n :process 3,\n :time 7691455705}\n"
        "{:type :info,\n :f :txn,\n :value [[:write :y 2]],\n :process 4,\n :time 7691306180}]\n",
        models.multi_register([["x", 0]]),
        Verdict.INVALID,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOSSOS)
def test_histories_in_the_shapes_of_knossos(name: str, tmp_path: Path) -> None:
    text, model, verdict = KNOSSOS[name]
    path = tmp_path / "history.edn"
    path.write_text(text)
    history = formats.read(path)
    assert check(history, model).verdict is verdict
    assert models.guess(history) == (model.name if ":cas" in text or model.name != "cas-register" else "register")
    if model.name == "multi-register":
        x, y = history.operations[0].value[0][1], history.operations[0].value[1][1]
        assert check(history, models.multi_register({x: 0, y: 0})).verdict is Verdict.VALID
