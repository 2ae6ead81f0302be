"""The integer loops compiled, for when the work repays it.

Lives here: the one place that imports numpy and numba, and only once asked to. The functions compiled are those of the
modules imported below, word for word; numba keeps the machine code on disk, so that only the first run ever waits for
it.
"""

import functools
import os
from array import array
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from checkers import kernel, keyed, register_kernel, text_trie, witness
from checkers.kernel import Integers

if TYPE_CHECKING:
    Words = array[int]

Functions = Mapping[str, Callable[..., Any]]


class Loops:
    """The loops, and arrays for them: plain Python on lists. No limit to how many operations may be open at once."""

    compiled = False
    word_bytes = 36  # of a list's element and the integer that it points to
    most_open = 1 << 30
    search: Functions = MappingProxyType({**vars(kernel), **vars(keyed), **vars(text_trie), **vars(witness)})
    register: Functions = MappingProxyType(vars(register_kernel))

    def filled(self, size: int, value: int) -> Integers:
        """An array of that size, every element `value`."""
        return [value] * size

    def array(self, values: Any) -> Integers:  # noqa: ANN401  (a list or an array)
        """An array of these integers, its own."""
        return list(values)

    def view(self, values: Any) -> Integers:  # noqa: ANN401  (an array of machine words)
        """The same integers, to be read only."""
        return values

    def room(self, size: int) -> Integers:
        """An array of that size, whatever its elements are."""
        return [0] * size

    def bytes_of(self, blob: bytes) -> Integers:
        """The bytes, to be read only; one more if there are none."""
        return blob

    def gather(self, values: Integers, places: Integers) -> Integers:
        """The values at these places."""
        return [values[place] for place in places]

    def listed(self, values: Integers) -> list[int]:
        """The elements as a list of Python's own integers."""
        return list(values)

    def words(self, values: Integers) -> "Words":
        """The elements as an array of machine words."""
        return array("q", values)

    def numbered(self, *columns: "Words") -> tuple[Integers, int]:
        """The columns, one behind the other, with each different number replaced by one from 0; how many there are."""
        numbers: dict[int, int] = {}
        return [numbers.setdefault(value, len(numbers)) for column in columns for value in column], len(numbers)

    def sorted_places(self, *keys: Integers) -> Integers:
        """The places in order of the first key, then of the next. O(n log n)."""
        rows = list(zip(*keys, strict=True))
        return sorted(range(len(rows)), key=rows.__getitem__)

    def split(self, earliest: Integers, latest: Integers) -> tuple[Integers, Integers]:
        """The places where `earliest` is less, in order of it; the others, in order of `latest`."""
        places = range(len(earliest))
        forwards = sorted((place for place in places if earliest[place] < latest[place]), key=earliest.__getitem__)
        backwards = sorted((place for place in places if earliest[place] >= latest[place]), key=latest.__getitem__)
        return forwards, backwards


@functools.cache
def interpreted() -> Loops:
    """The loops as they stand: nothing to load, and slower."""
    return Loops()


@functools.cache
def compiled() -> Loops | None:
    """The loops compiled by numba, or None where numba is not installed. Half a second to load, some seconds once."""
    try:
        import numba
        import numpy as np
    except ImportError:
        return None

    class Compiled(Loops):
        compiled = True
        word_bytes = 8
        most_open = 62  # operations are bits of a 64-bit word
        search = _compile(numba.njit(cache=True, forceinline=True), kernel, keyed, text_trie, witness)
        register = _compile(numba.njit(cache=True), register_kernel)

        def filled(self, size: int, value: int) -> Integers:
            return np.full(size, value, dtype=np.int64) if value else np.zeros(size, dtype=np.int64)

        def array(self, values: Any) -> Integers:  # noqa: ANN401
            return np.array(values, dtype=np.int64)

        def view(self, values: Any) -> Integers:  # noqa: ANN401
            return np.frombuffer(values, dtype=np.int64) if len(values) else np.empty(0, dtype=np.int64)

        def room(self, size: int) -> Integers:
            return np.empty(size, dtype=np.int64)

        def bytes_of(self, blob: bytes) -> Integers:
            return np.frombuffer(blob or b"\0", dtype=np.uint8)

        def gather(self, values: Integers, places: Integers) -> Integers:
            return np.asarray(values, dtype=np.int64)[places]

        def listed(self, values: Integers) -> list[int]:
            found: list[int] = values.tolist()
            return found

        def words(self, values: Integers) -> "Words":
            return array("q", np.ascontiguousarray(values, dtype=np.int64).tobytes())

        def numbered(self, *columns: "Words") -> tuple[Integers, int]:
            different, numbers = np.unique(np.concatenate([self.view(one) for one in columns]), return_inverse=True)
            return numbers.reshape(-1), len(different)

        def sorted_places(self, *keys: Integers) -> Integers:
            return np.lexsort(keys[::-1]) if len(keys) > 1 else np.argsort(keys[0], kind="stable")

        def split(self, earliest: Integers, latest: Integers) -> tuple[Integers, Integers]:
            forward = earliest < latest
            forwards, backwards = np.flatnonzero(forward), np.flatnonzero(~forward)
            return forwards[np.argsort(earliest[forwards])], backwards[np.argsort(latest[backwards])]

    return Compiled()


def _compile(jit: Callable[[Callable[..., Any]], Callable[..., Any]], *modules: ModuleType) -> Functions:
    """The functions of the modules, each compiled to call the others compiled; the modules stay as they are."""
    ours = {module.__name__ for module in modules}
    names = {name: value for module in modules for name, value in vars(module).items()}
    # numba compiles anew when a function's own file has changed; those that it calls are compiled into it
    newest = max((str(module.__file__) for module in modules), key=os.path.getmtime)
    for name, function in list(names.items()):
        if isinstance(function, FunctionType) and function.__module__ in ours:
            copy = FunctionType(function.__code__.replace(co_filename=newest), names, name)
            copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
            names[name] = jit(copy)
    return names
