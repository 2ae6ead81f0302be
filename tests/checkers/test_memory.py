"""The arrays of a search: one order in memory, whoever reads them, and nothing lost when they grow."""

import pytest

from checkers.compiled import Loops
from checkers.search_arrays import GROUPS, PLACE, REGISTER_NAMES, SEARCH_NAMES, Sizes, lengths, words

SIZES = Sizes(kinds=2, operations=3, all_events=5, keys=1, most_classes=2, slots=4, capacity=8)


def test_the_fields_of_a_search_are_in_the_order_in_which_they_lie_in_memory() -> None:
    assert SEARCH_NAMES[-len(PLACE) :] == tuple(PLACE)
    assert REGISTER_NAMES[: len(Sizes._fields)] == Sizes._fields


def test_no_two_arrays_share_an_element_and_growing_loses_none(loops: Loops) -> None:
    memory = loops.memory(SIZES)
    long = dict(zip(GROUPS, lengths(SIZES), strict=True))
    expected = {}
    for names, length in long.items():
        for name in names:
            assert len(memory.array(name)) == length, name
            expected[name] = [len(expected) + 1] * length
            memory.array(name)[:] = loops.array(expected[name])
    memory.now.steps = 7
    memory.resize(SIZES._replace(capacity=16))
    for name, elements in expected.items():
        assert loops.listed(memory.array(name))[: len(elements)] == elements, name
    assert (memory.now.steps, memory.now.capacity) == (7, 16)
    assert memory.words == words(SIZES._replace(capacity=16))


def test_the_compiled_search_finds_each_array_where_python_does() -> None:
    numba = pytest.importorskip("numba", reason="it compiles")
    from checkers.flat import pointers
    from checkers.machine_code import FlatMemory

    @numba.njit
    def firsts(memory, long):  # type: ignore[no-untyped-def]
        return [address[0] for address in pointers(memory, long)]

    memory = FlatMemory(SIZES)
    for number, name in enumerate(PLACE):
        memory.array(name)[:] = number
    assert firsts(memory._flat, lengths(SIZES)) == [*range(len(PLACE))]
