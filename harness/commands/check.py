"""`splitbrain check`: the verdict on histories that are already on disk.

Lives here: arguments in, text or JSON out, the exit code. Reading is `checkers.formats`', judging `checkers.check`'s.
Many files are judged in as many processes as there are cores, the smallest first; one that cannot be judged has a row
too, and does not keep the others from theirs.
"""

import os
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import typer

import checkers
from checkers import Budget, HistoryError, ModelError, Result, Verdict, formats, models
from checkers.budget import Meter, SpentError
from checkers.formats.edn import read_all
from checkers.formats.edn_atoms import EdnError, Float, Word
from checkers.formats.files import STANDARD_INPUT
from checkers.formats.store import history_in
from checkers.limits import DEFAULT, Limits, make_room, too_deep
from checkers.multi_register import registers
from checkers.value_table import depth
from harness.commands.terminal import Terminal, one_line, printable
from harness.errors import UsageError

Choice = TypeVar("Choice", bound=str)
AUTO = "auto"
MOST_NESTING = 10_000
TAKES_A_MAP = "multi-register"
EDN_BEGINS = (":", "{", "[", "(", "#")
LONGEST_NUMBER = 19
SPLIT = "each value was taken as [key value], and each key checked apart; --keyed no takes the values whole"


@dataclass(frozen=True)
class Request:
    """One file, and how to judge it."""

    path: Path
    model: str
    initial: "Initial"
    form: formats.Format
    failed_cas: formats.FailedCas
    nil_read: formats.NilRead
    truncated_tail: formats.jsonl.TruncatedTail
    keyed: formats.Keyed
    engine: str
    budget: Budget
    limits: Limits
    all_keys: bool
    explain: bool
    picture: bool


@dataclass(frozen=True)
class Initial:
    """The initial value as it was given: its text, and the value it says."""

    text: str
    value: Any

    def of(self, model: str, reading: formats.Reading) -> object:
        """The same for that model and that history; raises UsageError for a map that is none of them."""
        as_json = reading.form in ("jsonl", "json")
        value = _as_json(self.value) if as_json else _as_edn(self.value)
        if not isinstance(value, dict):
            return value
        if model != TAKES_A_MAP:
            raise UsageError(f"--init {self.text}: only the model {TAKES_A_MAP} takes a map, not {model}")
        named = registers(reading.history)
        return [(_register(name, named, as_json), held) for name, held in value.items()]


@dataclass(frozen=True)
class Fated:
    """An operation that never returned, and whether it must, may or cannot have happened."""

    operation: str
    fate: str
    line: int


@dataclass(frozen=True)
class Checked:
    """What came of one file. The result has been put into words, since models do not travel between processes.

    `model` is None where it was left to a guess and there was none. `unfinished` is None where nobody asked, `note`
    what the reader of the file has to be told.
    """

    path: Path
    verdict: Verdict | Literal["error"]
    engine: str
    seconds: float
    operations: int
    reason: str
    text: str
    model: str | None
    guessed: bool
    picture: str | None = None
    unfinished: tuple[Fated, ...] | None = None
    note: str = ""
    disorder: str = ""

    def row(self) -> dict[str, object]:
        """What `--json` says of it."""
        row: dict[str, object] = {
            "path": printable(str(self.path)),
            "verdict": str(self.verdict),
            "model": self.model,
            "guessed": self.guessed,
            "engine": self.engine,
            "seconds": round(self.seconds, 6),
            "operations": self.operations,
            "reason": printable(self.reason),
        }
        if self.unfinished is not None:
            row["unfinished"] = [
                {"operation": printable(one.operation), "fate": one.fate, "line": one.line} for one in self.unfinished
            ]
        notes = [note for note in (self.note, self.disorder) if note]
        if notes:
            row["note"] = "; ".join(notes)
        return row


def check_command(
    paths: Annotated[list[Path], typer.Argument(help="History files, their directories, or - for standard input.")],
    model: Annotated[str, typer.Option(help="The specification; auto takes the only one that fits, or asks.")] = AUTO,
    form: Annotated[
        str, typer.Option("--format", help="jsonl, json, edn, history-txt, jepsen-log; auto: by content.")
    ] = "auto",
    init: Annotated[str, typer.Option(help="The initial value, as JSON or EDN.")] = "null",
    failed_cas: Annotated[str, typer.Option(help="observe or ignore; auto: as the format means it.")] = "auto",
    nil_read: Annotated[str, typer.Option(help="value or unknown: what an ok read of nil says.")] = "value",
    keyed: Annotated[str, typer.Option(help="yes or no: values are [key value]; auto asks if in doubt.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, register, search or reference.")] = "auto",
    time_limit: Annotated[float | None, typer.Option(help="Seconds a file; past it the verdict is unknown.")] = None,
    memory_limit: Annotated[int | None, typer.Option(help="Bytes a file for what is read and remembered.")] = None,
    max_line: Annotated[int, typer.Option(help="Bytes that a line may have.")] = DEFAULT.line_bytes,
    max_nesting: Annotated[int, typer.Option(help="How deep lists may be nested in a value.")] = DEFAULT.nesting,
    max_ratio: Annotated[int, typer.Option(help="Times its size a packed file may unpack to.")] = DEFAULT.ratio,
    all_keys: Annotated[bool, typer.Option("--all", help="Check every key, also after a violation.")] = False,
    explain: Annotated[bool, typer.Option(help="Say which unfinished operations must have happened.")] = False,
    graph: Annotated[Path | None, typer.Option(help="Draw the first violation to this file, as SVG.")] = None,
    truncated_tail: Annotated[str, typer.Option(help="error or drop: a last line cut off in mid-write.")] = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on stdout.")] = False,
) -> None:
    """Decide whether recorded histories are linearizable. Exits 0 valid, 1 invalid, 2 unknown, 254 bad input."""
    try:
        limits = _limits(max_line, max_nesting, max_ratio)
        initial = _initial(init, limits)
        _require_sense(paths, model, engine, time_limit, memory_limit)
        _require_place(graph)
        requests = [
            Request(
                path=path,
                model=model,
                initial=initial,
                form=_one_of("--format", form, "auto", *formats.FORMATS),
                failed_cas=_one_of("--failed-cas", failed_cas, "auto", "observe", "ignore"),
                nil_read=_one_of("--nil-read", nil_read, "value", "unknown"),
                truncated_tail=_one_of("--truncated-tail", truncated_tail, "error", "drop"),
                keyed=_one_of("--keyed", keyed, "auto", "yes", "no"),
                engine=engine,
                budget=Budget(seconds=time_limit, bytes=memory_limit),
                limits=limits,
                all_keys=all_keys,
                explain=explain,
                picture=graph is not None,
            )
            for path in paths
        ]
        checked = _check_all(requests)
    except (ModelError, OSError) as error:  # a model or a file that does not fit is the user's mistake, not ours
        raise UsageError(str(error)) from error
    verdict = checkers.merge(one.verdict for one in checked if isinstance(one.verdict, Verdict))
    terminal = Terminal(as_json)
    if as_json:
        terminal.document({"files": [one.row() for one in checked]})
    else:
        _print(checked, verdict, terminal)
    terminal.best_effort(f"--graph {graph}", lambda: _draw(checked, graph))
    errors = [one.reason for one in checked if one.verdict == "error"]
    if errors:
        raise UsageError(f"{len(errors)} of {len(checked)} files could not be judged; the first: {errors[0]}")
    raise typer.Exit(verdict.exit_code)


def _require_sense(
    paths: Sequence[Path], model: str, engine: str, time_limit: float | None, memory_limit: int | None
) -> None:
    """Raises UsageError or ModelError for what is wrong whatever is in the files."""
    from checkers.engines import ENGINES

    if model != AUTO:
        models.get(model)
    _one_of("--engine", engine, *ENGINES)
    if time_limit is not None and not time_limit > 0:  # which is how nan fails too
        raise UsageError(f"--time-limit {time_limit:g}: it is a number of seconds above 0")
    if memory_limit is not None and memory_limit <= 0:
        raise UsageError(f"--memory-limit {memory_limit}: it is a number of bytes above 0")
    if len(paths) > 1 and STANDARD_INPUT in map(str, paths):
        raise UsageError("- is standard input, which is checked alone; name one file, or - by itself")


def _require_place(graph: Path | None) -> None:
    """Raises UsageError if no picture can be written there, before anything is judged."""
    if graph is not None and (graph.is_dir() or not graph.parent.is_dir()):
        raise UsageError(f"--graph {graph}: name a file in a directory that exists")


def _check_all(requests: Sequence[Request]) -> list[Checked]:
    """What came of each request, in their order. One alone raises if it cannot be judged."""
    if len(requests) == 1:
        return [_check(requests[0])]
    cores = min(len(requests), os.cpu_count() or 1)
    smallest_first = sorted(requests, key=lambda request: _size(request.path))
    with ProcessPoolExecutor(cores) as pool:
        results = dict(zip((one.path for one in smallest_first), pool.map(_check_of_many, smallest_first), strict=True))
    return [results[request.path] for request in requests]


def _size(path: Path) -> int:
    """The bytes of a file; 0 if there is none, which is said when it is read."""
    try:
        return Path(history_in(path)).stat().st_size
    except (OSError, HistoryError):
        return 0


def _check_of_many(request: Request) -> Checked:
    """The same for one file of many: what is wrong with it is its row."""
    start = time.perf_counter()
    try:
        return _check(request)
    except (HistoryError, ModelError, UsageError, OSError) as error:
        reason = one_line(str(error))
        seconds = time.perf_counter() - start
        given = None if request.model == AUTO else request.model
        return Checked(request.path, "error", "none", seconds, 0, reason, text="", model=given, guessed=False)


def _check(request: Request) -> Checked:
    """The result of one file or run directory, and the seconds that reading and judging it took."""
    start = time.perf_counter()
    meter = Meter(request.budget)
    try:
        reading = _read(request, meter)
    except SpentError as spent:  # nothing is known of a history that was not read
        reason, seconds = str(spent), time.perf_counter() - start
        text = f"{Verdict.UNKNOWN}: {reason}"
        given = None if request.model == AUTO else request.model
        return Checked(request.path, Verdict.UNKNOWN, "none", seconds, 0, reason, text, model=given, guessed=False)
    history = reading.history
    name = models.guess(history) if request.model == AUTO else request.model
    model = models.get(name, request.initial.of(name, reading))
    result = checkers.check(history, model, engine=request.engine, all_keys=request.all_keys, meter=meter)
    seconds = time.perf_counter() - start
    unfinished = tuple(_unfinished(result, model, meter.part())) if request.explain else None
    split = SPLIT if reading.keyed else ""
    return _put_into_words(request, name, result, seconds, unfinished, split, history.note)


def _read(request: Request, meter: Meter) -> formats.Reading:
    """The history of one file or run directory, within the budget of its check."""
    return formats.load(
        request.path,
        form=request.form,
        failed_cas=request.failed_cas,
        nil_read=request.nil_read,
        truncated_tail=request.truncated_tail,
        keyed=request.keyed,
        limits=request.limits,
        meter=meter,
    )


def _put_into_words(
    request: Request,
    model: str,
    result: Result,
    seconds: float,
    unfinished: tuple[Fated, ...] | None,
    note: str = "",
    disorder: str = "",
) -> Checked:
    """What travels back from the process that checked."""
    guessed = request.model == AUTO
    picture = None
    if request.picture and result.violation is not None:
        from checkers.drawing import svg

        picture = svg(result.violation)
    said = "".join(f"{one.fate:<6} {one.operation}\n" for one in unfinished or ())
    split = f"keys: {note}\n" if note else ""
    times = f"times: {disorder}\n" if disorder else ""
    chosen = f"engine: {result.why if result.keys else f'{result.engine}, since {result.why}'}\n" if result.why else ""
    return Checked(
        path=request.path,
        verdict=result.verdict,
        engine=result.engine,
        seconds=seconds,
        operations=result.operations,
        reason=result.reason,
        text=said + split + times + chosen + f"model: {model}{' (guessed)' if guessed else ''}\n" + result.render(),
        model=model,
        guessed=guessed,
        picture=picture,
        unfinished=unfinished,
        note=note,
        disorder=disorder,
    )


def _unfinished(result: Result, model: models.Model, meter: Meter) -> Iterator[Fated]:
    """What is known of each unfinished operation of a valid result, as far as the budget goes."""
    from checkers.hindsight import unfinished

    for part in result.keys or (result,):
        for one, fate in unfinished(part, model, meter):
            yield Fated(str(one), fate, one.line)


def _draw(checked: Sequence[Checked], target: Path | None) -> None:
    """Writes the picture of the first violation, if one is wanted and there is one."""
    pictures = [one.picture for one in checked if one.picture is not None]
    if target is not None and pictures:
        target.write_text(pictures[0], encoding="utf-8")


def _one_of(option: str, given: str, *choices: Choice) -> Choice:
    for choice in choices:
        if given == choice:
            return choice
    raise UsageError(f"{option} {given}: it is one of {', '.join(choices)}")


def _limits(line_bytes: int, nesting: int, ratio: int) -> Limits:
    for option, given in (("--max-line", line_bytes), ("--max-nesting", nesting), ("--max-ratio", ratio)):
        if given <= 0:
            raise UsageError(f"{option} {given}: it is a number above 0")
    if nesting > MOST_NESTING:
        raise UsageError(f"--max-nesting {nesting}: it is at most {MOST_NESTING:,}, which is what Python can show")
    return Limits(line_bytes=line_bytes, nesting=nesting, ratio=ratio)


def _initial(text: str, limits: Limits) -> Initial:
    make_room(limits)
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        raise UsageError(f"--init: {too_deep(limits)}") from None
    except msgspec.DecodeError as error:
        value = _edn_or(text, f"--init {text}: {error}; a JSON value is expected, or one of EDN such as {{:x 0}}")
    if depth(value, limits.nesting) > limits.nesting:
        raise UsageError(f"--init: {too_deep(limits)}")
    return Initial(text, value)


def _edn_or(text: str, mistake: str) -> Any:  # noqa: ANN401 - any EDN value
    """The one value that a text in EDN is; raises UsageError with that message if it is none."""
    try:
        found = read_all(text) if text[:1] in EDN_BEGINS else []
    except EdnError:
        found = []
    if len(found) != 1:
        raise UsageError(mistake)
    return found[0]


def _register(name: object, named: Collection[object], as_json: bool) -> object:
    """The register that a text in a map names: JSON has neither keywords nor numbers there."""
    if not isinstance(name, str) or name in named:
        return name
    meant: list[object] = [int(name)] if name.isdecimal() and len(name) < LONGEST_NUMBER else []
    if not as_json:
        meant.append(Word(f":{name.removeprefix(':')}"))
    return next((one for one in meant if one in named), name)


def _as_json(value: Any) -> Any:  # noqa: ANN401 - any EDN value
    """The value as JSON has it: a keyword is its text there."""
    if isinstance(value, Word):
        return value.text.removeprefix(":")
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {_as_json(name): _as_json(item) for name, item in value.items()}
    return float(value) if isinstance(value, Float) else value


def _as_edn(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with numbers as EDN has them: 1.0 is not 1 there."""
    if isinstance(value, list):
        return [_as_edn(item) for item in value]
    if isinstance(value, dict):
        return {_as_edn(name): _as_edn(item) for name, item in value.items()}
    return Float(value) if isinstance(value, float) else value


def _cells(one: Checked) -> tuple[str, ...]:
    """The row of a file in the table of many."""
    how = one.model or "", one.engine
    return str(one.verdict), f"{one.seconds:.3f}", str(one.operations), *how, str(one.path), one.reason


def _print(checked: Sequence[Checked], verdict: Verdict, terminal: Terminal) -> None:
    """One file in full; of many a line each in a table, then the verdict on all."""
    if len(checked) == 1:
        terminal.lines(checked[0].text.split("\n"))
        return
    rows = [_cells(one) for one in checked]
    terminal.table(("verdict", "seconds", "operations", "model", "engine", "file", "reason"), rows, whole=["file"])
    guessed = sum(one.guessed for one in checked)
    if guessed:
        terminal.lines([f"model: guessed for {guessed} of them; --model sets it"])
    split = sum(bool(one.note) for one in checked)
    if split:
        terminal.lines([f"keys, in {split} of them: {SPLIT}"])
    terminal.lines([f"times, in {one.path}: {one.disorder}" for one in checked if one.disorder])
    judged = [one for one in checked if one.verdict != "error"]
    missing = f", {len(checked) - len(judged)} not judged" if len(judged) < len(checked) else ""
    count = sum(one.verdict is verdict for one in judged)
    terminal.lines([f"{verdict}: {count} of {len(checked)} histories{missing}"])
