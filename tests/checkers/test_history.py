"""Pairing and validation: what is a history, and what each mistake is told."""

import gzip
from pathlib import Path

import pytest

from checkers import Event, History, HistoryError, Operation, Verdict, check
from checkers.formats import jsonl
from checkers.history import NEVER


def event(
    index: int, type_: str, process: int | str = 0, f: str = "write", value: object = None, **more: object
) -> Event:
    return Event(index=index, time=index * 10, type=type_, process=process, f=f, value=value, **more)  # type: ignore[arg-type]


def test_an_event_is_written_in_the_order_of_its_fields_and_without_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    jsonl.write(path, [event(0, "invoke", key=3), event(1, "fail", key=3, error="mismatch", version=2, actual=None)])
    assert path.read_text().splitlines() == [
        '{"index":0,"time":0,"type":"invoke","process":0,"f":"write","key":3,"value":null}',
        '{"index":1,"time":10,"type":"fail","process":0,"f":"write","key":3,"value":null,'
        '"error":"mismatch","version":2,"actual":null}',
    ]


def test_a_file_reads_back_as_the_history_of_its_events(tmp_path: Path) -> None:
    events = [event(0, "invoke", 1, value=[1, 2]), event(1, "invoke", "a", "read"), event(2, "ok", 1, value=[1, 2])]
    for name in ("history.jsonl", "history.jsonl.gz"):
        jsonl.write(tmp_path / name, events)
        write, read = jsonl.read(tmp_path / name)
        assert (write.value, write.status, write.call_time, write.return_time) == ((1, 2), "ok", 0, 20)
        assert (read.process, read.status, read.return_time, read.return_rank) == ("a", "info", None, NEVER)
    assert gzip.decompress((tmp_path / "history.jsonl.gz").read_bytes()).count(b"\n") == 3


def test_absent_and_null_are_told_apart() -> None:
    events = [event(0, "invoke"), event(1, "fail", actual=None), event(2, "invoke"), event(3, "fail")]
    saw_null, saw_nothing = History.of_events(events)
    assert saw_null.actual is None
    assert saw_nothing.actual is not None


def test_nemesis_events_never_become_operations() -> None:
    nemesis = [event(index, "info", "nemesis", "start-partition") for index in range(2)]
    assert len(History.of_events([*nemesis, event(2, "invoke"), event(3, "ok")])) == 1


def test_at_one_instant_calls_rank_before_returns() -> None:
    first = Operation(f="write", value=1, call_time=0, return_time=5)
    second = Operation(f="read", result=0, call_time=5, return_time=9, process=1)
    early, late = History.of_operations([second, first])
    assert (early.value, late.f) == (1, "read")
    assert early.return_rank > late.call_rank


MISTAKES = {
    "no-invocation": ([event(0, "ok")], "h:1: process 0 completes write (ok) but has no open invocation"),
    "still-open": (
        [event(0, "invoke"), event(1, "invoke", f="read")],
        "h:2: process 0 invokes read while its write of line 1",
    ),
    "other-f": (
        [event(0, "invoke"), event(1, "ok", f="read")],
        "h:2: process 0 completes read (ok) but line 1 invoked write",
    ),
    "other-key": ([event(0, "invoke", key=1), event(1, "ok", key=2)], "on key 2 but line 1 invoked it on 1"),
    "index": (
        [event(0, "invoke"), Event(index=0, time=0, type="ok", process=0, f="write")],
        "h:2: index 0 is also that of line 1; every event has an index of its own",
    ),
    "index-of-the-nemesis": (
        [event(3, "info", "nemesis"), event(4, "invoke"), event(3, "ok")],
        "h:3: index 3 is also that of line 1",
    ),
    "type": ([event(0, "begin")], "h:1: type 'begin'; it is one of invoke, ok, fail, info"),
    "no-f": ([event(0, "invoke", f="")], "h:1: f ''; f is the name of an operation"),
    "f": ([event(0, "invoke", f=None)], "h:1: f None"),  # type: ignore[arg-type]
    "process": ([event(0, "invoke", None)], "h:1: process None; a process is a whole number or a text"),  # type: ignore[arg-type]
    "boolean-process": ([event(0, "invoke", True)], "h:1: process True"),
    "time": ([Event(time="noon", type="invoke", process=0, f="read")], "h:1: time 'noon'; a time is a number"),  # type: ignore[arg-type]
    "boolean-time": ([Event(time=True, type="invoke", process=0, f="read")], "h:1: time True"),
    "index-as-text": ([Event(index="1", type="invoke", process=0, f="read")], "h:1: index '1'; an index is a whole"),  # type: ignore[arg-type]
    "version": ([event(0, "invoke"), event(1, "ok", version="1")], "h:2: version '1'; a version is a whole number"),
    "error": ([event(0, "invoke"), event(1, "fail", error=None)], "h:2: error None; an error is a text"),
    "actual": ([event(0, "invoke"), event(1, "fail", actual=float("nan"))], "h:2: actual nan equals nothing"),
    "no value": ([event(0, "invoke", value=bytearray()), event(1, "ok")], "value bytearray(b'') cannot be hashed"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_where(mistake: str) -> None:
    events, message = MISTAKES[mistake]
    with pytest.raises(HistoryError) as caught:
        History.of_events(events, "h")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_operation_cannot_return_before_its_call() -> None:
    with pytest.raises(HistoryError, match="before its call"):
        History.of_operations([Operation(f="read", call_time=5, return_time=4)])


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"index":0,"time":0,"type":"invoke","process":0,"f":"read","key":null,"value":null}\nnonsense\n')
    with pytest.raises(HistoryError, match=r"bad\.jsonl:2: not an event"):
        jsonl.read(path)


def test_a_cut_off_last_line_is_an_error_unless_it_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "killed.jsonl"
    jsonl.write(path, [event(0, "invoke"), event(1, "ok")])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(HistoryError, match=r"killed\.jsonl:2: the last line is cut off; --truncated-tail drop"):
        jsonl.read(path)
    (operation,) = jsonl.read(path, truncated_tail="drop")
    assert operation.status == "info"


def test_fields_that_we_do_not_know_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "more.jsonl"
    path.write_text('{"index":0,"time":0,"type":"invoke","process":0,"f":"read","node":"n1"}\n')
    assert len(jsonl.read(path)) == 1


def test_operations_of_a_history_without_times_keep_its_order() -> None:
    events = [
        Event(type="invoke", process=0, f="write", value=1),
        Event(type="ok", process=0, f="write", value=1),
        Event(type="invoke", process=1, f="read"),
        Event(type="ok", process=1, f="read", value=2),
    ]
    violation = check(History.of_events(events), "register").violation
    assert violation is not None
    assert check(violation.window, violation.judge).verdict is Verdict.INVALID
    twice = [*violation.window, *violation.window]
    with pytest.raises(HistoryError, match="call_time None"):
        check(twice, "register")
