"""What a step returned that can be no state, in words: the mistakes that are easily made with a model of one's own.

Lives here: what is refused, and what to return instead. Python would take most of it for a state, and the verdict would
be wrong.
"""

from collections.abc import Hashable, Iterable, Iterator, ValuesView
from inspect import isasyncgen, isawaitable, iscoroutine, isfunction, ismethod, ismodule
from typing import NamedTuple

from checkers.model import Illegal, ModelError

INSTEAD = "give the next state, or ILLEGAL where the operation cannot take place"
HASHABLE = {
    list: "a tuple",
    set: "a frozenset",
    dict: "a tuple of pairs or a frozenset of them",
    bytearray: "bytes",
}


class MisuseError(ModelError):
    """An answer that can be no state, where it is not yet known to which operation it was given."""


class Misuse(NamedTuple):
    """What was returned, and what to return."""

    gave: str
    instead: str


def misuse(after: object, initial: Iterable[object]) -> Misuse | None:
    """What is wrong with `after` as a state of a model that begins in one of the initial ones; None if nothing is."""
    first = list(initial)
    if after is None and None not in first:
        return Misuse("None", "give ILLEGAL where the operation cannot take place, and the state where nothing changes")
    if after is Illegal:
        return Misuse("the class Illegal", "give ILLEGAL where the operation cannot take place")
    if _is_bool(after) and not any(map(_is_bool, first)):
        return Misuse(repr(after), f"{INSTEAD}; a model whose states are booleans has a boolean as its initial state")
    if _is_pair(after) and not any(_is_pair(one) or _may_lead_to(one, after) for one in first):
        return Misuse(_short(after), "give the state alone, or ILLEGAL where the operation cannot take place")
    if after is NotImplemented or after is ... or isinstance(after, BaseException):
        return Misuse(_short(after), INSTEAD)
    if isinstance(after, type) and not any(isinstance(one, type) for one in first):
        return Misuse(f"the class {after.__name__}", INSTEAD)
    return _unevaluated(after, first)


def _unevaluated(after: object, first: list[object]) -> Misuse | None:
    """What is wrong with something that would have to be called, awaited or iterated first."""
    if any(type(one) is type(after) for one in first):
        return None
    if isawaitable(after) or isasyncgen(after):
        if iscoroutine(after):
            after.close()  # else Python warns that nobody waited for it
        return Misuse("something to await", f"a step is a plain function, not an `async def`: {INSTEAD}")
    if isinstance(after, Iterator | ValuesView):
        return Misuse(f"an iterator ({type(after).__name__})", "use `return`, not `yield`, and make a tuple of it")
    if isfunction(after) or ismethod(after) or ismodule(after):
        return Misuse(f"a {type(after).__name__}", f"was it to be called? {INSTEAD}")
    return None


def hashable_instead(value: object) -> str:
    """What to use instead of a value without a hash; empty if that is not known."""
    for kind, instead in HASHABLE.items():
        if isinstance(value, kind):
            return f"use {instead}"
    if isinstance(value, tuple | frozenset):
        found = next((item for item in value if not _has_hash(item)), None)
        return hashable_instead(found) if found is not None else ""
    if hasattr(type(value), "__dataclass_fields__"):
        return "use @dataclass(frozen=True), and fields that can be hashed"
    return "give it a hash and an equality, or use a tuple"


def _has_hash(value: object) -> bool:
    if not isinstance(value, Hashable):
        return False
    return all(map(_has_hash, value)) if isinstance(value, tuple) else True


def _is_bool(value: object) -> bool:
    kind = type(value)
    return kind is bool or (kind.__module__ == "numpy" and kind.__name__.startswith("bool"))


def _is_pair(value: object) -> bool:
    """Whether it is what a step of Porcupine returns: whether it may be, and the state."""
    return type(value) is tuple and len(value) == 2 and _is_bool(value[0])


def _may_lead_to(initial: object, pair: object) -> bool:
    """Whether a model that begins with a tuple may come to that pair: its second element is no such state itself."""
    return type(initial) is tuple and type(pair) is tuple and type(pair[1]) is not tuple


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
