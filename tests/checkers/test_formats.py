"""Formats: what is read, how it is detected, what is told of a file that cannot be read."""

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers import HistoryError, Verdict, check, formats, models
from checkers.formats import edn

KNOSSOS = """{:process 0, :type :invoke, :f :write, :value 3}
{:process 1, :type :invoke, :f :cas, :value [1 2]}
{:process 0, :type :ok, :f :write, :value 3}
{:process 1, :type :fail, :f :cas, :value [1 2]}
{:process 2, :type :invoke, :f :read, :value nil}
{:process 2, :type :ok, :f :read, :value 3}
{:process :nemesis, :type :info, :f :start, :value nil}
"""
JEPSEN = """[#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 0, :f :write, :value [7 1]}
 #jepsen.history.Op{:index 1, :time 20, :type :ok, :process 0, :f :write, :value [7 1]}
 {:index 2, :time 30, :type :info, :process :nemesis, :f :kill, :value {"n1" :killed}}
 {:index 3, :time 40, :type :invoke, :process 1,
  :f :read, :value [7 nil]}
 {:index 4, :time 50, :type :ok, :process 1, :f :read, :value [7 1], :error [:x "y"]}]
"""
LOG = """INFO  jepsen.util - 0	:invoke	:cas	[1 2]
INFO  jepsen.util - 0	:fail	:cas	[1 2]
INFO  jepsen.util - 1	:invoke	:read	nil
INFO  jepsen.util - 1	:fail	:read	:timed-out
"""


def file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "history"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_one_map_a_line(tmp_path: Path) -> None:
    write, cas, read = formats.read(file(tmp_path, KNOSSOS))
    assert (write.f, write.value, write.status, write.call_time, write.return_time) == ("write", 3, "ok", 0, 2)
    assert (cas.value, cas.status) == ((1, 2), "fail")
    assert (read.result, read.line) == (3, 5)


def test_a_jepsen_history_with_independent_keys(tmp_path: Path) -> None:
    write, read = formats.read(file(tmp_path, JEPSEN))
    assert (write.key, write.value, write.call_time) == (7, 1, 10)
    assert (read.key, read.value, read.result, read.line) == (7, None, 1, 4)


def test_events_are_taken_one_by_one_as_they_are_read() -> None:
    line = b"{:process 0, :type :%s, :f :write, :value [7 1]}\n"
    read: list[int] = []

    def lines() -> Iterator[bytes]:
        for number in range(10 * edn.LOOK):
            read.append(number)
            yield line % (b"invoke" if number % 2 == 0 else b"ok")

    stream = edn.keyed(edn.events(lines(), "h"), "h")  # type: ignore[arg-type]
    assert next(stream)[1].key == 7
    assert len(read) == edn.LOOK


def test_a_console_log(tmp_path: Path) -> None:
    cas, read = formats.read(file(tmp_path, LOG))
    assert (cas.status, cas.error) == ("fail", "mismatch")
    assert (read.status, read.error) == ("fail", "timed-out")


def test_gzip_is_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "history.gz"
    path.write_bytes(gzip.compress(KNOSSOS.encode()))
    assert len(formats.read(path)) == 3


def test_a_failed_cas_is_an_observation_or_not(tmp_path: Path) -> None:
    path = file(tmp_path, KNOSSOS.replace("[1 2]", "[3 2]").replace(":value 3}", ":value 3}", 1))
    ignored = formats.read(path, failed_cas="ignore")
    observed = formats.read(path, failed_cas="observe")
    model = models.cas_register(3)
    assert check(ignored, model).verdict is Verdict.VALID
    assert check(observed, model).verdict is Verdict.INVALID


def test_a_nil_read_is_a_value_or_unknown(tmp_path: Path) -> None:
    path = file(tmp_path, KNOSSOS.replace(":ok, :f :read, :value 3", ":ok, :f :read, :value nil"))
    assert check(formats.read(path), "cas-register").verdict is Verdict.INVALID
    assert check(formats.read(path, nil_read="unknown"), "cas-register").verdict is Verdict.VALID


def test_a_mark_of_the_byte_order_before_json(tmp_path: Path) -> None:
    text = '{"index":0,"time":0,"type":"invoke","process":0,"f":"read"}\n'
    assert len(formats.read(file(tmp_path, b"\xef\xbb\xbf" + text.encode()))) == 1
    assert len(formats.read(file(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode())))) == 1


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    for content in (KNOSSOS.encode(), gzip.compress(KNOSSOS.encode()), b"\n\n" + LOG.encode()):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        found = formats.read(pipe)
        writer.join()
        pipe.unlink()
        assert len(found) in (2, 3)


ZIPPED = gzip.compress(KNOSSOS.encode())
MISTAKES = {
    "no-type": ("{:process 0, :f :read, :value nil}\n", "history:1: an operation with no :type"),
    "type": ("{:process 0, :type :maybe, :f :read}\n", "history:1: :type :maybe; it is one of :invoke, :ok"),
    "unclosed": ("{:process 0, :type :ok, :f :read\n", "history:1: malformed EDN: the file ends inside a form"),
    "bracket": ("{:process 0, :type [:ok}\n", "history:1: malformed EDN: '}' closes '['"),
    "odd": ("{:process 0 :type}\n", "history:1: malformed EDN: a map with a key that has no value"),
    "two-open": (
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :invoke, :f :read}\n",
        "history:2: process 0 invokes read while its read of line 1 is still open",
    ),
    "backwards": (
        "{:time 5, :process 0, :type :invoke, :f :read}\n{:time 4, :process 0, :type :ok, :f :read}\n",
        "history:2: time runs backwards",
    ),
    "no-pair": (
        "{:process 0, :type :invoke, :f :write, :value [7 1]}\n{:process 0, :type :ok, :f :write, :value [7 1]}\n" * 600
        + "{:process 0, :type :invoke, :f :read, :value nil}\n",
        "history:1201: value None is no [key value], as those before are",
    ),
    "other-f": (
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :write}\n",
        "history:2: process 0 completes write (ok) but line 1 invoked read; a completion repeats f",
    ),
    "no-process": ("{:type :invoke, :f :read, :value nil}\n", "history:1: an operation with no :process"),
    "not-a-map": ("[1 2]\n", "history:1: 1 is not an operation; a map such as {:type :invoke, ...} is"),
    "not-utf-8": (b"{:process 0, :type :invoke, :f \xff}\n", "history:1: not UTF-8 text"),
    "number": ("{:process 0, :type :invoke, :f :write, :value 1x}\n", "history:1: malformed EDN: "),
    "odd-time": ("{:time 1.5, :process 0, :type :invoke, :f :read}\n", "history:1: :time 1.5"),
    "map-value": ("{:process 0, :type :invoke, :f :write, :value {:a 1}}\n", "cannot be hashed"),
    "broken-gzip": (ZIPPED[:12] + b"garbage" * 9, "history: broken gzip: "),
    "cut-gzip": (ZIPPED[:-6], "history: broken gzip: "),
    "cut-gzip-head": (ZIPPED[:5], "history: broken gzip: "),
    "no-gzip": (b"\x1fhello", "history: broken gzip: "),
    "log": ("INFO  jepsen.util - nonsense\n", "history:1: not a line such as"),
    "unknown": ("hello\n", "history:1: 'hello' begins no known format; use --format"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(mistake: str, tmp_path: Path) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(HistoryError) as caught:
        formats.read(file(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
