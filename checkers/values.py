"""The values in a history, made fit to be compared: which are equal, and which can be told apart.

Lives here: how a value becomes one that has a hash and equals itself, how it becomes again what the user recorded, and
a name for it that tells 1 from 1.0. Python says that 1 == 1.0 == True, and that NaN equals nothing; a register must not
read true where it held 1, and no reply can be compared with NaN.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from types import NoneType

import msgspec

from checkers.texts import Unseen


class Boolean(msgspec.Struct, frozen=True):
    """A JSON boolean that equals no number."""

    value: bool

    def __bool__(self) -> bool:
        return self.value

    def __repr__(self) -> str:
        return "true" if self.value else "false"


class Map(Mapping[object, object]):
    """A map that has a hash, since its keys and values have; it equals a dict of the same."""

    __slots__ = ("_found", "_hash")

    def __init__(self, found: Mapping[object, object]) -> None:
        self._found = dict(found)
        self._hash = hash(frozenset(self._found.items()))

    def thawed(self) -> "Map":
        """The map with the plain values that the user recorded; itself if it holds no others."""
        plain = {thaw(key): thaw(value) for key, value in self._found.items()}
        pairs = zip(plain.items(), self._found.items(), strict=True)
        if all(key is old_key and value is old for (key, value), (old_key, old) in pairs):
            return self
        return Map(plain)

    def __getitem__(self, key: object) -> object:
        return self._found[key]

    def __iter__(self) -> Iterator[object]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        return self._found == (other._found if isinstance(other, Map) else other)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        """Its entries in an order that depends neither on the process nor on how they were written down."""
        return f"{{{', '.join(sorted(f'{key!r}: {value!r}' for key, value in self.items()))}}}"


TRUE, FALSE = Boolean(True), Boolean(False)
TUPLES = {tuple}
PLAIN = frozenset(
    {int, str, NoneType, Boolean, Unseen, msgspec.UnsetType}
)  # types whose values equal nothing of another


class NotAValueError(TypeError):
    """A value that cannot be judged; the message goes on after the value."""


def freeze(value: object) -> object:
    """The value with lists as tuples, sets as frozensets, maps as `Map` and booleans as `Boolean`, so that it can be a
    state.

    Raises NotAValueError for what has no hash and for what does not equal itself (NaN).
    """
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value
    if kind is bool:
        return TRUE if value else FALSE
    if isinstance(value, list | tuple):
        return tuple([freeze(item) for item in value])
    if isinstance(value, set | frozenset):
        return frozenset([freeze(item) for item in value])
    if isinstance(value, dict):
        return Map({freeze(key): freeze(item) for key, item in value.items()})
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):  # neither bool nor list
        return freeze(value.tolist())
    try:
        hash(value)
    except TypeError:
        raise NotAValueError("cannot be hashed; use null, a number, a string or a list of them") from None
    if value != value:
        raise NotAValueError("equals nothing, not even itself, so that no reply can be compared with it; use null")
    return value


def thaw(value: object) -> object:
    """The value as the user recorded it: a bool for each `Boolean`; the very same object if there is none in it."""
    kind = type(value)
    if kind is Boolean:
        return bool(value)
    if kind is tuple or kind is frozenset:
        items: Collection[object] = value  # type: ignore[assignment]
        found = [thaw(item) for item in items]
        return kind(found) if any(one is not item for one, item in zip(found, items, strict=True)) else value
    if isinstance(value, Map):
        return value.thawed()
    return value


def told_apart(value: object) -> object:
    """A name of the value, equal only for what is equal and of the same types all through: 1 and 1.0 have two.

    It sees through tuples, sets, maps, and the fields of dataclasses, structs and attrs classes.
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, tuple):
        parts = value if _are_plain(value) else tuple([told_apart(item) for item in value])
        return parts if kind is tuple else (kind, parts)
    if kind is frozenset:
        return value if _are_plain(value) else frozenset([told_apart(item) for item in value])  # type: ignore[arg-type, attr-defined]
    return (kind, _name(kind, value))


def _name(kind: type, value: object) -> object:
    """What tells values of one class apart."""
    if kind in (float, complex, Decimal):
        return repr(value)  # 0.0 equals -0.0
    if isinstance(value, set | frozenset):
        return frozenset([told_apart(item) for item in value])
    if isinstance(value, Mapping):
        return frozenset([(told_apart(name), told_apart(item)) for name, item in value.items()])
    if isinstance(value, list):
        return tuple([told_apart(item) for item in value])
    names = _fields(kind)
    return tuple([told_apart(getattr(value, name)) for name in names]) if names else value


@lru_cache(maxsize=1024)
def _fields(kind: type) -> tuple[str, ...]:
    """The fields by which objects of a class are compared, where the class says so; else none."""
    if is_dataclass(kind):
        return tuple(one.name for one in fields(kind) if one.compare)
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return tuple(one.name for one in getattr(kind, "__attrs_attrs__", ()) if one.eq)


def _are_plain(items: Collection[object]) -> bool:
    """Whether all items are plain, or tuples of what is: then equality tells all apart, and few steps are needed."""
    kinds = set(map(type, items))
    if kinds == TUPLES:
        kinds = set(map(type, chain.from_iterable(items)))  # type: ignore[arg-type]
    return kinds <= PLAIN
