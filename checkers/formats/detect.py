"""Which format a file is in, by its content.

Lives here: what each format begins with, and what to say of a file that is in none.
"""

import re
from collections.abc import Iterator
from typing import Literal

from checkers.formats import jepsen_log
from checkers.formats.jepsen_lines import OPERATION
from checkers.history import HistoryError

Format = Literal["auto", "jsonl", "json", "edn", "history-txt", "jepsen-log"]
FORMATS: tuple[Format, ...] = ("jsonl", "json", "edn", "history-txt", "jepsen-log")
ASK = f"use --format {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
LOOK_BYTES = 1 << 22  # of a log before its first operation, where it begins with something else
BRACKETS = b"[{ \t\r\n"
JSON_MEMBER = re.compile(rb'\{\s*(?:\}|"(?:[^"\\]|\\.)*+"\s*:\s*(?:["\[{\d-]|true|false|null))', re.DOTALL)
EDN = re.compile(rb"[{(\[;^]|#[\w:_{^\"<#]")
LOG_IN_JSON = (b'"message"', b'"logger_name"')
SIGNATURES = {
    b"JEPSEN": "Jepsen's own test.jepsen, beside which there is a history.edn or a history.txt",
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"7z\xbc\xaf": "a 7z archive",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "PDF",
    b"\x89PNG": "a picture",
    b"\x7fELF": "a program",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"ARROW1": "Arrow",
    b"\xff\xfe": "UTF-16 text, where UTF-8 is read",
    b"\xfe\xff": "UTF-16 text, where UTF-8 is read",
}


def detect(lines: Iterator[bytes], source: str) -> tuple[Format, list[bytes]]:
    """The format, and the lines that had to be taken for it; an empty file is an empty history of ours.

    Raises HistoryError for a file that is in none.
    """
    begin = list(_up_to_text(lines))
    start = begin[-1].lstrip() if begin else b""
    while begin and not start.strip(BRACKETS) and (more := next(lines, None)):  # what it is stands in the lines behind
        begin.append(more)
        start += more
    line_number, known = len(begin), _known(start)
    if known is not None:
        return known, begin
    if not any(start.startswith(one) for one in SIGNATURES) and b"\0" not in start:
        left = LOOK_BYTES
        while left > 0 and (line := next(lines, None)):
            begin.append(line)
            left -= len(line)
            if _is_of_log(line):
                return "jepsen-log", begin
    shown = start.rstrip()[:40].decode(errors="replace")
    raise HistoryError(f"{source}:{line_number}: {shown!r} begins no known format{_likely(start)}; {ASK}")


def _up_to_text(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines up to the first that is not blank."""
    for line in lines:
        yield line
        if not line.isspace():
            return


def _known(start: bytes) -> Format | None:
    """The format of a file with that first line that is not blank, None where that leaves it open."""
    if not start:
        return "jsonl"
    if _is_of_log(start):
        return "jepsen-log"
    if start.startswith(b"{") and JSON_MEMBER.match(start):
        return "json" if start.split(b"\n", 1)[0].strip() == b"{" else "jsonl"
    if start.startswith(b"[") and JSON_MEMBER.match(start[1:].lstrip()):
        return "json"
    if OPERATION.match(start[:200].decode(errors="replace")):
        return "history-txt"
    if jepsen_log.HEAD.match(start[:200].decode(errors="replace")):
        return "jepsen-log"
    return "edn" if EDN.match(start) else None


def _is_of_log(line: bytes) -> bool:
    """Whether the line is an operation in a log, or of a log in JSON."""
    if line.startswith(b"{"):
        return all(name in line for name in LOG_IN_JSON)
    text = line[:400].decode(errors="replace")
    head = jepsen_log.HEAD.match(text)
    return head is not None and OPERATION.match(text[head.end() :]) is not None


def _likely(start: bytes) -> str:
    """What it looks like, to say so."""
    for signature, name in SIGNATURES.items():
        if start.startswith(signature):
            return f"; it looks like {name}"
    line = start.splitlines()[0] if start.splitlines() else b""
    lower = start[:200].lower()
    if b"\0" in start[:1000] or _is_binary(start[:1000]):
        return "; it looks like binary data"
    if lower.startswith((b"<!doctype html", b"<html")):
        return "; it looks like HTML"
    if start.startswith(b"<"):
        return "; it looks like XML"
    if start.startswith(b"# "):
        return "; it looks like YAML or Markdown"
    if start.startswith((b"---", b"- ", b"%YAML")) or re.match(rb"[\w.-]+:(\s|$)", line):
        return "; it looks like YAML"
    if b"\t" in line:
        return "; it looks like tab separated values"
    if line.count(b",") > 1:
        return "; it looks like CSV"
    return ""


def _is_binary(begin: bytes) -> bool:
    """Whether much of it is no text."""
    odd = sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in begin)
    return odd * 10 > len(begin)
