"""The integer loops compiled by numba, and the numpy arrays that they run on.

Only this module and `checkers.flat` import numpy and numba; `checkers.compiled` loads them once that repays. The
functions compiled are those of the modules listed here, word for word. numba keeps the machine code of those that
Python calls on disk, so that only the first run ever waits for it.
"""

import os
from array import array
from collections.abc import Callable
from itertools import accumulate
from operator import mul
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from checkers import dominance, flat, kernel, keyed, register_kernel, search_arrays, text_trie, transitions, witness
from checkers.flat import registers_in
from checkers.loops import Functions, Loops
from checkers.memory import Memory
from checkers.search_arrays import PLACE, REGISTERS, ROWS, TRIE_WORDS, Integers, Sizes, Trie, lengths, words

if TYPE_CHECKING:
    Words = array[int]

SEARCH = (search_arrays, text_trie, transitions, dominance, kernel, witness, keyed, flat)
CALLED = {"fill_in", "run_in", "insert", "all_texts"}  # by Python

Jit = Callable[[Any], Any]


def _compile(modules: tuple[ModuleType, ...], jit: Callable[[str], Jit]) -> Functions:
    """Return the functions of the modules, each compiled to call the others compiled; the modules stay as they are."""
    ours = {module.__name__ for module in modules}
    names = {name: value for module in modules for name, value in vars(module).items()}
    # numba compiles anew when a function's own file has changed; those that it calls are compiled into it
    newest = max((str(module.__file__) for module in modules), key=os.path.getmtime)
    for name, function in list(names.items()):
        if isinstance(function, FunctionType) and function.__module__ in ours:
            copy = FunctionType(function.__code__.replace(co_filename=newest), names, name)
            copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
            names[name] = jit(name)(copy)
    return names


def _jit_search(name: str) -> Jit:
    """Return how a function of the search is compiled."""
    njit: Callable[..., Jit] = numba.njit
    return njit(cache=True) if name in CALLED else njit(forceinline=True, no_cpython_wrapper=True)


class Compiled(Loops):
    """The loops compiled, and numpy's arrays of machine words for them."""

    compiled = True
    word_bytes = 8
    most_open = 62  # operations are bits of a 64-bit word
    search = _compile(SEARCH, _jit_search)
    register = _compile((register_kernel,), lambda _: numba.njit(cache=True))

    def memory(self, sizes: Sizes) -> Memory:
        return FlatMemory(sizes)

    def trie_words(self, nodes: int) -> Integers:
        return np.empty(TRIE_WORDS * nodes, dtype=np.int64)

    def trie(self, words: Integers) -> Trie:
        return Trie(*words.reshape(TRIE_WORDS, -1))

    def filled(self, size: int, value: int) -> Integers:
        return np.full(size, value, dtype=np.int64) if value else np.zeros(size, dtype=np.int64)

    def array(self, values: Any) -> Integers:  # noqa: ANN401
        return np.array(values, dtype=np.int64)

    def view(self, values: Any) -> Integers:  # noqa: ANN401
        return np.frombuffer(values, dtype=np.int64) if len(values) else np.empty(0, dtype=np.int64)

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


class FlatMemory(Memory):
    """The registers and the arrays of a search, all in one flat array."""

    def __init__(self, sizes: Sizes) -> None:
        self._make(sizes)
        now = self.now
        now.kinds, now.operations, now.all_events, now.keys, now.most_classes, now.slots, now.capacity = sizes

    def _make(self, sizes: Sizes) -> None:
        """Make the flat array, all zero."""
        self._sizes, self.words = sizes, words(sizes)
        self._flat = np.zeros(self.words, dtype=np.int64)
        self.now = registers_in(self._flat)
        self._located: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def array(self, name: str) -> Integers:
        begins, long = self._located or self._locate()
        group, row = PLACE[name]
        begin = begins[group] + row * long[group]
        return self._flat[begin : begin + long[group]]

    def _locate(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return where each group of arrays begins, and how long its arrays are."""
        long = lengths(self._sizes)
        self._located = tuple(accumulate(map(mul, ROWS, long), initial=REGISTERS)), long
        return self._located

    def fill(self, flags: Integers, parts: Integers, kind: Integers, key: Integers, events: Integers) -> None:
        Compiled.search["fill_in"](self._flat, flags, parts, kind, key, events)

    def run(self, words: Integers, rows: Integers, flags: Integers, blob: Integers) -> int:
        status: int = Compiled.search["run_in"](self._flat, words, rows, flags, blob)
        return status

    def _allocate(self, sizes: Sizes) -> None:
        registers = self._flat[:REGISTERS]
        self._make(sizes)
        self._flat[:REGISTERS] = registers
        self.now.capacity = sizes.capacity
