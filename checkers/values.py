"""The values in a history, made fit to be compared: which are equal, and which can be told apart.

Lives here: how a value becomes one that has a hash and equals itself, and a name for it that tells 1 from 1.0. Python
says that 1 == 1.0 == True, and that NaN equals nothing; a register must not read true where it held 1, and no reply can
be compared with NaN.
"""

from collections.abc import Collection, Iterator, Mapping
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
    try:
        hash(value)
    except TypeError:
        raise NotAValueError("cannot be hashed; use null, a number, a string or a list of them") from None
    if value != value:
        raise NotAValueError("equals nothing, not even itself, so that no reply can be compared with it; use null")
    return value


def told_apart(value: object) -> object:
    """A name of the value, equal only for what is equal and of the same types all through: 1 and 1.0 have two."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, tuple):
        parts = value if _are_plain(value) else tuple([told_apart(item) for item in value])
        return parts if kind is tuple else (kind, parts)
    if isinstance(value, frozenset):
        return value if _are_plain(value) else frozenset([told_apart(item) for item in value])
    if isinstance(value, Map):
        return (kind, told_apart(frozenset(value.items())))
    return (kind, repr(value) if kind is float else value)  # 0.0 equals -0.0


def _are_plain(items: Collection[object]) -> bool:
    """Whether all items are plain, or tuples of what is: then equality tells all apart, and few steps are needed."""
    kinds = set(map(type, items))
    if kinds == TUPLES:
        kinds = set(map(type, chain.from_iterable(items)))  # type: ignore[arg-type]
    return kinds <= PLAIN
