"""Formats: what is read, how it is detected, what is told of a file that cannot be read."""

import gzip
import os
import threading
from pathlib import Path

import pytest

from checkers import HistoryError, Verdict, check, formats, models

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
    assert (write.f, write.value, write.status, write.call_time, write.return_time) == ("write", 3, "ok", None, None)
    assert (write.line, write.return_line) == (1, 3)
    assert (cas.value, cas.status) == ((1, 2), "fail")
    assert (read.result, read.line) == (3, 5)


def test_a_jepsen_history_with_independent_keys(tmp_path: Path) -> None:
    write, read = formats.read(file(tmp_path, JEPSEN))
    assert (write.key, write.value, write.call_time) == (7, 1, 10)
    assert (read.key, read.value, read.result, read.line) == (7, None, 1, 4)


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


WRITE = "{:process 0, :type :invoke, :f :write, :value %s}\n{:process 0, :type :ok, :f :write, :value %s}\n"
READ = "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value %s}\n"
SAME = {
    "a text with escapes": (r'"\u00e9\n\t\"\\"', '"é\n\t\\"\\\\"'),
    "two escapes of one character": (r'"\ud83d\ude00"', '"\U0001f600"'),
    "a set in another order": ("#{1 2}", "#{2 1}"),
    "a set in a vector in another order": ("[#{[1 2] :a}]", "[#{:a [1 2]}]"),
    "a map in another order": ("{:a 1, :b [2]}", "{:b (2) :a 1}"),
    "a set of maps": ("#{{:a 1 :b 2}}", "#{{:b 2 :a 1}}"),
    "a list and a vector": ("(1 2)", "[1 2]"),
    "an integer with its N": ("7N", "7"),
    "a hexadecimal": ("0x1f", "31"),
    "an octal": ("017", "15"),
    "two zeros": ("00", "0"),
    "minus an octal": ("-017", "-15"),
    "a hexadecimal with its N": ("-0XfFN", "-255"),
    "a binary": ("2r1010", "10"),
    "of radix 36": ("36rZz", "1295"),
    "of radix 36, where N is a digit": ("-36R10N", "-1319"),
    "a float with zeros before it": ("007.50", "7.5"),
    "a float without a fraction": ("7.", "7.0"),
    "a ratio with zeros before it": ("02/04", "1/2"),
    "an octal as a character": (r"\o101", r"\A"),
    "a short octal as a character": (r"\o7", r"\u0007"),
    "a character by its number": (r"\u0041", r"\A"),
    "a space": (r"\space", r"\u0020"),
    "a space by itself": ("\\ ", r"\space"),
    "a tab": (r"\tab", r"\o11"),
    "a return": (r"\return", r"\o15"),
    "a formfeed and a backspace": (r"[\formfeed \backspace]", r"[\u000c \u0008]"),
    "u and o": (r"[\u \o]", r"[\u0075 \o157]"),
    "octals in a text": (r'"\101\0\60x\1234"', r'"A\u0000\u0030xS4"'),
    "escapes in a text": (r'"\b\f\r\t\n\"\\"', r'"\u0008\u000c\u000d\u0009\u000a\u0022\u005c"'),
    "a regular expression": (r'#"\d+\"\."', r'#"\d+\"\."'),
    "a map with a namespace": (
        '#:a{:b 1, :c/d 2, :_/e 3, f 4, _/g 5, "h" 6, 7 8}',
        '{:a/b 1 :c/d 2 :e 3 a/f 4 g 5 "h" 6 7 8}',
    ),
    "a namespace apart from its map": ("#:a.b-c {:b #:d{:e 1}}", "{:a.b-c/b {:d/e 1}}"),
    "metadata": ("^{:a 1} [1]", "[1]"),
    "metadata on metadata": ("^:a ^{:b ^c [d]} #^String {:x ^:y {}}", "{:x {}}"),
    "metadata that is discarded": ("#_ ^:a [1] 2", "2"),
    "metadata on what is tagged": ("^:a #a.B {:x 1}", "#a.B {:x 1}"),
    "a symbol with odd signs": ("[a# b' 'c @d ->e %]", "[a# b' 'c @d ->e %]"),
    "a var": ("#'user/x", "#'user/x"),
    "an object that cannot be read": ("#<Object <a> b>", "#<Object <a> b>"),
    "what stands without a space": ('[1[2]:a"b"#{c}]', '[1 [2] :a "b" #{c}]'),
    "commas": ("[1,,2,]", "[1 2]"),
    "a comment": ("[1 ; two ]\n 2]", "[1 2]"),
    "a decimal with another scale": ("0.10M", "0.1M"),
    "a float with an exponent": ("1e1", "10.0"),
    "a ratio that is whole": ("4/2", "2"),
    "a ratio": ("2/4", "1/2"),
    "a character by its name": (r"\newline", r"\u000a"),
    "a bracket as a character": (r"\(", r"\("),
    "a quote as a character": (r"\"", r"\""),
    "minus": ("-", "-"),
    "not a number": ("##NaN", "##NaN"),
    "infinity": ("##Inf", "##Inf"),
    "a discarded form before it": ("#_2 1", "1"),
    "nested discards": ("1", "#_ #_ :a {:b [}]} 1".replace("[}]", "[]")),
    "a discarded tag": ("1", '#_ #inst "2026" 1'),
    "a keyword": (":a/b", ":a/b"),
    "maps in a map": ("[{{:a 1} #{{:b 2}}}]", "({{:a 1} #{{:b 2}}})"),
    "a tagged text": ('#inst "2026"', '#inst  "2026"'),
}
DIFFERENT = {
    "a regular expression and its text": ('#"a"', '"a"'),
    "a name in a namespace and one in none": ("#:a{:b 1}", "{:b 1}"),
    "a digit and its character": (r"\1", "1"),
    "infinity and its negative": ("##Inf", "##-Inf"),
    "an octal and its digits": ("017", "17"),
    "a keyword and its text": (":x", '":x"'),
    "a symbol and its text": ("x", '"x"'),
    "a symbol and a keyword": ("x", ":x"),
    "a character and its text": (r"\a", '"a"'),
    "a whole float and an integer": ("1", "1.0"),
    "a whole decimal and an integer": ("1M", "1"),
    "a decimal and a float": ("0.5M", "0.5"),
    "a ratio and a float": ("1/2", "0.5"),
    "a ratio and a decimal": ("1/2", "0.5M"),
    "decimals that floats cannot tell apart": ("0.10000000000000000001M", "0.1M"),
    "a set and a vector": ("#{1 2}", "[1 2]"),
    "a map and its entries": ("{:a 1}", "[[:a 1]]"),
    "maps with other values": ("{:a 1}", "{:a 1.0}"),
    "maps with other keys": ("{:a 1}", '{"a" 1}'),
    "true and one": ("#{true}", "#{1}"),
    "a tagged text and the text": ('#inst "2026"', '"2026"'),
}


@pytest.mark.parametrize("name", SAME)
def test_values_that_edn_spells_in_two_ways_are_one(name: str, tmp_path: Path) -> None:
    one, other = SAME[name]
    for written, read in ((one, other), (other, one)):
        history = formats.read(file(tmp_path, WRITE % (written, written) + READ % read))
        for engine in ("auto", "search", "reference"):
            assert check(history, "register", engine=engine).verdict is Verdict.VALID


@pytest.mark.parametrize("name", DIFFERENT)
def test_values_that_edn_tells_apart_are_two(name: str, tmp_path: Path) -> None:
    one, other = DIFFERENT[name]
    for written, read in ((one, other), (other, one)):
        history = formats.read(file(tmp_path, WRITE % (written, written) + READ % read))
        for engine in ("auto", "search", "reference"):
            assert check(history, "register", engine=engine).verdict is Verdict.INVALID


def test_a_set_model_reads_sets(tmp_path: Path) -> None:
    add = WRITE.replace(":write", ":add")
    for read, verdict in (("#{2 1}", Verdict.VALID), ("[2 1]", Verdict.VALID), ("#{2}", Verdict.INVALID)):
        history = formats.read(file(tmp_path, add % (1, 1) + add % (2, 2) + READ % read))
        assert check(history, "set").verdict is verdict


AROUND = {
    "a comment before the bracket": ";; written by jepsen\n[%s]",
    "blank lines before the bracket": "\n \n[%s]\n",
    "a tag before the bracket": "#jepsen.history.SparseHistory [%s]",
    "a tag on a line of its own": "#jepsen.history.SparseHistory\n[%s]",
    "a list": "(%s)",
    "a mark of the byte order": "\ufeff%s",
    "a discarded operation": "%s#_{:process 0, :type :invoke, :f :write, :value 2}\n#_{:process 0 :type :ok}",
    "a discard behind the bracket": "[%s]\n#_(nothing) ; of note\n",
    "tagged maps": "#jepsen.history.Op%s",
}


@pytest.mark.parametrize("name", AROUND)
def test_what_may_stand_around_operations(name: str, tmp_path: Path) -> None:
    (operation,) = formats.read(file(tmp_path, AROUND[name] % (WRITE % (1, 1))))
    assert (operation.value, operation.status) == (1, "ok")


def test_a_mark_of_the_byte_order_before_json(tmp_path: Path) -> None:
    text = '{"index":0,"time":0,"type":"invoke","process":0,"f":"read"}\n'
    assert len(formats.read(file(tmp_path, b"\xef\xbb\xbf" + text.encode()))) == 1
    assert len(formats.read(file(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode())))) == 1


KINDS = {
    "the nemesis": ":process :nemesis, :type :info, :f :start, :value {:a #<x>}",
    "the nemesis without an f": ':process :nemesis, :value #object[a.B 0x1 "x"]',
    "another that is no client": ':process :admin, :type :info, :f :start, :value #:a{:b #"x"}',
    "a regular expression": ':process :nemesis, :type :info, :f :x, :value ^:a [#inst "2026" #uuid "x" 017 36rZ]',
}


@pytest.mark.parametrize("name", KINDS)
def test_who_is_no_client_is_passed_over(name: str, tmp_path: Path) -> None:
    between = f"{{{KINDS[name]}}}\n"
    (operation,) = formats.read(file(tmp_path, between + (WRITE % (1, 1)).replace("\n", "\n" + between)))
    assert (operation.value, operation.status, operation.line) == (1, "ok", 2)


def test_a_client_may_have_a_name(tmp_path: Path) -> None:
    text = (WRITE % (1, 1)).replace("process 0", "process :a")
    info = "{:process :a, :type :invoke, :f :read}\n{:process :a, :type :info, :f :read}\n"
    write, read = formats.read(file(tmp_path, text + info))
    assert (write.process, write.status, read.status) == ("a", "ok", "info")


@pytest.mark.parametrize("around", ["%s", "[%s]", "(%s)", "; of 2014\n%s"])
def test_operations_may_be_vectors_as_knossos_once_had_them(around: str, tmp_path: Path) -> None:
    written = "[0 :invoke :write 1]\n[:nemesis :info :start {:a 1}]\n[0 :ok :write 1]\n"
    text = written + "[1 :invoke :read nil]\n[1 :fail :read nil :x]\n"
    write, read = formats.read(file(tmp_path, around % text))
    assert (write.value, write.result, write.status) == (1, 1, "ok")
    assert (read.status, read.error) == ("fail", ":x")


def test_a_form_may_go_over_many_lines(tmp_path: Path) -> None:
    elements = "\n  ".join(map(str, range(5000)))
    (read,) = formats.read(file(tmp_path, READ % f"[{elements}]"))
    assert len(read.result) == 5000


def test_a_long_text_over_many_lines_is_read_once(tmp_path: Path) -> None:
    line = "x" * 1000 + '\\"\n'
    (write,) = formats.read(file(tmp_path, WRITE % (f'"{line * 20_000}"', "nil")))
    assert len(write.value) == 20_000 * 1002


def test_a_text_may_go_over_lines(tmp_path: Path) -> None:
    (operation,) = formats.read(file(tmp_path, WRITE % ('"a\nb ; {"', '"a\nb ; {"')))
    assert (operation.value, operation.line) == ("a\nb ; {", 1)


def test_what_the_nemesis_says_may_be_any_edn(tmp_path: Path) -> None:
    said = r"{#{:n1} {[1] \(} {:a 1} #object[java.lang.Object 0x1f \"x\"]}".replace(r"\"", '"').replace(r"\(", "\\(")
    text = f"{{:process :nemesis, :type :info, :f :cut, :value {said}}}\n"
    assert len(formats.read(file(tmp_path, text + WRITE % (1, 1)))) == 1


def test_a_console_log_may_have_keys(tmp_path: Path) -> None:
    line = "INFO  jepsen.util - 0\t:%s\t:read\t%s\n"
    text = line % ("invoke", "[1 nil]") + line % ("fail", ":timed-out")
    assert [operation.key for operation in formats.read(file(tmp_path, text))] == [1]


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
JSON = '{"type":"invoke","process":0,"f":"write","value":1,%s}\n'
DEEP = '{"index":0,"time":0,"type":"invoke","process":0,"f":"write","value":%s}\n'
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
    "index-twice": (
        "{:index 5, :process 0, :type :invoke, :f :read}\n{:index 5, :process 0, :type :ok, :f :read}\n",
        "history:2: index 5 is also that of line 1; every event has an index of its own",
    ),
    "no-pair": (
        "{:process 0, :type :invoke, :f :read, :value [7 nil]}\n{:process 0, :type :ok, :f :read, :value [7 1]}\n" * 600
        + "{:process 0, :type :invoke, :f :read, :value nil}\n",
        "history:1201: read of None has no key, but others seem to; say --keyed yes or --keyed no",
    ),
    "other-f": (
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :write}\n",
        "history:2: process 0 completes write (ok) but line 1 invoked read; a completion repeats f",
    ),
    "no-process": ("{:type :invoke, :f :read, :value nil}\n", "history:1: an operation with no :process"),
    "not-a-map": ("[1 2]\n", "history:1: [1, 2] is not an operation; a map such as {:type :invoke, ...} is"),
    "not-utf-8": (b"{:process 0, :type :invoke, :f \xff}\n", "history:1: not UTF-8 text"),
    "number": ("{:process 0, :type :invoke, :f :write, :value 1x}\n", "history:1: malformed EDN: "),
    "odd-time": ('{:time "1", :process 0, :type :invoke, :f :read}\n', "history:1: time '1'; a time is a number of"),
    "odd-index": ("{:index 1.5, :process 0, :type :invoke, :f :read}\n", "history:1: index 1.5; an index is a whole"),
    "json-time": (JSON % '"time":"noon"', "history:1: not an event: Expected `int | float | null`, got `str`"),
    "json-index": (JSON % '"index":1.5', "history:1: not an event: Expected `int | null`, got `float`"),
    "json-index-size": (JSON % '"index":99999999999999999999', "history:1: index 99999999999999999999 is out of range"),
    "json-version": (JSON % '"version":true', "history:1: not an event: Expected `int`, got `bool`"),
    "json-f": (JSON % '"f":""', "history:1: f ''; f is the name of an operation"),
    "closes-nothing": (WRITE % (1, "1}]]])"), "history:2: malformed EDN: ']' closes nothing"),
    "never-closed": (
        "[{:process 0, :type :invoke, :f :read}\n",
        "history:1: malformed EDN: the file ends inside a form",
    ),
    "other-bracket": ("[" + WRITE % (1, 1) + ")", "history:3: malformed EDN: ')' closes '['"),
    "after-the-end": (
        "[" + WRITE % (1, 1) + "]\n{:a 1}",
        "history:4: malformed EDN: '{' after the bracket that closes",
    ),
    "key-twice": ("{:process 0, :f :read, :f :write}\n", "history:1: malformed EDN: a map with the key :f twice"),
    "element-twice": (WRITE % ("#{1 1}", 1), "history:1: malformed EDN: a set with an element twice"),
    "underscore": (WRITE % ("1_000", 1), "history:1: malformed EDN: '1_000' is no number"),
    "radix": (WRITE % ("2r2", 1), "history:1: malformed EDN: '2r2' is no number"),
    "radix-too-large": (WRITE % ("37r1", 1), "history:1: malformed EDN: '37r1' is no number"),
    "no-radix": (WRITE % ("1r0", 1), "history:1: malformed EDN: '1r0' is no number"),
    "ratio-digits": (WRITE % ("1/" + "9" * 5000, 1), "history:1: malformed EDN: a number of 5002 digits"),
    "hexadecimal-digits": (WRITE % ("0x" + "f" * 4000, 1), "history:1: malformed EDN: a number of 4002 digits"),
    "exponent": (WRITE % ("1e99999999999999999999M", 1), "history:1: malformed EDN: 1e99999999999999999999M is out of"),
    "octal-character": (WRITE % (r"\o400", 1), r"history:1: malformed EDN: \o400 is no character"),
    "half-a-character": (WRITE % (r"\ud800", 1), r"history:1: malformed EDN: \ud800 is no character"),
    "octal-escape": (WRITE % (r'"\400"', 1), r"history:1: malformed EDN: a text with the unknown escape \400"),
    "no-map": (WRITE % ("#:a [1]", 1), "history:1: malformed EDN: #:a before [1], where a map is wanted"),
    "own-namespace": (WRITE % ("#::{:a 1}", 1), "history:1: malformed EDN: unexpected '#'"),
    "own-keyword": (WRITE % ("::a", 1), "history:1: malformed EDN: '::a' is neither a keyword nor a symbol"),
    "metadata-of-nothing": (
        WRITE % ("[^:a]", 1),
        "history:1: malformed EDN: ']' after ^ and its metadata, which wants",
    ),
    "no-metadata": (WRITE % ("[^]", 1), "history:1: malformed EDN: ']' after ^, which wants a form"),
    "code": (WRITE % ("#=(+ 1 2)", 1), "history:1: malformed EDN: unexpected '#'"),
    "no-octal": (WRITE % ("08", 1), "history:1: malformed EDN: '08' is no number"),
    "divided-by-zero": (WRITE % ("1/0", 1), "history:1: malformed EDN: '1/0' is no number"),
    "digits": (WRITE % ("9" * 5000, 1), "history:1: malformed EDN: a number of 5000 digits"),
    "escape": (WRITE % (r'"\x"', 1), r"history:1: malformed EDN: a text with the unknown escape \x"),
    "short-escape": (WRITE % (r'"\u00g9"', 1), r"history:1: malformed EDN: a text with the unknown escape \u"),
    "character": (WRITE % (r"\abc", 1), r"history:1: malformed EDN: \abc is no character"),
    "nothing-to-discard": (WRITE % ("[1 #_]", 1), "history:1: malformed EDN: ']' after #_, which wants a form"),
    "discard-at-the-end": (WRITE % (1, 1) + "#_", "history:3: malformed EDN: the file ends after #_"),
    "open-text": (WRITE % (1, '"a'), "history:2: malformed EDN: the file ends inside a form; close the string"),
    "deep-edn": (
        WRITE % ("[" * 3000 + "]" * 3000, 1),
        "history:1: malformed EDN: lists more than 1,000 deep; flatten it, or raise the limit",
    ),
    "deep-json": (DEEP % ("[" * 1001 + "]" * 1001), "history:1: value [[["),
    "deepest-json": (DEEP % ("[" * 100_000 + "]" * 100_000), "history:1: lists more than 1,000 deep"),
    "two-values": (
        "INFO  jepsen.util - 0 :invoke :write 1 2\n",
        "history:1: '0 :invoke :write 1 2': '1 2' is several values; an operation has one",
    ),
    "log-not-utf-8": (b'INFO  jepsen.util - 0 :invoke :write "\xff"\n', "history:1: not UTF-8 text"),
    "broken-gzip": (ZIPPED[:12] + b"garbage" * 9, "history: broken gzip: "),
    "cut-gzip": (ZIPPED[:-6], "history: broken gzip: "),
    "cut-gzip-head": (ZIPPED[:5], "history: broken gzip: "),
    "no-gzip": (b"\x1fhello", "history: broken gzip: "),
    "line-end": (
        '{"index":0,"time":0,"type":"invoke","process":"a\\nb","f":"re\\nad"}\n'
        '{"index":1,"time":0,"type":"invoke","process":"a\\nb","f":"read"}\n',
        "history:2: process a b invokes read while its re ad of line 1 is still open",
    ),
    "log": ("INFO  jepsen.util - nonsense\n", "history: a Jepsen log in which no line is an operation such as"),
    "unknown": ("hello\n", "history:1: 'hello' begins no known format; use --format"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(mistake: str, tmp_path: Path) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(HistoryError) as caught:
        formats.read(file(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
