"""Values and operations in words, as they stand in windows, reasons and error messages.

Lives here: one way to print a value, that of JSON as far as there is one (null, true, "x", [1, 2]; {1, 2} is a set),
and short enough for a line. `harness.signature` reads these lines again.
"""

from collections.abc import Iterable, Mapping
from json import dumps
from typing import Any

from msgspec import UNSET

from checkers.values import Items

LONGEST_TEXT = 60
MOST_ITEMS = 8
DEEPEST = 4


def shown(value: object, depth: int = 0) -> str:
    """The value as text, long ones cut: `[1, 2, 3, ... 97 more]`."""
    kind = type(value)
    if value is None or value is UNSET:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, str) and kind.__module__ in ("builtins", "checkers.formats.edn"):
        return _text(value)
    if depth > DEEPEST:
        return "..."
    if kind in (tuple, list, Items):
        return f"[{_items((shown(item, depth + 1) for item in _first(value)), len(value))}]"  # type: ignore[arg-type]
    if isinstance(value, frozenset | set):
        return f"{{{_items(_of_set(value, depth), len(value))}}}"
    if isinstance(value, Mapping):
        pairs = (f"{shown(name, depth + 1)}: {shown(item, depth + 1)}" for name, item in value.items())
        return f"{{{_items(pairs, len(value))}}}"
    return _cut(" ".join(repr(value).split()))


def _of_set(values: Iterable[object], depth: int) -> list[str]:
    """The elements of a set, numbers in order, the rest in order of their texts."""
    numbers = sorted(value for value in values if type(value) is int)
    return [*map(str, numbers), *sorted(shown(value, depth + 1) for value in values if type(value) is not int)]


def _first(values: Iterable[object]) -> list[object]:
    return [value for _, value in zip(range(MOST_ITEMS), values, strict=False)]


def _items(texts: Iterable[str], count: int) -> str:
    some = [text for _, text in zip(range(MOST_ITEMS), texts, strict=False)]
    return ", ".join([*some, *([f"... {count - MOST_ITEMS} more"] if count > MOST_ITEMS else [])])


def _text(value: str) -> str:
    """A text in quotes; of a long one the beginning and the end."""
    if len(value) <= LONGEST_TEXT:
        return dumps(str(value), ensure_ascii=False)
    half = LONGEST_TEXT // 2
    return f"{dumps(value[:half], ensure_ascii=False)[:-1]}...{dumps(value[-half:], ensure_ascii=False)[1:]}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."


def listed(values: Iterable[object], most: int = 5) -> str:
    """Some of the values, and how many there are besides."""
    texts = [shown(value) for value in values]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def shown_key(key: object) -> str:
    """A key as it stands in brackets or after a word: a text without quotes."""
    return _cut(key) if type(key) is str else shown(key)


def argument(f: str, key: object, value: object) -> str:
    """The key and the argument of an operation, each behind a space; nothing for what there is not."""
    name = "" if key is None else f" [{shown_key(key)}]"
    return name if value is None and str(f) not in UPDATES else f"{name} {shown(value)}"


def outcome(operation: Any) -> str:  # noqa: ANN401 - an Operation, which is defined on top of this
    """Return what an operation answered: its result, `ok` if it told nothing, and `?` if it never returned."""
    one = operation
    if one.status == "info":
        return " -> ?"
    version = "" if one.version is None else f" @{one.version}"
    if one.status == "fail":
        saw = "" if one.actual is UNSET else f", saw {shown(one.actual)}"
        return f" -> {one.error or 'failed'}{saw}{version}"
    silent = str(one.f) not in LOOKS and (one.result is None or (one.echoed and str(one.f) in REPEATS))
    return f" -> {'ok' if silent else shown(one.result)}{version}"


UPDATES = frozenset({"write", "put", "add", "remove", "enqueue", "push", "append"})
"""Operations whose null is an argument."""

LOOKS = frozenset({"read", "get", "dequeue", "pop", "contains", "peek", "txn"})
"""Operations whose null is an answer."""

REPEATS = UPDATES - {"add"} | {"cas", "acquire", "release"}
"""Operations that answer with their argument if all went well; an `add` may have answered with the total."""
