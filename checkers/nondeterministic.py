"""A model whose step may go several ways: its state is the set of all states that it may be in.

Lives here: the subset construction, so that every engine takes such a model, and what is refused of the steps.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from checkers.history import Operation
from checkers.misuse import MisuseError, hashable_instead, misuse
from checkers.model import ILLEGAL, Illegal, Model, ModelError, State, names_of
from checkers.values import told_apart

Steps = Callable[[Any, Operation], Iterable[State]]
GIVE = "give every state that may follow, as a list; an empty one where the operation cannot take place"


def nondeterministic(
    name: str,
    initial: Iterable[State],
    steps: Steps,
    *,
    reads: Iterable[str] = frozenset(),
    per_key: bool = True,
) -> Model:
    """A model that may go several ways: `steps` gives every state that may follow, none if the operation is illegal.

    Its state is the set of all states that it may be in (the subset construction), so that every engine takes it. So a
    read, too, may change it, by what it rules out; `reads` says which constrain nothing while they are unfinished.
    """
    start = _first(name, initial)
    return Model(
        name, start, Ways(steps, start), per_key=per_key, reads=names_of(name, "reads", reads), looks_move=True
    )


class Ways:
    """The step from one set of states to the next."""

    users = True
    """What it calls was written by a user."""

    def __init__(self, steps: Steps, start: Iterable[State]) -> None:
        self.steps = steps
        self._initial = [_untold(state) for state in start]

    def __call__(self, states: Iterable[State], operation: Operation) -> State | Illegal:
        """Every state that may follow one of these, ILLEGAL if none does."""
        after = frozenset(_told(one) for state in states for one in self._after(_untold(state), operation))
        return after or ILLEGAL

    def _after(self, state: State, operation: Operation) -> Iterable[State]:
        found: object = self.steps(state, operation)
        if isinstance(found, str | bytes | dict) or not isinstance(found, Iterable) or isinstance(found, type):
            wrong = misuse(found, ())
            _refuse(wrong.gave if wrong is not None else repr(found))
        after = list(found)
        for one in after:
            wrong = misuse(one, self._initial)
            if isinstance(one, Illegal):
                _refuse("a list with ILLEGAL in it")
            if wrong is not None:
                _refuse(f"{wrong.gave} for one of the states")
            try:
                _ = {one}
            except TypeError as error:
                raise MisuseError(f"it gave a state that has no hash: {error}; {hashable_instead(one)}") from None
        return after


def _refuse(gave: str) -> NoReturn:
    raise MisuseError(f"it gave {gave}; {GIVE}")


class _Told:
    """A state that equals others that are not the same, such as True and 1, in a set of states."""

    __slots__ = ("name", "state")

    def __init__(self, name: object, state: State) -> None:
        self.name, self.state = name, state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Told) and self.name == other.name

    def __hash__(self) -> int:
        return self.name.__hash__()

    def __repr__(self) -> str:
        return repr(self.state)


def _told(state: State) -> State:
    """The state as it can be in a set with others: as it is, unless it may equal one that is not the same."""
    name = told_apart(state)
    return state if name is state else _Told(name, state)


def _untold(state: State) -> State:
    return state.state if isinstance(state, _Told) else state


def _first(name: str, initial: object) -> frozenset[State]:
    """The states that a model may begin in; raises ModelError for what are none."""
    says = f"model {name}: `initial` is every state that it may begin in, each hashable"
    if isinstance(initial, str | bytes | dict) or not isinstance(initial, Iterable):
        raise ModelError(f"{says}; give a list of states, not {initial!r}")
    states = list(initial)
    try:
        _ = {*states}
        start = frozenset(map(_told, states))
    except TypeError as error:
        raise ModelError(f"{says}: {error}") from None
    if not start:
        raise ModelError(f"{says}; give one at least")
    return start
