"""Jepsen's console log, the form of Porcupine's etcd histories: `INFO  jepsen.util - 3 :invoke :cas [1 2]`.

Lives here: that one line form. The lines carry no times.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import UNSET

from checkers.formats.edn import read_all
from checkers.formats.edn_atoms import EdnError, Word
from checkers.history import NEMESIS, Event, HistoryError

LINE = re.compile(r"INFO\s+jepsen\.util\s+-\s+:?(\S+)\s+:(invoke|ok|fail|info)\s+:(\S+)\s*(.*)")


def events(lines: Iterable[bytes], source: str) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs. A value of a failed or indeterminate operation that is a keyword is its error."""
    for number, raw in enumerate(lines, 1):
        if raw.isspace():
            continue
        try:
            match = LINE.match(raw.decode())
        except UnicodeDecodeError:
            raise HistoryError(f"{source}:{number}: not UTF-8 text") from None
        if match is None:
            raise HistoryError(f"{source}:{number}: not a line such as `INFO  jepsen.util - 0 :invoke :read nil`")
        process, kind, f, rest = match.groups()
        value = _value(rest, f"{source}:{number}")
        failure = kind in ("fail", "info") and isinstance(value, Word) and value.text.startswith(":")
        yield (
            number,
            Event(
                type=kind,  # type: ignore[arg-type]
                process=int(process) if process.isdecimal() else NEMESIS,
                f=f,
                value=None if failure else value,
                error=str(value).removeprefix(":") if failure else UNSET,
            ),
        )


def _value(text: str, where: str) -> object:
    try:
        forms = read_all(text)
    except EdnError as error:
        raise HistoryError(f"{where}: {text!r} is no EDN value: {error}") from None
    if len(forms) > 1:
        raise HistoryError(f"{where}: {text!r} is {len(forms)} values; an operation has one")
    return forms[0] if forms else None
