"""The states that were possible at the moment at which an operation returned that cannot be placed.

Lives here: all of them, exactly, or none. Everything that had returned before is placed, the operation itself is not,
and what was open then, or never returned, may have taken place or not. So no rule of the searches is used that leaves
out what does not matter to the verdict: only sets of operations and states, return by return (Lowe 2017), observers
taken at once, since they change nothing, and of crashed operations that are alike the number used.
"""

from checkers.budget import Meter
from checkers.history import NEVER, History, Operation
from checkers.models import Illegal, Model, State
from checkers.values import told_apart

MOST_STEPS = 3_000
MOST_STATES = 10_000

Used = tuple[int, ...]


class _TooManyError(Exception):
    """There is more to look at than is worth it."""


def states_when_returned(shown: History, blocked: Operation, model: Model, meter: Meter) -> tuple[State, ...]:
    """All states possible just before the last operation of a prefix, sorted by their texts; none if it takes long."""
    patience = meter.part(steps=MOST_STEPS)
    try:
        states = _Walk(shown, blocked, model, patience).states()
    except _TooManyError:
        return ()
    finally:
        meter.spend(patience.steps)
    return tuple(sorted(states, key=repr))


class _Walk:
    """One walk along the events, with every configuration: which of the open operations are done, and the state."""

    def __init__(self, shown: History, blocked: Operation, model: Model, meter: Meter) -> None:
        self._model, self._meter = model, meter
        operations = shown.operations
        self._events = shown.columns.events
        self._operations = operations
        self._blocked = next(n for n, one in enumerate(operations) if one.call_rank == blocked.call_rank)
        kinds = shown.columns.kind
        classes = dict.fromkeys(kinds[n] for n, one in enumerate(operations) if self._matters(n) and not _returns(one))
        self._class_of = {kind: number for number, kind in enumerate(classes)}
        self._kind = kinds
        self._examples: list[Operation | None] = [None] * len(classes)
        self._available = [0] * len(classes)
        self._open: dict[int, Operation] = {}  # that return later, and are not the blocked one
        self._states: dict[object, State] = {told_apart(model.initial): model.initial}
        none = (0,) * len(classes)
        self._configurations: dict[tuple[frozenset[int], object], list[Used]] = {
            (frozenset(), told_apart(model.initial)): [none]
        }

    def _matters(self, place: int) -> bool:
        return place != self._blocked and self._model.relevant(self._operations[place])

    def states(self) -> list[State]:
        """The states when the blocked operation returned."""
        for code in self._events:
            place = code if code >= 0 else ~code
            if code == ~self._blocked:
                break
            if not self._matters(place):
                continue
            if code < 0:
                self._return(place)
            elif _returns(self._operations[place]):
                self._open[place] = self._operations[place]
                self._settle()
            else:
                number = self._class_of[self._kind[place]]
                self._available[number] += 1
                self._examples[number] = self._operations[place]
        self._expand(None)
        return [self._states[name] for name in dict.fromkeys(name for _, name in self._configurations)]

    def _return(self, place: int) -> None:
        """Keeps what has the operation done, and finds what can."""
        self._expand(place)
        del self._open[place]
        kept: dict[tuple[frozenset[int], object], list[Used]] = {}
        for (done, name), uses in self._configurations.items():
            if place in done:
                for used in uses:
                    _add(kept, (done - {place}, name), used)
        self._configurations = kept

    def _settle(self) -> None:
        """Takes, everywhere, the observers that agree."""
        settled: dict[tuple[frozenset[int], object], list[Used]] = {}
        for (done, name), uses in self._configurations.items():
            key = self._with_observers(done, self._states[name]), name
            for used in uses:
                _add(settled, key, used)
        self._configurations = settled

    def _with_observers(self, done: frozenset[int], state: State) -> frozenset[int]:
        agree = [
            place
            for place, one in self._open.items()
            if place not in done and self._model.looks(one) and not isinstance(self._step(state, one), Illegal)
        ]
        return done.union(agree) if agree else done

    def _step(self, state: State, operation: Operation) -> State | Illegal:
        if not self._meter.spend():
            raise _TooManyError
        return self._model.step(state, operation)

    def _expand(self, target: int | None) -> None:
        """Adds everything that open and crashed operations lead to, as long as the target is not done."""
        waiting = [(done, name, used) for (done, name), uses in self._configurations.items() for used in uses]
        while waiting:
            done, name, used = waiting.pop()
            if target is not None and target in done:
                continue
            if used not in self._configurations.get((done, name), ()):
                continue  # another one can do all that this one can
            state = self._states[name]
            for place, one in self._open.items():
                if place not in done and not self._model.looks(one):
                    self._take(state, one, done | {place}, used, waiting)
            for number, example in enumerate(self._examples):
                if example is not None and used[number] < self._available[number]:
                    more = (*used[:number], used[number] + 1, *used[number + 1 :])
                    self._take(state, example, done, more, waiting)

    def _take(
        self,
        state: State,
        one: Operation,
        done: frozenset[int],
        used: Used,
        waiting: list[tuple[frozenset[int], object, Used]],
    ) -> None:
        after = self._step(state, one)
        if isinstance(after, Illegal):
            return
        name = told_apart(after)
        if name not in self._states and len(self._states) >= MOST_STATES:
            raise _TooManyError
        self._states.setdefault(name, after)
        done = self._with_observers(done, after)
        if _add(self._configurations, (done, name), used):
            waiting.append((done, name, used))


def _returns(operation: Operation) -> bool:
    return operation.return_rank != NEVER


def _add(
    found: dict[tuple[frozenset[int], object], list[Used]], key: tuple[frozenset[int], object], used: Used
) -> bool:
    """Whether it adds anything: not if one is there that used no crashed operation more often."""
    uses = found.setdefault(key, [])
    if any(all(map(int.__le__, other, used)) for other in uses):
        return False
    uses[:] = [other for other in uses if not all(map(int.__le__, used, other))]
    uses.append(used)
    return True
