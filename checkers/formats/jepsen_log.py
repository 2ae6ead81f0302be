"""Jepsen's log and console: operations among whatever else a test logs.

Lives here: the forms of its lines since 2015, which of them are operations, and which lines go together. An operation
has one of these forms, each also with blanks where there are tabs:

    INFO  jepsen.util - 0	:invoke	:read	nil
    INFO [2017-03-30 22:38:51,892] jepsen worker 0 - jepsen.util 0	:invoke	:read	nil
    INFO	[jepsen worker 0] jepsen.util: 0	:invoke	:read	nil
    2022-07-28 07:52:55,480{GMT}	INFO	[jepsen worker 0] jepsen.util: 0	:invoke	:read	nil
    {"@timestamp":"...","message":"0 :invoke :read nil","logger_name":"jepsen.util","level":"INFO"}

All other lines are passed over, but none that looks like an operation. Times are not taken: their order is that of the
lines. In the first form a cas that failed without an error compared and found another value, as in Porcupine's etcd
histories; in the others nothing is known of it.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from checkers.formats.jepsen_lines import LOOKS_LIKE_ONE, OPERATION, CutOffError, Operations, Record, is_text, shown
from checkers.formats.jsonl import TruncatedTail
from checkers.history import Event, HistoryError
from checkers.limits import DEFAULT, Limits

LEVEL = r"(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)"
STAMP = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:\{\w+\}|Z|[+-]\d\d:?\d\d)?"
LOGGER = r"[\w.$/*+!?<>-]+"
HEAD = re.compile(
    rf"\s*(?:{LEVEL}\s+(?P<of_2015>{LOGGER}) - +|(?:{STAMP}\s+)?{LEVEL}\s+\[[^\]]*\] +(?P<of_2016>{LOGGER}): +"
    rf"|{LEVEL}\s+\[[^\]]*\] [^\t\"]*? - (?P<of_unilog>{LOGGER})(?:$|:? +))"
)
OPERATION_LOGGERS = frozenset({"jepsen.util", "jepsen.print"})
INSIDE = re.compile(r"(?:^|\s)(?:\d+|:nemesis)\t:(?:invoke|ok|fail|info)\t")
BEGINS_A_TEST = re.compile(r"Running test\b|Relative time begins now|Worker 0 starting|Test version ")
FORM = "INFO\\t[jepsen worker 0] jepsen.util: 0\\t:invoke\\t:read\\tnil"
IGNORED, MISMATCH = "ignored", "mismatch"


class Entry(msgspec.Struct):
    """A line of a log in JSON."""

    message: str
    logger_name: str = ""


class Log:
    """The records of one log, line by line."""

    def __init__(self, source: str, limits: Limits) -> None:
        self._source, self._limits = source, limits
        self._operations = Operations(source, limits)
        self._entry = msgspec.json.Decoder(Entry).decode
        self._record: Record | None = None
        self._of_2015 = False
        self._seen = self._another = False  # an operation; a test that begins after it

    def line(self, number: int, text: str, whole: bool) -> Iterator[tuple[int, Event]]:
        """The event that ends with the line before this one, if there is one."""
        head = HEAD.match(text)
        entry = self._of_json(text) if head is None and text.startswith("{") else None
        if head is None and entry is None:
            self._go_on(number, text)
            return
        yield from self.end()
        if entry is not None:
            logger, message, self._of_2015 = entry.logger_name, entry.message, False
        else:
            assert head is not None, "one of them there is"
            logger, message = head[head.lastgroup or 0], text[head.end() :]
            self._of_2015 = head.lastgroup == "of_2015"
        if self._is_operation(number, logger, message, whole):
            first, *more = message.split("\n")
            if not is_text(first):
                raise HistoryError(f"{self._source}:{number}: not UTF-8 text")
            self._record = Record(number, first)
            for one in more:
                self._record.add(number, one, self._limits)
        elif self._seen and BEGINS_A_TEST.match(message):
            self._another = True

    def _of_json(self, text: str) -> Entry | None:
        try:
            return self._entry(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None

    def _go_on(self, number: int, text: str) -> None:
        """Takes a line without a head, which belongs to the record under way, or to nothing that matters."""
        if LOOKS_LIKE_ONE.match(text) or INSIDE.search(text):
            raise HistoryError(f"{self._source}:{number}: {shown(text)} looks like an operation, but not `{FORM}`")
        if self._record is not None:
            self._record.add(number, text, self._limits)

    def _is_operation(self, number: int, logger: str, message: str, whole: bool) -> bool:
        """Whether it is one; what only looks like one raises HistoryError, unless the file ends in it."""
        found = OPERATION.match(message)
        if found is not None and (logger in OPERATION_LOGGERS or found[2] == "\t"):
            if self._another:
                raise HistoryError(f"{self._source}:{number}: a second test begins before it; check each by itself")
            return True
        if INSIDE.search(message) or (logger in OPERATION_LOGGERS and LOOKS_LIKE_ONE.match(message)):
            if not whole:
                raise CutOffError(f"{self._source}:{number}: the last line is cut off; --truncated-tail drop leaves it")
            raise HistoryError(f"{self._source}:{number}: {shown(message)} looks like an operation, but not `{FORM}`")
        return False

    def end(self, *, cut: bool = False) -> Iterator[tuple[int, Event]]:
        """The event of the record under way."""
        record, self._record = self._record, None
        if record is not None:
            event = self._operations.event(record, cut=cut)
            self._seen = True
            if event.type == "fail" and event.f == "cas":
                event = replace(event, error=_of_failed_cas(event.error or "", self._of_2015))
            yield record.first[0], event


def _of_failed_cas(error: str, of_2015: bool) -> str:
    """The error of a failed cas: what does not say that it compared is not taken to say so."""
    if of_2015:
        return error or MISMATCH
    return IGNORED if error in ("", MISMATCH) else error


def events(
    lines: Iterable[bytes], source: str, truncated_tail: TruncatedTail, limits: Limits = DEFAULT
) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs. Raises HistoryError, also where no line is an operation."""
    log = Log(source, limits)
    found, empty, whole = False, True, True
    try:
        for number, raw in enumerate(lines, 1):
            whole = raw.endswith(b"\n")
            text = raw.decode(errors="surrogateescape").rstrip("\r\n")
            if not raw.isspace():
                empty = False
                for pair in log.line(number, text, whole):
                    found = True
                    yield pair
        for pair in log.end(cut=not whole):
            found = True
            yield pair
    except CutOffError:
        if truncated_tail == "error":
            raise
    if not (found or empty):
        raise HistoryError(f"{source}: a Jepsen log in which no line is an operation such as `{FORM}`")
