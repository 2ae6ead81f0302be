"""The frontier search compiled, for when the work repays it.

Lives here: the one place that imports numpy and numba, and only once asked to. The functions compiled are those of
`checkers.kernel`, word for word; numba keeps the machine code on disk, so that only the first run ever waits for it.
"""

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from checkers import kernel
from checkers.kernel import Integers


class Engine:
    """How a search is run: what makes its arrays, and the two functions of the kernel. `most_open` is what masks hold."""

    def __init__(
        self,
        name: str,
        most_open: int,
        prepare: Callable[[Integers], None],
        advance: Callable[[Integers, Integers], int],
    ) -> None:
        self.name = name
        self.most_open = most_open
        self.prepare = prepare
        self.advance = advance

    def filled(self, size: int, value: int) -> Integers:
        """An array of that size, every element `value`."""
        return [value] * size

    def array(self, values: Any) -> Integers:  # noqa: ANN401  (a list or an array)
        """An array of these integers, its own."""
        return list(values)

    def gather(self, values: Integers, places: Any) -> Integers:  # noqa: ANN401
        """The values at these places."""
        return [values[place] for place in places]

    def listed(self, values: Integers) -> list[int]:
        """The elements as a list of Python's own integers."""
        return list(values)


@functools.cache
def interpreted() -> Engine:
    """The kernel as it stands: slower, and with no limit to how many operations may be open."""
    return Engine("search", 1 << 30, kernel.prepare, kernel.advance)


@functools.cache
def compiled() -> Engine | None:
    """The kernel compiled by numba, or None where numba is not installed. Half a second to load, some seconds once."""
    try:
        import numba
        import numpy as np
    except ImportError:
        return None

    class Numpy(Engine):
        def filled(self, size: int, value: int) -> Integers:
            made = np.empty(size, dtype=np.int64)
            made.fill(value)
            return made

        def array(self, values: Any) -> Integers:  # noqa: ANN401
            return np.array(values, dtype=np.int64)

        def gather(self, values: Integers, places: Any) -> Integers:  # noqa: ANN401
            return values[np.asarray(places)]

        def listed(self, values: Integers) -> list[int]:
            found: list[int] = values.tolist()
            return found

    names = dict(vars(kernel))
    for name, function in list(names.items()):
        if isinstance(function, FunctionType) and function.__module__ == kernel.__name__:
            copy = FunctionType(function.__code__, names, name)
            copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
            names[name] = numba.njit(cache=True)(copy)
    return Numpy("compiled search", 62, names["prepare"], names["advance"])
