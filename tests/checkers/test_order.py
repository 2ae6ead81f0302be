"""What comes before what in a file of events: lines or indexes say, and times never do."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from checkers import Event, History, HistoryError, Operation, Verdict, check, formats
from checkers.formats import jsonl
from checkers.history import MOST_MADE, NEMESIS

VALID, INVALID = Verdict.VALID, Verdict.INVALID
STAMPED = {
    "events without a time, as Jepsen's history library writes them": (
        INVALID,
        """{:index 0, :time -1, :type :invoke, :process 0, :f :write, :value 1}
{:index 1, :time -1, :type :ok, :process 0, :f :write, :value 1}
{:index 2, :time -1, :type :invoke, :process 1, :f :read, :value nil}
{:index 3, :time -1, :type :ok, :process 1, :f :read, :value nil}
{:index 4, :time -1, :type :invoke, :process 1, :f :read, :value nil}
{:index 5, :time -1, :type :ok, :process 1, :f :read, :value 1}
""",
    ),
    "one process, all times equal": (
        INVALID,
        """{"index":0,"time":5,"type":"invoke","process":0,"f":"write","value":1}
{"index":1,"time":5,"type":"ok","process":0,"f":"write","value":1}
{"index":2,"time":5,"type":"invoke","process":0,"f":"read"}
{"index":3,"time":5,"type":"ok","process":0,"f":"read","value":null}
""",
    ),
    "two processes, the second called at the time at which the first returned": (
        INVALID,
        """{"time":0,"type":"invoke","process":0,"f":"write","value":1}
{"time":5,"type":"ok","process":0,"f":"write","value":1}
{"time":5,"type":"invoke","process":1,"f":"read"}
{"time":9,"type":"ok","process":1,"f":"read","value":null}
""",
    ),
    "two workers whose stamps are out of order": (
        VALID,
        """{:type :invoke, :f :write, :value 1, :process 0, :time 100, :index 0}
{:type :invoke, :f :read, :value nil, :process 1, :time 90, :index 1}
{:type :ok, :f :write, :value 1, :process 0, :time 200, :index 2}
{:type :ok, :f :read, :value 1, :process 1, :time 190, :index 3}
""",
    ),
    "stamps by which the read would come first": (
        INVALID,
        """{"time":700,"type":"invoke","process":0,"f":"write","value":1}
{"time":800,"type":"ok","process":0,"f":"write","value":1}
{"time":100,"type":"invoke","process":1,"f":"read"}
{"time":200,"type":"ok","process":1,"f":"read","value":null}
""",
    ),
    "no index and no time": (
        INVALID,
        """{"type":"invoke","process":0,"f":"write","value":1}
{"type":"ok","process":0,"f":"write","value":1}
{"type":"invoke","process":1,"f":"read"}
{"type":"ok","process":1,"f":"read","value":null}
""",
    ),
    "null for index and time, and a time with a fraction": (
        VALID,
        """{"index":null,"time":null,"type":"invoke","process":0,"f":"write","value":1}
{"index":null,"time":2.5,"type":"ok","process":0,"f":"write","value":1}
{"index":null,"time":1e30,"type":"invoke","process":1,"f":"read"}
{"index":null,"time":-7,"type":"ok","process":1,"f":"read","value":1}
""",
    ),
    "lines in another order than the indexes": (
        VALID,
        """{"index":2,"type":"invoke","process":1,"f":"read"}
{"index":3,"type":"ok","process":1,"f":"read","value":1}
{"index":0,"type":"invoke","process":0,"f":"write","value":1}
{"index":1,"type":"ok","process":0,"f":"write","value":1}
""",
    ),
    "lines in another order than the indexes, and the nemesis among them": (
        INVALID,
        """{"index":20,"type":"invoke","process":1,"f":"read"}
{"index":30,"type":"ok","process":1,"f":"read","value":null}
{"index":25,"type":"info","process":"nemesis","f":"start","value":{"any":["thing"]}}
{"index":0,"type":"invoke","process":0,"f":"write","value":1}
{"index":1,"type":"ok","process":0,"f":"write","value":1}
""",
    ),
    "an index that one event lacks: lines count": (
        INVALID,
        """{"index":2,"type":"invoke","process":1,"f":"read"}
{"index":3,"type":"ok","process":1,"f":"read","value":1}
{"index":0,"type":"invoke","process":0,"f":"write","value":1}
{"type":"ok","process":0,"f":"write","value":1}
""",
    ),
    "an index that is -1 is none: lines count": (
        INVALID,
        """{"index":2,"type":"invoke","process":1,"f":"read"}
{"index":3,"type":"ok","process":1,"f":"read","value":1}
{"index":-1,"type":"invoke","process":0,"f":"write","value":1}
{"index":1,"type":"ok","process":0,"f":"write","value":1}
""",
    ),
    "one index twice where another event has none: lines count": (
        VALID,
        """{"index":1,"type":"invoke","process":0,"f":"write","value":1}
{"index":1,"type":"ok","process":0,"f":"write","value":1}
{"type":"invoke","process":1,"f":"read"}
{"type":"ok","process":1,"f":"read","value":1}
""",
    ),
    "an info that nobody waited for stays open": (
        VALID,
        """{"time":9,"type":"invoke","process":0,"f":"write","value":1}
{"time":9,"type":"info","process":0,"f":"write","value":1}
{"time":9,"type":"invoke","process":1,"f":"read"}
{"time":9,"type":"ok","process":1,"f":"read","value":null}
{"time":9,"type":"invoke","process":1,"f":"read"}
{"time":9,"type":"ok","process":1,"f":"read","value":1}
""",
    ),
}


@pytest.mark.parametrize("name", STAMPED)
@pytest.mark.parametrize("engine", ["auto", "search", "reference"])
def test_the_order_of_events_is_that_of_the_file(name: str, engine: str, tmp_path: Path) -> None:
    verdict, text = STAMPED[name]
    path = tmp_path / "history"
    path.write_text(text)
    assert check(formats.read(path), "register", engine=engine).verdict is verdict


def recorded(random: Random, count: int) -> list[Event]:
    """Events of three clients of a register of small values, some of whom lie, and of the nemesis."""
    open_, events = dict[int, Event](), list[Event]()
    while len(events) < count:
        process = random.randrange(3)
        call = open_.pop(process, None)
        if random.random() < 0.1:
            events.append(Event(type="info", process=NEMESIS, f="cut", value={"n1": None}))
        if call is None:
            f = random.choice(["read", "write"])
            open_[process] = Event(
                type="invoke", process=process, f=f, value=random.randrange(3) if f == "write" else None
            )
            events.append(open_[process])
        else:
            seen = random.randrange(3) if call.f == "read" else call.value
            events.append(replace(call, type=random.choice(["ok", "ok", "ok", "fail"]), value=seen))
    return events


def placed(history: History) -> list[tuple[object, ...]]:
    """The operations without what times say."""
    ranks = sorted(rank for one in history for rank in (one.call_rank, one.return_rank))
    order = {rank: place for place, rank in enumerate(ranks)}
    return [
        (one.process, one.f, one.value, one.result, one.status, order[one.call_rank], order[one.return_rank])
        for one in history
    ]


@pytest.mark.parametrize("seed", range(40))
def test_no_stamp_changes_anything(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    events = recorded(random, 40)
    plain = History.of_events(events)
    path = tmp_path / "history.jsonl"
    times = [random.choice([-1, None, 0, 5, random.randrange(10**9)]) for _ in events]
    for stamps in (times, sorted(times, key=lambda time: time or 0), [7] * len(events)):
        stamped = [replace(event, time=time) for event, time in zip(events, stamps, strict=True)]
        indexed = [replace(event, index=3 * place) for place, event in enumerate(stamped)]
        random.shuffle(indexed)
        for given in (stamped, indexed):
            jsonl.write(path, given)
            for history in (History.of_events(given), formats.read(path)):
                assert placed(history) == placed(plain)
                assert check(history, "register").verdict is check(plain, "register").verdict


def test_operations_of_one_process_follow_one_another() -> None:
    for seed in range(200):
        random = Random(seed)
        history = History.of_events([replace(one, time=random.randrange(3)) for one in recorded(random, 30)])
        for process in range(3):
            its = [one for one in history if one.process == process]
            assert all(first.return_rank < second.call_rank for first, second in pairwise(its))


def stamped(*times: int) -> Sequence[Event]:
    return [
        Event(time=time, type="invoke" if place % 2 == 0 else "ok", process=0, f="write", value=1)
        for place, time in enumerate(times)
    ]


MS = 1_000_000


@pytest.mark.parametrize(
    ("times", "note"),
    [
        ((1, 2, 3, 4), ""),
        ((5 * MS, 4 * MS, 4 * MS, 5 * MS), ""),
        ((-1, -1, -1, -1), ""),
        ((-9 * MS, -1, -9 * MS, -1), ""),
        ((0, -1, 9 * MS, -1), ""),
        ((5 * MS, 4 * MS - 1), "1 event is stamped more than 1 ms before an earlier one, up to 1.0 ms; "),
        (
            (9 * MS, 1 * MS, 2 * MS, 9 * MS, 3 * MS, 20 * MS),
            "3 events are stamped more than 1 ms before an earlier one, up to 8.0 ms; ",
        ),
    ],
)
def test_times_that_run_far_backwards_are_noted_once(times: tuple[int, ...], note: str) -> None:
    found = History.of_events(stamped(*times)).note
    assert found.startswith(note) if note else not found


def test_the_note_is_of_the_order_that_counts() -> None:
    events = [replace(event, index=place) for place, event in enumerate(stamped(0, 5 * MS, 9 * MS, 9 * MS))]
    assert not History.of_events([*events[2:], *events[:2]]).note
    backwards = [replace(one, index=place) for place, one in enumerate(stamped(9 * MS, 9 * MS, 5 * MS, 0))]
    assert "up to 9.0 ms" in History.of_events([*backwards[2:], *backwards[:2]]).note


def test_intervals_that_touch_are_concurrent() -> None:
    write = Operation(f="write", value=1, process=0, call_time=0, return_time=5)
    read = Operation(f="read", result=None, process=0, call_time=5, return_time=9)
    assert check([write, read], "register").verdict is VALID
    assert check([write, replace(read, call_time=6)], "register").verdict is INVALID


def test_a_long_history_is_made_of_the_same_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a long one are made each time they are asked for."""
    for seed in range(30):
        random = Random(seed)
        events = [
            replace(event, key=random.choice(["x", "y"]) if event.type == "invoke" else None, time=place)
            for place, event in enumerate(recorded(random, 60))
        ]
        keys: dict[object, object] = {}
        for place, event in enumerate(events):
            if event.type == "invoke":
                keys[event.process] = event.key
            elif event.process != NEMESIS:
                told = {"version": place} if random.random() < 0.5 else {"error": "mismatch", "actual": [place, "a"]}
                events[place] = replace(event, key=keys[event.process], **(told if random.random() < 0.5 else {}))
        short = History.of_events(events)
        with monkeypatch.context() as patched:
            patched.setattr("checkers.history.MOST_MADE", 0)
            long = History.of_events(events)
        assert list(long) == list(short.operations) == [long.operations[place] for place in range(len(long))]
        assert not long.columns.counted
        returned = [~code for code in short.columns.events if code < 0]
        parts = [(long, short), *zip(long.by_key(), short.by_key(), strict=True)]
        for one, other in parts[:]:
            parts.append((one.part(range(0, len(one), 2)), other.part(range(0, len(other), 2))))
        parts += [(long.prefix(place), short.prefix(place)) for place in returned[::5]]
        for one, other in parts:
            assert [plain(it) for it in one] == [plain(it) for it in other]
            mine, theirs = one.columns, other.columns
            assert (mine.keys, mine.key, mine.events) == (theirs.keys, theirs.key, theirs.events)
            assert [mine.names[kind] for kind in mine.kind] == [theirs.names[kind] for kind in theirs.kind]


def plain(operation: Operation) -> Operation:
    """Without what an unfinished operation need not know of its end."""
    return operation if operation.returned else replace(operation, return_index=-1, error=None, return_line=0)


def test_a_long_history_is_longer_than_what_is_made_at_once() -> None:
    events = [replace(one, process=0) for _ in range(MOST_MADE // 2 + 1) for one in stamped(0, 1, 2, 3)]
    history = History.of_events(events)
    assert not isinstance(history.operations, list)
    assert history.operations[-1].actual is UNSET
    assert check(history, "register").verdict is VALID


def test_a_duplicate_index_is_named_with_both_lines() -> None:
    events = [replace(event, index=index) for event, index in zip(stamped(0, 1, 2, 3), (4, 7, 2, 7), strict=True)]
    with pytest.raises(HistoryError, match="h:4: index 7 is also that of line 2; every event has an index of its own"):
        History.of_events(events, "h")
