"""Plans from where people write them: a TOML file, options, or both, in which case options win.

Lives here: reading, and putting every mistake into one line. Must not live here: what a plan may say (`plan`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness import untrusted
from harness.campaign.plan import Plan
from harness.errors import UsageError
from harness.escape import short
from harness.untrusted import BadRecord

MOST_BYTES = 1 << 20
"""Of a plan."""

_MOST_TOLD = 20

Table = Mapping[str, Any]
"""A table of a plan as it was written down: settings and tables by name."""


def load(path: Path | None, options: Table) -> Plan:
    """The plan of a file with the options laid over it. Raises `UsageError` with everything that is wrong."""
    table = laid_over(_read(path) if path is not None else {}, options)
    if path is not None:
        table = {"name": re.sub(r"[^a-z0-9_.-]", "-", path.stem.lower()).lstrip("-_.") or "campaign", **table}
    source = str(path) if path is not None else "the plan"
    try:
        return Plan.model_validate(table)
    except ValidationError as error:
        mistakes = [_mistake(one["loc"], one["type"], one["msg"], one["input"]) for one in error.errors()]
        distinct = list(dict.fromkeys(mistakes))
        more = [f"and {len(distinct) - _MOST_TOLD} more"] if len(distinct) > _MOST_TOLD else []
        raise UsageError(f"{source}: {'; '.join([*distinct[:_MOST_TOLD], *more])}") from None


def laid_over(table: Table, options: Table) -> dict[str, Any]:
    """The table with the options in it. Of `seeds` the whole table is replaced: its settings exclude each other."""
    merged = dict(table)
    for name, value in options.items():
        below = merged.get(name)
        nested = isinstance(value, Mapping) and isinstance(below, Mapping) and name != "seeds"
        merged[name] = laid_over(below or {}, value) if nested else value
    return merged


def parse_seeds(text: str) -> dict[str, Any]:
    """The table `seeds` of `100`, `1..100` or `fresh:20`; what is wrong with it is for the plan to say."""
    if text.startswith("fresh:"):
        return {"fresh": text.removeprefix("fresh:")}
    return {"range": text} if ".." in text else {"count": text}


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(untrusted.read(path, most=MOST_BYTES, follow=True).decode())
    except BadRecord as error:
        raise UsageError(f"{error}; give the path of a plan in TOML") from error
    except (ValueError, RecursionError) as error:  # of which bad TOML and bad UTF-8 are
        raise UsageError(f"{path}: not TOML: {short(str(error))}") from error


def _mistake(location: Sequence[int | str], kind: str, message: str, given: object) -> str:
    """One mistake: where, what, and what would be right."""
    where = short("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip("."))
    if kind == "extra_forbidden":
        return f"{where}: there is no such setting; choose from {', '.join(_settings(location[:-1]))}"
    if kind == "missing":
        return f"{where}: missing; for example {where}.count = 20"
    text = message.removeprefix("Value error, ").replace("Input should be", "must be")
    shown = "" if kind == "value_error" or isinstance(given, Mapping) else f", not {short(repr(given))}"
    return f"{where}: {text}{shown}" if where else f"{text}{shown}"


def _settings(parts: Sequence[int | str]) -> list[str]:
    """The names that the table at that path may have."""
    model: type[BaseModel] = Plan
    for part in parts:
        annotation = model.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
