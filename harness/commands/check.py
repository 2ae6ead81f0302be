"""`splitbrain check`: the verdict on histories that are already on disk.

Lives here: arguments in, text or JSON out, the exit code. Reading is `checkers.formats`', judging `checkers.check`'s.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import checkers
from checkers import Budget, HistoryError, ModelError, Result, Verdict, models
from checkers.formats import jsonl

BAD_INPUT = 254


@dataclass(frozen=True)
class Checked:
    """One file and what came of it."""

    path: Path
    seconds: float
    result: Result

    def row(self) -> dict[str, object]:
        """What `--json` says of it."""
        return {
            "path": str(self.path),
            "verdict": self.result.verdict.value,
            "engine": self.result.engine,
            "seconds": round(self.seconds, 6),
            "operations": self.result.operations,
            "reason": self.result.reason,
        }


def check_command(
    paths: Annotated[list[Path], typer.Argument(help="History files, or run directories with a history.jsonl.")],
    model: Annotated[str, typer.Option(help="The specification; auto takes the strongest that fits.")] = "auto",
    init: Annotated[str, typer.Option(help="The initial value, as JSON.")] = "null",
    engine: Annotated[str, typer.Option(help="auto or reference.")] = "auto",
    time_limit: Annotated[float | None, typer.Option(help="Seconds a file; past it the verdict is unknown.")] = None,
    all_keys: Annotated[bool, typer.Option("--all", help="Check every key, also after a violation.")] = False,
    truncated_tail: Annotated[str, typer.Option(help="error or drop: a last line cut off in mid-write.")] = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on stdout.")] = False,
) -> None:
    """Decide whether recorded histories are linearizable. Exits 0 valid, 1 invalid, 2 unknown, 254 bad input."""
    budget = Budget(seconds=time_limit)
    try:
        checked = [_check(path, model, init, engine, budget, all_keys, truncated_tail) for path in paths]
    except (HistoryError, ModelError, OSError) as error:
        typer.echo(f"splitbrain check: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    verdict = checkers.merge(one.result.verdict for one in checked)
    if as_json:
        typer.echo(msgspec.json.encode({"files": [one.row() for one in checked]}))
    else:
        _print(checked, verdict)
    raise typer.Exit(verdict.exit_code)


def _check(
    path: Path, model: str, init: str, engine: str, budget: Budget, all_keys: bool, truncated_tail: str
) -> Checked:
    """The result of one file or run directory, and the seconds that reading and judging it took."""
    file = path / "history.jsonl" if path.is_dir() else path
    start = time.perf_counter()
    tail: jsonl.TruncatedTail = "drop" if truncated_tail == "drop" else "error"
    history = jsonl.read(file, truncated_tail=tail)
    specification = models.get(models.guess(history) if model == "auto" else model, _initial(init))
    result = checkers.check(history, specification, budget=budget, engine=engine, all_keys=all_keys)
    return Checked(path, time.perf_counter() - start, result)


def _initial(text: str) -> models.State:
    try:
        value: models.State = checkers.history.freeze(msgspec.json.decode(text))
    except (msgspec.DecodeError, TypeError) as error:
        raise ModelError(f"--init {text}: {error}; a JSON value is expected") from None
    return value


def _print(checked: Sequence[Checked], verdict: Verdict) -> None:
    """One file in full; of many a line each, then the verdict on all."""
    if len(checked) == 1:
        typer.echo(checked[0].result.render())
        return
    for one in checked:
        typer.echo(f"{one.result.verdict:<8} {one.seconds:8.3f} s  {one.path}  {one.result.reason}")
    count = sum(one.result.verdict is verdict for one in checked)
    typer.echo(f"{verdict}: {count} of {len(checked)} histories")
