"""Jepsen's histories: EDN maps, as Knossos prints them (one a line) and as Jepsen writes `history.edn`.

Lives here: what the maps mean as events. :f, :type and :process are keywords there and names here. A vector
[process type f value], as Knossos once wrote them, is such a map too.
"""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from msgspec import UNSET

from checkers.formats import edn
from checkers.formats.edn_atoms import Word
from checkers.history import MISSING, NEMESIS, Event, EventType, HistoryError, Process
from checkers.limits import DEFAULT, Limits
from checkers.values import freeze

TYPES = get_args(EventType)
TYPE, F, PROCESS, TIME, INDEX = Word(":type"), Word(":f"), Word(":process"), Word(":time"), Word(":index")
KEY, VALUE, ERROR = Word(":key"), Word(":value"), Word(":error")
IN_A_VECTOR = (PROCESS, TYPE, F, VALUE, ERROR)
REQUIRED = (TYPE, F, PROCESS)


class Clients:
    """Tells clients from the rest: a process that is no number and ends what it never began is no client."""

    def __init__(self) -> None:
        self._called: set[Process] = set()

    def process(self, process: Process, kind: str) -> Process:
        """The process, NEMESIS for one that is no client."""
        if isinstance(process, int) or process == NEMESIS:
            return process
        if kind == "invoke":
            self._called.add(process)
        elif kind == "info" and process not in self._called:
            return NEMESIS
        else:
            self._called.discard(process)
        return process


def events(lines: Iterable[bytes], source: str, limits: Limits = DEFAULT) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs. Raises HistoryError."""
    clients = Clients()
    for line, form in edn.forms(lines, source, limits):
        where = f"{source}:{line}"
        if isinstance(form, list) and 3 <= len(form) <= len(IN_A_VECTOR):
            form = dict(zip(IN_A_VECTOR, form, strict=False))
        if not isinstance(form, dict):
            raise HistoryError(f"{where}: {form!r} is not an operation; a map such as {{:type :invoke, ...}} is")
        yield line, _event(form, clients, where)


def _event(form: dict[Any, Any], clients: Clients, where: str) -> Event:
    """The event that a map says."""
    if name(form.get(PROCESS)) == NEMESIS:
        return Event(type="info", process=NEMESIS, f=name(form.get(F)) or "nil", index=_index(form), time=_time(form))
    for required in REQUIRED:
        if form.get(required) is None:
            raise HistoryError(f"{where}: an operation with no {required}; every operation has :type, :f and :process")
    kind = name(form[TYPE])
    if kind not in TYPES:
        raise HistoryError(f"{where}: :type {form[TYPE]!r}; it is one of :invoke, :ok, :fail, :info")
    process = form[PROCESS]
    error = form.get(ERROR)
    return Event(
        index=_index(form),
        time=_time(form),
        type=kind,  # type: ignore[arg-type]
        process=clients.process(process if type(process) is int else name(process), kind),
        f=name(form[F]),
        key=_key(form.get(KEY), where),
        value=form.get(VALUE),
        error=UNSET if error is None else str(error),
    )


def _index(form: dict[Any, Any]) -> Any:  # noqa: ANN401 - the history says what an index is
    return form.get(INDEX, MISSING)


def _time(form: dict[Any, Any]) -> Any:  # noqa: ANN401 - the history says what a time is
    return form.get(TIME, MISSING)


def name(form: object) -> str:
    """The text of a keyword or of what stands for one; nothing of nil."""
    return "" if form is None else str(form).removeprefix(":")


def _key(form: object, where: str) -> Any:  # noqa: ANN401 - EDN has more keys than our own format
    if form is None or type(form) is int or type(form) is str:
        return form
    try:
        return freeze(form)
    except TypeError:
        raise HistoryError(f"{where}: key {form!r} cannot be hashed; use a number, a text or a keyword") from None
