"""What an object looked like, so that one can tell whether somebody has changed it since.

Lives here: which objects may change at all, and their contents as plain tuples. States are compared by their equality
everywhere else; an object whose class defines none can only be looked at like this.
"""

from collections.abc import Mapping
from enum import Enum
from fractions import Fraction

from checkers.values import PLAIN

FIXED = PLAIN | {bool, float, complex, bytes, Fraction}
DEEPEST = 12


def may_change(value: object) -> bool:
    """Whether the value may be changed in place: it, or something in it, is no plain value."""
    kind = type(value)
    if kind in FIXED or isinstance(value, Enum | type):
        return False
    return any(map(may_change, value)) if isinstance(value, tuple | frozenset) else True


def snapshot(value: object, depth: int = 0) -> object:
    """The contents of a value, to be compared with those it has later."""
    if depth > DEEPEST or not may_change(value):
        return value
    kind = type(value)
    if isinstance(value, Mapping):
        return kind, [(name, snapshot(item, depth + 1)) for name, item in value.items()]
    if isinstance(value, list | tuple):
        return kind, [snapshot(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return kind, sorted(repr(snapshot(item, depth + 1)) for item in value)
    names = [*getattr(value, "__dict__", ()), *_slots(kind)]
    return kind, [(name, snapshot(getattr(value, name, None), depth + 1)) for name in names]


def _slots(kind: type) -> list[str]:
    """The names of the slots of a class and of those it comes from."""
    found = [getattr(one, "__slots__", ()) for one in kind.__mro__]
    return [name for names in found for name in ([names] if isinstance(names, str) else names) if name != "__weakref__"]
