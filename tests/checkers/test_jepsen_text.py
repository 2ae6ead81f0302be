"""Jepsen's history.txt and its logs: the forms that are read, and that no operation is lost in them."""

from pathlib import Path

import msgspec
import pytest

from checkers import History, HistoryError, Verdict, check, formats
from checkers.formats.edn_atoms import Word

TXT = """:nemesis	:info	:start	nil
0	:invoke	:write	1
0	:ok	:write	1
1	:invoke	:read	nil
1	:ok	:read	2
"""
OPERATIONS = ["0\t:invoke\t:write\t1", "0\t:ok\t:write\t1", "1\t:invoke\t:read\tnil", "1\t:ok\t:read\t%s"]
STACK = """java.net.SocketTimeoutException: Read timed out
	at java.net.SocketInputStream.socketRead0(Native Method) ~[na:1.8.0_102]
	... 12 common frames omitted
"""
LOG_2015 = f"""
lein test jepsen.etcd-test
INFO  jepsen.os.debian - :n5 debian set up
INFO  jepsen.core - Worker 0 starting
INFO  jepsen.util - {OPERATIONS[0]}
INFO  jepsen.util - :nemesis	:info	:start	"Cut off {{:n5 #{{:n3 :n1}}}}"
INFO  jepsen.util - {OPERATIONS[1]}
INFO  jepsen.util - {OPERATIONS[2]}
WARN  jepsen.core - Process 7 indeterminate
{STACK}INFO  jepsen.util - {OPERATIONS[3]}
INFO  jepsen.core - Everything looks good! \u30fd(\u2018\u30fc`)\u30ce
"""
LOG_UNILOG = f"""INFO [2017-03-30 22:38:51,892] jepsen test runner - jepsen.core Running test:
 {{:name "etcd",
  :nemesis :partition, :ok :x,
  :nodes ["n1" "n2"]}}
INFO [2017-03-30 22:38:51,900] jepsen worker 0 - jepsen.util {OPERATIONS[0]}
INFO [2017-03-30 22:38:51,901] jepsen nemesis - jepsen.util :nemesis	:info	:start	[:cut #a["x"]]
INFO [2017-03-30 22:38:51,902] jepsen worker 0 - jepsen.util {OPERATIONS[1]}
INFO [2017-03-30 22:38:51,903] jepsen worker 1 - jepsen.util {OPERATIONS[2]}
WARN [2017-03-30 22:38:51,936] jepsen worker 1 - jepsen.core Process 1 indeterminate
{STACK}INFO [2017-03-30 22:38:51,940] jepsen worker 1 - jepsen.util {OPERATIONS[3]}
"""
LOG_CONSOLE = f"""INFO	[jepsen test runner] jepsen.core: Relative time begins now
INFO	[jepsen worker 0] jepsen.util: {OPERATIONS[0]}
INFO	[jepsen nemesis] jepsen.util: :nemesis	:info	:kill	{{"n1" [] y: z}}
INFO	[jepsen worker 0] jepsen.util: {OPERATIONS[1]}
ERROR	[pool-1] com.example.Client: 3 attempts - gave up
INFO	[jepsen worker 1] jepsen.util: {OPERATIONS[2]}
INFO	[jepsen worker 1] jepsen.util: {OPERATIONS[3]}
"""
AT = "2022-07-28 07:52:55,480{GMT}"
LOG_FILE = f"""{AT}	INFO	[main] jepsen.cli: Test options:
 {{:concurrency 5,
  :nemesis :kill}}
{AT}	INFO	[jepsen worker 0] jepsen.util: {OPERATIONS[0]}
{AT}	INFO	[jepsen worker nemesis] jepsen.util: :nemesis	:info	:stop	:all
{AT}	INFO	[jepsen worker 0] jepsen.util: {OPERATIONS[1]}
{AT}	WARN	[jepsen worker 3] jepsen.generator.interpreter: Process 3 crashed
{STACK}{AT}	INFO	[jepsen worker 1] jepsen.util: {OPERATIONS[2]}
{AT}	INFO	[n1 stderr] maelstrom.process: Got: 3 :ok
{AT}	INFO	[jepsen worker 1] jepsen.util: {OPERATIONS[3]}
{AT}	INFO	[jepsen test runner] jepsen.core: {{:valid? true,
 :op {{:process 0, :type :ok}}}}
"""


def in_json(message: str, logger: str = "jepsen.util") -> str:
    said = {"@timestamp": "2020-02-25T10:18:38.000Z", "@version": "1", "message": message, "logger_name": logger}
    return msgspec.json.encode({**said, "thread_name": "jepsen worker 0", "level": "INFO"}).decode() + "\n"


LOGS = {
    "of 2015": LOG_2015,
    "of 2015, copied": LOG_2015.replace("\t", "  "),
    "of unilog": LOG_UNILOG,
    "of unilog, copied": LOG_UNILOG.replace("\t", " "),
    "on the console since 2016": LOG_CONSOLE,
    "in the file since 2016": LOG_FILE,
    "in the file, copied": LOG_FILE.replace("\t", "    "),
    "without its zone": LOG_FILE.replace("{GMT}", ""),
    "with a T": LOG_FILE.replace("2022-07-28 07", "2022-07-28T07").replace("{GMT}", "Z"),
    "since 2026": LOG_FILE.replace("jepsen.util", "jepsen.print"),
    "of somebody else's logger": LOG_FILE.replace("jepsen.util", "maelstrom.log"),
    "in JSON": in_json("Running test:\n{:name 1}", "jepsen.core") + "".join(map(in_json, OPERATIONS)),
    "with the line ends of Windows": LOG_FILE.replace("\n", "\r\n"),
}


def file(tmp_path: Path, text: str | bytes, name: str = "jepsen.log") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def verdict(history: History) -> Verdict:
    return check(history, "register").verdict


def test_a_history_in_text(tmp_path: Path) -> None:
    reading = formats.load(file(tmp_path, TXT, "history.txt"))
    assert reading.form == "history-txt"
    assert verdict(reading.history) is Verdict.INVALID
    assert [one.line for one in reading.history] == [2, 4]
    assert verdict(formats.read(file(tmp_path, TXT.replace("\t2", "\t1")))) is Verdict.VALID
    assert verdict(formats.read(file(tmp_path, TXT.replace("\t2", "\t1").replace("\t", " ")))) is Verdict.VALID


@pytest.mark.parametrize("name", LOGS)
def test_a_log(name: str, tmp_path: Path) -> None:
    for read, expected in ((1, Verdict.VALID), (2, Verdict.INVALID)):
        reading = formats.load(file(tmp_path, LOGS[name].replace("%s", str(read))))
        assert reading.form == "jepsen-log"
        assert len(reading.history) == 2
        assert verdict(reading.history) is expected


@pytest.mark.parametrize("head", ["", f"{AT}\tINFO\t[jepsen worker 0] jepsen.util: "])
def test_errors_and_values_may_go_on_in_more_lines(head: str, tmp_path: Path) -> None:
    error = '[:crash #error {\n :cause "x"\n :via [{:type a.B}]}]\nat a.b(C.java:1)\n'
    text = (
        f'{head}:nemesis\t:info\t:start\t#error {{\n :cause "gone"}}\n{head}0\t:invoke\t:write\t{{:a 1,\n  :b 2}}\n'
        f"{head}0\t:info\t:write\t{{:a 1,\n  :b 2}}\t{error}{head}1\t:invoke\t:read\tnil\n{head}1\t:ok\t:read\t[1\n2]\n"
        f"{head}2\t:invoke\t:read\tnil\n{head}2\t:fail\t:read\tnil\tRead timed out\n"
    )
    write, read, failed = formats.read(file(tmp_path, text))
    assert write.value[Word(":b")] == 2
    assert (write.status, read.result, failed.status) == ("info", (1, 2), "fail")
    assert write.error.startswith("[:crash #error {")
    assert failed.error == "Read timed out"


def test_lines_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    noise = b'{"message":"\xff"}\n\xff\xfe\n'
    text = LOG_FILE.replace("%s", "1").encode()
    assert len(formats.read(file(tmp_path, text.replace(b"\n", b"\n" + noise)))) == 2


HEAD = f"{AT}\tINFO\t[jepsen worker 0] jepsen.util: "
CAS = f"{HEAD}0\t:invoke\t:cas\t[0 1]\n{HEAD}0\t:fail\t:cas\t[0 1]%s\n"


@pytest.mark.parametrize("error", ["", "\t:conn-closed", "\t:mismatch"])
def test_a_failed_cas_tells_nothing_but_in_the_log_of_2015(error: str, tmp_path: Path) -> None:
    """A cas also fails where nobody could be reached."""
    modern = CAS % error
    plain = modern.replace(HEAD, "")
    old = plain.replace("0\t:", "INFO  jepsen.util - 0\t:")
    told = {"": "mismatch", "\t:conn-closed": "conn-closed", "\t:mismatch": "mismatch"}[error]
    for text, expected in ((modern, "ignored" if told == "mismatch" else told), (plain, "ignored"), (old, told)):
        (cas,) = formats.read(file(tmp_path, text))
        assert cas.error == expected
        (cas,) = formats.read(file(tmp_path, text), failed_cas="observe")
        assert cas.error == "mismatch"


def test_a_keyword_instead_of_a_value_is_an_error(tmp_path: Path) -> None:
    text = "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n"
    (cas,) = formats.read(file(tmp_path, text))
    assert (cas.value, cas.status, cas.error) == ((1, 2), "info", "timed-out")


def test_who_is_no_client_is_passed_over(tmp_path: Path) -> None:
    text = TXT.replace(":nemesis\t:info\t:start\tnil", ":admin\t:info\t:start\t#<a b>]")
    assert len(formats.read(file(tmp_path, text))) == 2


GOOD = f"{HEAD}{OPERATIONS[0]}\n"
MISTAKES = {
    "a log without an operation": (f"{AT}\tINFO\t[main] jepsen.cli: hello\n", "a Jepsen log in which no line is"),
    "an operation without its value": (GOOD + f"{HEAD}0\t:ok\t:write\n", "log:2: '0\\t:ok\\t:write': it has no value"),
    "one that was cut off": (GOOD + f"{HEAD}0\t:ok\n", "log:2: '0\\t:ok' looks like an operation, but not"),
    "one without a head": (GOOD + "0\t:ok\t:write\t1\n", "log:2: '0\\t:ok\\t:write\\t1' looks like an operation"),
    "one with blanks and no head": (GOOD + "0 :ok :write 1\n", "log:2: '0 :ok :write 1' looks like an operation"),
    "one behind something else": (GOOD + f"{HEAD}x 0\t:ok\t:write\t1\n", "log:2: 'x 0\\t:ok\\t:write\\t1' looks like"),
    "a value that is none": (GOOD + f"{HEAD}0\t:ok\t:write\t[1}}\n", "log:2: '0\\t:ok\\t:write\\t[1}': '}' closes '['"),
    "a value that does not end": (GOOD + f"{HEAD}0\t:ok\t:write\t[1\n", "\\t:write\\t[1': ends inside a form"),
    "two values": (GOOD + f"{HEAD}0\t:ok\t:write\t1 2\n", "'1 2' is several values"),
    "no name": (GOOD + f"{HEAD}0\t:ok\tnil\t1\n", "'nil' is no name of an operation"),
    "another test": (GOOD + f"{HEAD}0\t:ok\t:write\t1\n{AT} INFO [a] a.b: Running test:\n{GOOD}", "log:4: a second"),
    "bytes that are no text": (GOOD.encode() + HEAD.encode() + b'0\t:ok\t:write\t"\xff"\n', "log:2: not UTF-8 text"),
    "a number that may be cut off": (GOOD.rstrip(), "log:1: the last line has no end; end it, or --trun"),
    "half an operation at the end": (GOOD + f"{HEAD}0\t:ok\t:wr", "log:2: '0\\t:ok\\t:wr': it has no value"),
    "a history's line that is none": (TXT + "1 : read 5\n", "log:6: '1 : read 5' is not an operation such as"),
    "a history's line of another type": (TXT + "1\t:done\t:read\t5\n", "log:6: '1\\t:done\\t:read\\t5' is not"),
    "a history's last number": (TXT.rstrip(), "log:5: the last line has no end"),
    "a history's bytes that are no text": (TXT.encode() + b"\xff\n", "log:6: not UTF-8 text"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_no_operation_is_lost(name: str, tmp_path: Path) -> None:
    text, message = MISTAKES[name]
    with pytest.raises(HistoryError) as caught:
        formats.read(file(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", ["", HEAD])
def test_a_last_line_without_an_end_is_taken_if_nothing_can_be_missing(head: str, tmp_path: Path) -> None:
    begin = "".join(f"{head}{one}\n" for one in OPERATIONS[:3])
    for value in ("nil", "[1 2]", '"x"', "true", "5\t:error"):
        text = f"{begin}{head}1\t:ok\t:read\t{value}"
        assert len(formats.read(file(tmp_path, text))) == 2
    cut = file(tmp_path, f"{begin}{head}1\t:ok\t:read\t1")
    assert [one.status for one in formats.read(cut, truncated_tail="drop")] == ["ok", "info"]
