"""Jepsen's histories: EDN maps, as Knossos prints them (one a line) and as Jepsen 0.3 writes `history.edn`.

Lives here: what the maps mean as events. :f, :type and :process are keywords there and names here.
"""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from msgspec import UNSET

from checkers.formats import edn
from checkers.formats.edn import Word
from checkers.history import Event, EventType, HistoryError
from checkers.limits import DEFAULT, Limits
from checkers.values import freeze

TYPES = get_args(EventType)
TYPE, F, PROCESS, TIME, INDEX = Word(":type"), Word(":f"), Word(":process"), Word(":time"), Word(":index")
KEY, VALUE, ERROR = Word(":key"), Word(":value"), Word(":error")
MISSING = object()


def events(lines: Iterable[bytes], source: str, limits: Limits = DEFAULT) -> Iterator[tuple[int, Event]]:
    """(line, event) pairs. Raises HistoryError."""
    for line, form in edn.forms(lines, source, limits):
        if not isinstance(form, dict):
            raise HistoryError(
                f"{source}:{line}: {form!r} is not an operation; a map such as {{:type :invoke, ...}} is"
            )
        yield line, _event(form, f"{source}:{line}")


def _event(form: dict[Any, Any], where: str) -> Event:
    """The event that a map says."""
    for name in (TYPE, F, PROCESS):
        if name not in form:
            raise HistoryError(f"{where}: an operation with no {name}; every operation has :type, :f and :process")
    kind = _name(form[TYPE])
    if kind not in TYPES:
        raise HistoryError(f"{where}: :type {form[TYPE]}; it is one of :invoke, :ok, :fail, :info")
    process = form[PROCESS]
    error = form.get(ERROR, MISSING)
    return Event(
        index=form.get(INDEX, -1),
        time=form.get(TIME, -1),
        type=kind,  # type: ignore[arg-type]
        process=process if type(process) is int else _name(process),
        f=_name(form[F]),
        key=_key(form.get(KEY), where),
        value=form.get(VALUE),
        error=UNSET if error is MISSING else str(error),
    )


def _name(form: object) -> str:
    return str(form).removeprefix(":")


def _key(form: object, where: str) -> Any:  # noqa: ANN401 - EDN has more keys than our own format
    if form is None or type(form) is int or type(form) is str:
        return form
    try:
        return freeze(form)
    except TypeError:
        raise HistoryError(f"{where}: key {form!r} cannot be hashed; use a number, a text or a keyword") from None
