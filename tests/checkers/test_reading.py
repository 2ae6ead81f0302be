"""What is read at most, and for how long: lines, nesting, packed files, and the budget from the first byte on."""

import gzip
import os
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers import Budget, Event, History, HistoryError, Operation, Verdict, check, formats
from checkers.budget import Meter, SpentError
from checkers.formats import jsonl
from checkers.formats.files import UNPACKED_FREELY, open_binary
from checkers.limits import Limits
from checkers.recording import Recording
from checkers.value_table import depth

LINE = '{"type":"%s","process":0,"f":"%s","value":%s}\n'
WRITE = LINE % ("invoke", "write", "%s") + LINE % ("ok", "write", "%s")
READ = LINE % ("invoke", "read", "null") + LINE % ("ok", "read", "%s")
EDN = "{:type :%s, :process 0, :f :%s, :value %s}\n"


def nested(levels: int, inside: object = 1) -> str:
    return "[" * levels + str(inside) + "]" * levels


def file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "history"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("engine", ["auto", "search", "register", "reference"])
@pytest.mark.parametrize("form", ["jsonl", "edn"])
def test_a_value_may_be_nested_a_thousand_deep_all_the_way(engine: str, form: str, tmp_path: Path) -> None:
    deep, other = nested(1000), nested(1000, 2)
    for seen, verdict in ((deep, Verdict.VALID), (other, Verdict.INVALID)):
        text = WRITE % (deep, deep) + READ % seen
        if form == "edn":
            calls = [("invoke", "write", deep), ("ok", "write", deep), ("invoke", "read", "nil"), ("ok", "read", seen)]
            text = "".join(EDN % call for call in calls)
        result = check(formats.read(file(tmp_path, text)), "register", engine=engine)
        assert result.verdict is verdict
        assert verdict is Verdict.VALID or "(((" in result.render() or "[[[" in result.render()


@pytest.mark.parametrize("levels", [1001, 5000, 100_000])
def test_a_value_that_is_nested_deeper_is_one_line(levels: int, tmp_path: Path) -> None:
    deep = nested(levels)
    for text in (WRITE % (deep, deep), EDN % ("invoke", "write", deep)):
        with pytest.raises(
            HistoryError, match=r"history:1: .*lists more than 1,000 deep; flatten it, or raise"
        ) as caught:
            formats.read(file(tmp_path, text))
        assert len(str(caught.value)) < 1000


def test_a_value_that_is_nested_too_deep_is_no_value_from_python_either() -> None:
    deep: object = 1
    for _ in range(1001):
        deep = [deep]
    with pytest.raises(HistoryError, match="operation 0: value has lists more than 1,000 deep"):
        check([Operation(f="write", value=deep, call_time=0, return_time=1)], "register")
    with pytest.raises(HistoryError, match=r"history:1: value .*lists more than 1,000 deep"):
        History.of_events([Event(type="invoke", process=0, f="write", value=deep)])


def test_the_nesting_is_that_of_lists_sets_and_maps() -> None:
    assert [depth(value, 9) for value in (1, "[[", [], [1, [2]], [[], [[[]]]], {1: {2: [3]}}, {(1,)})] == [
        0, 0, 1, 2, 4, 3, 2,
    ]  # fmt: skip


def test_how_deep_values_may_be_nested_can_be_set(tmp_path: Path) -> None:
    limits = Limits(nesting=3)
    assert len(formats.read(file(tmp_path, WRITE % (nested(3), nested(3))), limits=limits)) == 1
    with pytest.raises(HistoryError, match="lists more than 3 deep"):
        formats.read(file(tmp_path, WRITE % (nested(4), nested(4))), limits=limits)


def test_an_integer_with_too_many_digits_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"history:1: not an event"):
        formats.read(file(tmp_path, WRITE % ("9" * 5000, 1)))


@pytest.mark.parametrize("place", [1, 3])
def test_a_line_that_is_too_long_is_refused_with_its_number(place: int, tmp_path: Path) -> None:
    text = (WRITE % (1, 1)) * ((place - 1) // 2) + WRITE % ('"' + "x" * 5000 + '"', 1)
    for content in (text, text.replace("\n", " \n" * 1)):
        with pytest.raises(
            HistoryError, match=rf"history:{place}: a line of more than 4,000 bytes; break it up, or raise"
        ):
            formats.read(file(tmp_path, content), limits=Limits(line_bytes=4000), form="edn" if place == 1 else "auto")


def test_a_line_without_an_end_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    with path.open("wb") as out:
        out.truncate(1 << 32)  # four gigabytes of zeros that take no room on the disk
    tracemalloc.start()
    for form in ("auto", "jsonl", "edn", "jepsen-log"):
        with pytest.raises(HistoryError, match=r"endless:1: a line of more than 1,048,576 bytes"):
            formats.read(path, form=form, limits=Limits(line_bytes=1 << 20))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_bomb_is_refused_before_it_has_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"\n" * (1 << 24)
    path.write_bytes(b"".join([*(packer.compress(zeros) for _ in range(16)), packer.flush()]))
    with pytest.raises(
        HistoryError, match=r"bomb\.gz: it unpacks to more than 1,000 times its size; unpack it yourself"
    ):
        formats.read(path)
    with open_binary(path, limits=Limits(ratio=2000)) as lines:
        assert sum(map(len, lines.blocks())) == 16 << 24


def test_a_small_file_may_pack_as_well_as_it_does(tmp_path: Path) -> None:
    path = file(tmp_path, gzip.compress((WRITE % (1, 1)).encode() + b"\n" * (UNPACKED_FREELY - 1000)))
    assert len(formats.read(path)) == 1


def test_gzip_may_have_members_and_padding(tmp_path: Path) -> None:
    first, second = (WRITE % (1, 1)).encode(), (READ % 1).encode()
    path = file(tmp_path, gzip.compress(first) + gzip.compress(second) + b"\0" * 512)
    assert len(formats.read(path)) == 2
    with pytest.raises(HistoryError, match="broken gzip: "):
        formats.read(file(tmp_path, gzip.compress(first) + b"garbage"))
    with pytest.raises(HistoryError, match="broken gzip: it is cut off"):
        formats.read(file(tmp_path, gzip.compress(first) + gzip.compress(second)[:-3]))


def test_zstd_is_looked_through_where_the_module_is_there(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason="it is what unpacks zstd")
    pack = zstandard.ZstdCompressor().compress
    first, second = (WRITE % (1, 1)).encode(), (READ % 1).encode()
    assert len(formats.read(file(tmp_path, pack(first) + pack(second)))) == 2
    with pytest.raises(HistoryError, match="broken zstd: it is cut off"):
        formats.read(file(tmp_path, pack(first)[:-3]))
    with pytest.raises(HistoryError, match="broken zstd: "):
        formats.read(file(tmp_path, pack(first)[:6] + b"garbage" * 9))
    with pytest.raises(HistoryError, match="unpacks to more than 1,000 times its size"):
        formats.read(file(tmp_path, pack(b"\n" * (1 << 27))))


def test_zstd_without_its_module_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(HistoryError, match="history: packed by zstd, which takes the module zstandard: pip install"):
        formats.read(file(tmp_path, b"\x28\xb5\x2f\xfd" + b"x" * 40))


def test_blank_lines_do_not_shift_the_others(tmp_path: Path) -> None:
    lines = ["\n", LINE % ("invoke", "write", 1), " \n", "\r\n", LINE % ("ok", "write", 1)]
    (operation,) = formats.read(file(tmp_path, "".join(lines)))
    assert (operation.line, operation.return_line) == (2, 5)
    with pytest.raises(HistoryError, match="history:6: not an event"):
        formats.read(file(tmp_path, "".join([*lines, "nonsense\n"])))


class Ticking:
    """A clock that goes on by a second each time that it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_the_time_of_a_check_begins_with_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    edn = EDN % ("invoke", "write", 1) + EDN % ("ok", "write", 1)
    for text in (WRITE % (1, 1), edn):
        path.write_text(text * 20_000)
        with pytest.raises(SpentError, match=r"the time budget of 3 s is spent while .*long\.jsonl was read, after"):
            formats.read(path, meter=Meter(Budget(seconds=3), Ticking()))


def test_pairing_is_on_the_clock_too() -> None:
    ticking = Ticking()
    meter = Meter(Budget(seconds=10), ticking)
    recording = Recording("h", meter)
    recording.extend(enumerate([Event(type="invoke", process=0, f="read")] * 3, 1))
    ticking.now = 100
    with pytest.raises(SpentError, match="the time budget of 10 s is spent after 0 of 3 events were paired"):
        recording.pair()


def test_what_is_read_counts_as_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text((WRITE % (1, 1)) * 20_000)
    with pytest.raises(SpentError, match=r"the memory budget of 500000 bytes is spent while .* was read, after line"):
        formats.read(path, meter=Meter(Budget(bytes=500_000)))
    meter = Meter(Budget(bytes=50_000_000))
    history = formats.read(path, meter=meter)
    assert 30 * 40_000 < meter.bytes < 80 * 40_000
    assert check(history, "register", meter=meter).verdict is Verdict.VALID


def test_a_line_that_memory_does_not_hold_is_not_read(tmp_path: Path) -> None:
    path = file(tmp_path, WRITE % ('"' + "x" * 5_000_000 + '"', 1))
    with pytest.raises(
        SpentError, match="history:1: the memory budget of 1000000 bytes is spent while this line was read"
    ):
        formats.read(path, meter=Meter(Budget(bytes=1_000_000)))


def test_a_pipe_that_nobody_writes_to_is_waited_for_as_long_as_there_is_time(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read_enough = threading.Event()

    def write() -> None:
        with pipe.open("wb", 0) as out:
            out.write((WRITE % (1, 1)).encode())
            read_enough.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(
            SpentError, match=r"the time budget of 0\.2 s is spent while .*pipe was read, after 100 bytes"
        ):
            formats.read(pipe, meter=Meter(Budget(seconds=0.2)))
    finally:
        read_enough.set()
        writer.join()


def test_events_may_still_be_read_line_by_line(tmp_path: Path) -> None:
    path = file(tmp_path, (WRITE % (1, 1)) * 3)
    with open_binary(path) as lines:
        found: Iterator[tuple[int, Event]] = jsonl.events(lines, "h", "error")
        assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6]
