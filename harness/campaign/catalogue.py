"""The catalogue: the rows of all runs of a store, in SQLite, to be searched.

Lives here: the database, and bringing it up to date with the run directories, which are the truth: it can be deleted
at any time. Must not live here: what a row says (`settle`), or how rows are shown.

Bringing it up to date is cheap when nothing has happened: a folder whose time of modification is the one that was seen
last holds no run that is not here yet.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from harness.campaign.cells import Cell
from harness.campaign.row import Outcome, Row
from harness.campaign.settle import row_of_directory
from harness.errors import UsageError
from harness.escape import short
from harness.store import is_link_name
from harness.untrusted import Absent, BadRecord, is_text, require_file

FILE = "catalogue.sqlite"
SCHEMA = 1
_BUSY_S = 30.0
_SETTLED_NS = 2_000_000_000
"""A folder that was changed less than that ago may change again without its time of modification telling."""

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, campaign TEXT, env TEXT NOT NULL, cell TEXT NOT NULL, seed INTEGER, verdict TEXT NOT NULL,
    ended TEXT NOT NULL, signature TEXT, version TEXT NOT NULL, began REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (run TEXT PRIMARY KEY, row BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS runs_began ON runs (began);
CREATE INDEX IF NOT EXISTS runs_verdict ON runs (verdict, began);
CREATE INDEX IF NOT EXISTS runs_ended ON runs (ended, began) WHERE ended != 'ended';
CREATE INDEX IF NOT EXISTS runs_version ON runs (version, began);
CREATE INDEX IF NOT EXISTS runs_cell ON runs (cell, seed, began);
CREATE INDEX IF NOT EXISTS runs_campaign ON runs (campaign, began);
CREATE TABLE IF NOT EXISTS folders (folder TEXT PRIMARY KEY, modified_ns INTEGER NOT NULL) WITHOUT ROWID;
"""
"""What is searched is apart from the whole rows: a search then reads a fraction of the file."""

_MASTER = bytes.fromhex("d9d505f920a163d7")
"""A journal that ends so names another file, which SQLite would remove; none of ours does."""

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Row)


def _decode(row: bytes) -> Row:
    """The row. Raises `sqlite3.DatabaseError`, as anything else in the file that makes no sense."""
    try:
        return _decoder.decode(row)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"a row in it makes no sense: {short(str(error))}") from None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted; what is None does not matter. Texts are parts of cell and signature; times are epoch s."""

    verdict: Sequence[str] | None = None
    campaign: str | None = None
    env: str | None = None
    cell: Sequence[str] = ()
    exactly: Cell | None = None
    signature: str | None = None
    version: str | None = None
    since: float | None = None
    until: float | None = None

    def where(self) -> tuple[str, list[object]]:
        """The condition in SQL, and its values."""
        conditions: list[tuple[str, Sequence[object]]] = []
        if self.verdict is not None:
            outcomes = [name for name in self.verdict if name in list(Outcome)]
            ends = [name for name in self.verdict if name not in outcomes]
            either = [f"verdict IN ({_marks(outcomes)})"] if outcomes else []
            either += [f"ended != 'ended' AND ended IN ({_marks(ends)})"] if ends else []
            conditions.append((f"({' OR '.join(either) or '0'})", [*outcomes, *ends]))
        exact = {"campaign = ?": self.campaign, "env = ?": self.env, "version = ?": self.version}
        bounds = {"began >= ?": self.since, "began < ?": self.until}
        conditions += [(text, [value]) for text, value in {**exact, **bounds}.items() if value is not None]
        conditions += [("instr(cell, ?)", [part]) for part in self.cell]
        if self.exactly is not None:
            conditions.append(("cell = ?", [str(self.exactly)]))
        if self.signature is not None:
            conditions.append(("instr(signature, ?)", [self.signature]))
        text = " AND ".join(condition for condition, _ in conditions) or "1"
        return text, [value for _, values in conditions for value in values]


Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def _mending(
    ask: Callable[Concatenate[Catalogue, Parameters], Answer],
) -> Callable[Concatenate[Catalogue, Parameters], Answer]:
    """The same of a catalogue that is made anew if it turns out to be broken."""

    @wraps(ask)
    def mended(catalogue: Catalogue, /, *arguments: Parameters.args, **options: Parameters.kwargs) -> Answer:
        try:
            return ask(catalogue, *arguments, **options)
        except sqlite3.DatabaseError as error:
            catalogue.make_anew(error)
            return ask(catalogue, *arguments, **options)

    return mended


class Catalogue:
    """The catalogue of one store. Usable from the thread that opened it.

    It is an index, so one that is broken is made anew from the runs: in its file, or in memory where that cannot be.
    """

    def __init__(self, store: Path, say: Callable[[str], None]) -> None:
        self.store = store
        self._path: Path | None = store / FILE
        self._say = say
        self._connection = _nowhere()
        try:
            self._connection = _connected(store / FILE)
        except sqlite3.DatabaseError as error:
            self.make_anew(error)

    def close(self) -> None:
        self._connection.close()

    def make_anew(self, error: sqlite3.DatabaseError) -> None:
        """Read all runs again. Raises the error if that has been done, and did not help."""
        if self._path is None:
            raise error
        self._connection.close()
        path, self._path = self._path, None
        try:
            if not _is_broken(error):
                raise error
            _remove(path)
            self._connection = _connected(path)
            self._say(f"{path}: {error}: made anew from the runs")
        except (sqlite3.DatabaseError, OSError) as failure:
            self._connection = _nowhere()
            self._say(f"{path}: {failure}: the runs are read anew each time")
        self.refresh()

    @_mending
    def add(self, rows: Iterable[Row]) -> None:
        """Put rows in, each in the place of an older one of the same run."""
        known = list(rows)
        with self._connection as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?)", [(one.run, _encode(one)) for one in known]
            )
            connection.executemany(f"INSERT OR REPLACE INTO runs VALUES ({_marks(range(10))})", map(_columns, known))

    @_mending
    def rows(self, wanted: Filter = Filter(), limit: int | None = None) -> list[Row]:  # noqa: B008 (frozen)
        """The rows that match, the newest first."""
        condition, values = wanted.where()
        found = f"SELECT run, began FROM runs WHERE {condition} ORDER BY began DESC, run DESC LIMIT ?"
        text = f"SELECT row FROM ({found}) JOIN rows USING (run) ORDER BY began DESC, run DESC"
        return [_decode(row) for (row,) in self._connection.execute(text, [*values, -1 if limit is None else limit])]

    @_mending
    def counts(self, wanted: Filter = Filter()) -> dict[str, int]:  # noqa: B008 (frozen)
        """How many rows match, by verdict."""
        condition, values = wanted.where()
        text = f"SELECT verdict, count(*) FROM runs WHERE {condition} GROUP BY verdict ORDER BY verdict"
        return {str(verdict): count for verdict, count in self._connection.execute(text, values)}

    @_mending
    def failed(self, limit: int) -> list[tuple[Cell, int]]:
        """The cells and seeds whose last run was invalid or crashed, the newest first."""
        text = """
            SELECT row FROM (
                SELECT run, verdict, began, row_number() OVER (PARTITION BY cell, seed ORDER BY began DESC) n
                FROM runs WHERE verdict NOT IN (?, ?) AND (cell, seed) IN (
                    SELECT cell, seed FROM runs WHERE verdict IN (?, ?)))
            JOIN rows USING (run) WHERE n = 1 AND verdict IN (?, ?) ORDER BY began DESC LIMIT ?"""
        uncounted, bad = (Outcome.INTERRUPTED, Outcome.INCOMPLETE), (Outcome.INVALID, Outcome.CRASH)
        found = self._connection.execute(text, [*map(str, (*uncounted, *bad, *bad)), limit])
        rows = [_decode(row) for (row,) in found]
        return [(row.cell, row.seed) for row in rows if row.seed is not None]

    @_mending
    def refresh(self, progress: Callable[[int], None] = lambda count: None) -> None:
        """Bring it up to date with the directories. `progress` is called with the number of runs read so far."""
        read, there = 0, sorted(_folders(self.store))
        seen = dict(self._connection.execute("SELECT folder, modified_ns FROM folders"))
        for folder in there:
            modified_ns = (self.store / folder).stat().st_mtime_ns
            if seen.get(folder) != modified_ns:
                read = self._read(folder, read, progress)
                settled = time.time_ns() - modified_ns > _SETTLED_NS
                self._mark(folder, modified_ns if settled else 0)
        for folder in set(seen) - set(there):
            self._remove(self._known(folder))
        unfinished = self.rows(Filter(verdict=[Outcome.INCOMPLETE]))
        current = [(row, row_of_directory(self.store, self.store / row.run)) for row in unfinished]
        self.add(now for before, now in current if now is not None and now != before)
        self._remove([before.run for before, now in current if now is None])

    def _read(self, folder: str, read: int, progress: Callable[[int], None]) -> int:
        """Add the runs of a folder that are not here yet, remove those that are gone; how many were read so far."""
        known = self._known(folder)
        with os.scandir(self.store / folder) as entries:
            there = {f"{folder}/{entry.name}" for entry in entries if _may_be_run(entry)}
        batch: list[Row] = []
        for run in sorted(there - known):
            row = row_of_directory(self.store, self.store / run)
            batch += [] if row is None else [row]
            read += 1
            if len(batch) >= 1000:
                self.add(batch)
                batch = []
                progress(read)
        self.add(batch)
        self._remove(known - there)
        return read

    def _known(self, folder: str) -> set[str]:
        query = "SELECT run FROM runs WHERE run >= ? AND run < ?"  # in ASCII 0 follows the slash
        return {run for (run,) in self._connection.execute(query, [f"{folder}/", f"{folder}0"])}

    def _mark(self, folder: str, modified_ns: int) -> None:
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", [folder, modified_ns])

    def _remove(self, runs: Iterable[str]) -> None:
        gone = [(run,) for run in runs]
        with self._connection as connection:
            connection.executemany("DELETE FROM runs WHERE run = ?", gone)
            connection.executemany("DELETE FROM rows WHERE run = ?", gone)


@contextmanager
def opened(store: Path, anew: bool = False, say: Callable[[str], None] = lambda notice: None) -> Iterator[Catalogue]:
    """The catalogue of a store, made if there is none, and made again if `anew`; `say` is told if it was broken.

    Raises `UsageError`.
    """
    path = store.resolve() / FILE
    if not path.parent.is_dir():
        raise UsageError(f"--store {store}: there is no such directory")
    if anew:
        try:
            _remove(path)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; name a store that can be written") from error
    for file in _files(path):
        _require_ours(file)
    with closing(Catalogue(path.parent, say)) as known:
        yield known


def _files(path: Path) -> list[Path]:
    """The database and what SQLite keeps beside it."""
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _remove(path: Path) -> None:
    for file in _files(path):
        file.unlink(missing_ok=True)


def _connected(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _nowhere() -> sqlite3.Connection:
    """An empty catalogue that is gone when it is closed."""
    return _connected(":memory:")


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is at fault: not its directory, the disk, or somebody who has it open."""
    name = getattr(error, "sqlite_errorname", None)
    return name is None or name.startswith(_BROKEN)


_BROKEN = (
    *("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_IOERR_SHORT_READ"),
    *("SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG"),
)
"""How the names of errors begin that come of what is in the file; SQLITE_ERROR is a table or column that it lacks."""


def _require_ours(file: Path) -> None:
    """Raises `UsageError` for a file of the database through which SQLite would write or remove something else."""
    right = "splitbrain runs --reindex makes the catalogue anew"
    try:
        require_file(file)
        with file.open("rb") as content:
            content.seek(max(0, content.seek(0, os.SEEK_END) - len(_MASTER)))
            joined = file.name.endswith("-journal") and content.read() == _MASTER
    except Absent:
        return
    except BadRecord as error:
        raise UsageError(f"{error}; {right}") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; {right}") from None
    if joined:
        raise UsageError(f"{file}: names a file outside of the store; {right}")


def _prepare(connection: sqlite3.Connection, path: Path | str) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone() is not None:
        raise sqlite3.DatabaseError("it has triggers or views, and ours have none")
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if schema > SCHEMA:
        raise UsageError(
            f"{path}: made by a newer splitbrain (schema {schema}, this one knows {SCHEMA}); "
            "use that one, or let splitbrain runs --reindex make it anew"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if schema < SCHEMA:
        with connection:
            connection.executescript(_TABLES)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _columns(row: Row) -> tuple[object, ...]:
    signature = None if row.signature is None else str(row.signature)
    return (
        *(row.run, row.campaign, row.cell.env, str(row.cell), row.seed),
        *(row.verdict.value, row.ended, signature, row.version, row.began),
    )


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _folders(store: Path) -> list[str]:
    with os.scandir(store) as entries:
        return [entry.name for entry in entries if _may_be_run(entry)]


def _may_be_run(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(".") or is_link_name(entry.name) or not is_text(entry.name)
    return entry.is_dir(follow_symlinks=False) and not hidden
