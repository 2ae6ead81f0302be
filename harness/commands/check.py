"""`splitbrain check`: the verdict on histories that are already on disk.

Lives here: arguments in, text or JSON out, the exit code. Reading is `checkers.formats`', judging `checkers.check`'s.
Many files are judged in as many processes as there are cores, the smallest first.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

import checkers
from checkers import Budget, ModelError, Result, Verdict, formats, models
from harness.commands.terminal import Terminal
from harness.errors import UsageError

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class Request:
    """One file, and how to judge it."""

    path: Path
    model: str
    initial: models.State
    form: formats.Format
    failed_cas: formats.FailedCas
    nil_read: formats.NilRead
    truncated_tail: formats.jsonl.TruncatedTail
    keyed: formats.Keyed
    engine: str
    budget: Budget
    all_keys: bool
    explain: bool
    picture: bool


@dataclass(frozen=True)
class Checked:
    """What came of one file. The result has been put into words, since models do not travel between processes."""

    path: Path
    verdict: Verdict
    engine: str
    seconds: float
    operations: int
    reason: str
    text: str
    picture: str | None = None

    def row(self) -> dict[str, object]:
        """What `--json` says of it."""
        return {
            "path": str(self.path),
            "verdict": self.verdict.value,
            "engine": self.engine,
            "seconds": round(self.seconds, 6),
            "operations": self.operations,
            "reason": self.reason,
        }


def check_command(
    paths: Annotated[list[Path], typer.Argument(help="History files, run directories, or - for standard input.")],
    model: Annotated[str, typer.Option(help="The specification; auto takes the strongest that fits.")] = "auto",
    form: Annotated[str, typer.Option("--format", help="jsonl, edn, jepsen-log; auto looks at the content.")] = "auto",
    init: Annotated[str, typer.Option(help="The initial value, as JSON.")] = "null",
    failed_cas: Annotated[str, typer.Option(help="observe or ignore; auto: as the format means it.")] = "auto",
    nil_read: Annotated[str, typer.Option(help="value or unknown: what an ok read of nil says.")] = "value",
    keyed: Annotated[str, typer.Option(help="yes or no: values are [key value]; auto asks if in doubt.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, register, search or reference.")] = "auto",
    time_limit: Annotated[float | None, typer.Option(help="Seconds a file; past it the verdict is unknown.")] = None,
    memory_limit: Annotated[int | None, typer.Option(help="Bytes a file for what the search remembers.")] = None,
    all_keys: Annotated[bool, typer.Option("--all", help="Check every key, also after a violation.")] = False,
    explain: Annotated[bool, typer.Option(help="Say which unfinished operations must have happened.")] = False,
    graph: Annotated[Path | None, typer.Option(help="Draw the first violation to this file, as SVG.")] = None,
    truncated_tail: Annotated[str, typer.Option(help="error or drop: a last line cut off in mid-write.")] = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on stdout.")] = False,
) -> None:
    """Decide whether recorded histories are linearizable. Exits 0 valid, 1 invalid, 2 unknown, 254 bad input."""
    try:
        requests = [
            Request(
                path=path,
                model=model,
                initial=_initial(init),
                form=_one_of("--format", form, "auto", "jsonl", "edn", "jepsen-log"),
                failed_cas=_one_of("--failed-cas", failed_cas, "auto", "observe", "ignore"),
                nil_read=_one_of("--nil-read", nil_read, "value", "unknown"),
                truncated_tail=_one_of("--truncated-tail", truncated_tail, "error", "drop"),
                keyed=_one_of("--keyed", keyed, "auto", "yes", "no"),
                engine=engine,
                budget=Budget(seconds=time_limit, bytes=memory_limit),
                all_keys=all_keys,
                explain=explain,
                picture=graph is not None,
            )
            for path in paths
        ]
        checked = _check_all(requests)
        _draw(checked, graph)
    except (ModelError, OSError) as error:  # a model or a file that does not fit is the user's mistake, not ours
        raise UsageError(str(error)) from error
    verdict = checkers.merge(one.verdict for one in checked)
    if as_json:
        Terminal(as_json).document({"files": [one.row() for one in checked]})
    else:
        _print(checked, verdict)
    raise typer.Exit(verdict.exit_code)


def _check_all(requests: Sequence[Request]) -> list[Checked]:
    """What came of each request, in their order."""
    cores = min(len(requests), os.cpu_count() or 1)
    if cores == 1:
        return [_check(request) for request in requests]
    smallest_first = sorted(requests, key=lambda request: _file(request.path).stat().st_size)
    with ProcessPoolExecutor(cores) as pool:
        results = dict(zip((request.path for request in smallest_first), pool.map(_check, smallest_first), strict=True))
    return [results[request.path] for request in requests]


def _check(request: Request) -> Checked:
    """The result of one file or run directory, and the seconds that reading and judging it took."""
    start = time.perf_counter()
    history = formats.read(
        _file(request.path),
        form=request.form,
        failed_cas=request.failed_cas,
        nil_read=request.nil_read,
        truncated_tail=request.truncated_tail,
        keyed=request.keyed,
    )
    name = models.guess(history) if request.model == "auto" else request.model
    model = models.get(name, request.initial)
    result = checkers.check(history, model, budget=request.budget, engine=request.engine, all_keys=request.all_keys)
    seconds = time.perf_counter() - start
    said = _unfinished(result, model) if request.explain else ""
    return _put_into_words(request, result, seconds, said)


def _put_into_words(request: Request, result: Result, seconds: float, said: str) -> Checked:
    """What travels back from the process that checked."""
    picture = None
    if request.picture and result.violation is not None:
        from checkers.drawing import svg

        picture = svg(result.violation)
    chosen = f"engine: {result.why if result.keys else f'{result.engine}, since {result.why}'}\n" if result.why else ""
    return Checked(
        path=request.path,
        verdict=result.verdict,
        engine=result.engine,
        seconds=seconds,
        operations=result.operations,
        reason=result.reason,
        text=said + chosen + result.render(),
        picture=picture,
    )


def _unfinished(result: Result, model: models.Model) -> str:
    """A line for each unfinished operation of a valid result: must, may or cannot have happened."""
    from checkers.hindsight import unfinished

    parts = result.keys or (result,)
    lines = [f"{fate:<6} {one}" for part in parts for one, fate in unfinished(part, model)]
    return "".join(f"{line}\n" for line in lines)


def _draw(checked: Sequence[Checked], target: Path | None) -> None:
    """Writes the picture of the first violation, if one is wanted and there is one."""
    pictures = [one.picture for one in checked if one.picture is not None]
    if target is not None and pictures:
        target.write_text(pictures[0])


def _file(path: Path) -> Path:
    return path / "history.jsonl" if path.is_dir() else path


def _one_of(option: str, given: str, *choices: Choice) -> Choice:
    for choice in choices:
        if given == choice:
            return choice
    raise UsageError(f"{option} {given}: it is one of {', '.join(choices)}")


def _initial(text: str) -> models.State:
    try:
        value: models.State = checkers.history.freeze(msgspec.json.decode(text))
    except (msgspec.DecodeError, TypeError) as error:
        raise UsageError(f"--init {text}: {error}; a JSON value is expected") from None
    return value


def _print(checked: Sequence[Checked], verdict: Verdict) -> None:
    """One file in full; of many a line each in a table, then the verdict on all."""
    if len(checked) == 1:
        typer.echo(checked[0].text)
        return
    table = Table("verdict", "seconds", "operations", "engine", "file", "reason", box=None)
    for one in checked:
        table.add_row(one.verdict, f"{one.seconds:.3f}", str(one.operations), one.engine, str(one.path), one.reason)
    Console().print(table)
    count = sum(one.verdict is verdict for one in checked)
    typer.echo(f"{verdict}: {count} of {len(checked)} histories")
