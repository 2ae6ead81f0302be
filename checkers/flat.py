"""The search in one flat array, which is how the compiled loops are called: registers first, then all other arrays.

To take a Python object apart costs compiled code some time for every array in it. One array costs little, and the
addresses of its parts are free.
"""

import ctypes
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic as numba_intrinsic

from checkers.keyed import fill, run
from checkers.search_arrays import (
    CELL_WORDS,
    REGISTER_NAMES,
    REGISTERS,
    ROWS,
    SEARCH_NAMES,
    TRIE_WORDS,
    Integers,
    Registers,
    Sizes,
    Trie,
    lengths,
)

Numba = Any  # numba's types of values, and the code that it makes
intrinsic: Callable[..., Numba] = numba_intrinsic


class WordRegisters(ctypes.Structure):
    """The registers, as they lie in the first words of the array."""

    _fields_ = [(name, ctypes.c_int64) for name in REGISTER_NAMES]


RECORD = np.dtype(WordRegisters)
_named_tuple: Callable[..., Any] = namedtuple
Arrays = _named_tuple("Arrays", SEARCH_NAMES)


def registers_in(memory: Integers) -> Registers:
    """Return the registers of an array, from which they are read and where they are written."""
    found: Any = WordRegisters.from_buffer(memory)
    registers: Registers = found
    return registers


def fill_in(
    memory: Integers, flags: Integers, parts: Integers, kind: Integers, key: Integers, events: Integers
) -> None:
    """Do what `fill` does."""
    now, none = memory[:REGISTERS].view(RECORD)[0], pointer(memory, 0)
    sizes = Sizes(now.kinds, now.operations, now.all_events, now.keys, now.most_classes, now.slots, now.capacity)
    arrays = Arrays(now, none, Trie(none, none, none, none), none, none, none, *pointers(memory, lengths(sizes)))
    fill(arrays, flags, parts, kind, key, events)


def run_in(memory: Integers, words: Integers, rows: Integers, flags: Integers, blob: Integers) -> int:
    """Do what `run` does. The words are those of the table or, where states are texts, of the trie."""
    now, nodes = memory[:REGISTERS].view(RECORD)[0], len(words) // TRIE_WORDS
    now.table_cells, now.trie_room = len(words) // CELL_WORDS, nodes
    trie = Trie(pointer(words, 0), pointer(words, nodes), pointer(words, 2 * nodes), pointer(words, 3 * nodes))
    sizes = Sizes(now.kinds, now.operations, now.all_events, now.keys, now.most_classes, now.slots, now.capacity)
    given = pointer(words, 0), trie, pointer(rows, 0), pointer(flags, 0), pointer(blob, 0)
    return run(Arrays(now, *given, *pointers(memory, lengths(sizes))))


@intrinsic
def pointer(_: Numba, array: Numba, begin: Numba) -> Numba:
    """Return the address of an array's part, which the loops index as they index a list."""

    def code(context: Numba, builder: Numba, signature: Numba, values: Numba) -> Numba:
        return builder.gep(context.make_array(array)(context, builder, values[0]).data, [values[1]])

    return types.CPointer(array.dtype)(array, types.intp), code  # type: ignore[no-untyped-call]


@intrinsic
def pointers(_: Numba, memory: Numba, lengths: Numba) -> Numba:
    """Return the addresses of the arrays of a search in flat memory, given how long those of each group are."""
    address = types.CPointer(memory.dtype)  # type: ignore[no-untyped-call]
    found = types.UniTuple(address, sum(ROWS))  # type: ignore[no-untyped-call]

    def code(context: Numba, builder: Numba, signature: Numba, values: Numba) -> Numba:
        data = context.make_array(memory)(context, builder, values[0]).data
        begin, addresses = context.get_constant(types.intp, REGISTERS), []
        for group, rows in enumerate(ROWS):
            length = builder.extract_value(values[1], group)
            for _ in range(rows):
                addresses.append(builder.gep(data, [begin]))
                begin = builder.add(begin, length)
        return context.make_tuple(builder, found, addresses)

    return found(memory, lengths), code
