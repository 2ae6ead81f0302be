"""Depth-first search: Wing and Gong's with Lowe's memory of configurations, in slices, so that it can take turns.

It finds a linearization where there are many (queues and stacks, whose states hardly ever meet again) and the frontier
would grow without end. An observer that agrees is taken at once. A configuration is stored as the number of returned
operations linearized without a gap, a mask of those beyond the gap, how often each class of crashed operations was
used, and the state.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checkers.budget import Meter, size_of
from checkers.decision import Answer, Decision
from checkers.history import History, Operation
from checkers.models import Illegal, Model, State
from checkers.values import told_apart

NAME = "depth-first search"
BYTES_OF_A_CONFIGURATION, BYTES_OF_A_FRAME = 400, 600
MOST_BYTES = 1 << 28  # past which it gives up


@dataclass(slots=True)
class _Frame:
    """A configuration on the path, and what is still to be tried there: operation n, or crashed class ~n."""

    low: int
    done: int
    used: tuple[int, ...]
    state: State
    untried: Iterator[int]
    taken: int = -1


class DepthFirst:
    """A search of one history that can be paused."""

    def __init__(self, history: History, model: Model) -> None:
        self.model = model
        self.bytes, self.most_bytes = 0, MOST_BYTES
        relevant = [model.relevant(kind) for kind in history.columns.kinds]
        wanted = [place for place, kind in enumerate(history.columns.kind) if relevant[kind]]
        operations = history.operations
        self._places = [place for place in wanted if operations[place].returned]
        self._live = [operations[place] for place in self._places]
        self._looks = [model.looks(one) for one in self._live]
        classes: dict[int, list[int]] = {}
        for place in wanted:
            if not operations[place].returned:
                classes.setdefault(history.columns.kind[place], []).append(place)
        self._crashed_places = [*classes.values()]
        self._crashed = [[operations[place] for place in places] for places in self._crashed_places]
        self._merged = model.hindsight([operations[place] for place in wanted]) if model.hindsight else None
        self._states: dict[object, int] = {told_apart(model.initial): 0}
        first = self._frame(0, 0, (0,) * len(self._crashed), model.initial)
        self._path = [first]
        self._seen = {(0, 0, first.used, 0)}

    @property
    def gave_up(self) -> bool:
        """Whether it ran out of room."""
        return self.bytes >= self.most_bytes

    def go(self, steps: int, meter: Meter) -> Decision | None:
        """Go on for so many steps; return the decision, or None if there is none yet or it gave up."""
        end = meter.steps + steps
        while self._path and not self.gave_up:
            if self._path[-1].low == len(self._live):
                return Decision(Answer.LINEARIZED, NAME, order=[*self._order()])
            if meter.steps >= end or not meter.spend():
                return None
            self._step()
        return None if self._path else Decision(Answer.REFUTED, NAME)

    def _step(self) -> None:
        """Try the next operation in the newest configuration, or backtrack."""
        path = self._path
        frame = path[-1]
        number = next(frame.untried, None)
        if number is None:
            path.pop()
            self.bytes -= BYTES_OF_A_FRAME
            return
        state = self._after(frame.state, self._operation(frame, number))
        if isinstance(state, Illegal):
            return
        low, done, used = frame.low, frame.done, frame.used
        if number < 0:
            used = (*used[:~number], used[~number] + 1, *used[~number + 1 :])
        else:
            if self._looks[number]:
                frame.untried = iter(())
            done |= 1 << number - low
            while done & 1:
                low, done = low + 1, done >> 1
        before = len(self._states)
        known = self._states.setdefault(told_apart(state), len(self._states))
        key = (low, done, used, known)
        if key in self._seen:
            return
        if known == before:
            self.bytes += size_of(state)
        self._seen.add(key)
        self.bytes += BYTES_OF_A_CONFIGURATION + BYTES_OF_A_FRAME + done.bit_length() // 8 + 8 * len(used)
        frame.taken = number
        path.append(self._frame(low, done, used, state))

    def _after(self, before: State, operation: Operation) -> State | Illegal:
        state = self.model.step(before, operation)
        return state if self._merged is None or isinstance(state, Illegal) else self._merged(state)

    def _operation(self, frame: _Frame, number: int) -> Operation:
        return self._live[number] if number >= 0 else self._crashed[~number][frame.used[~number]]

    def _frame(self, low: int, done: int, used: tuple[int, ...], state: State) -> _Frame:
        """Return a configuration with what can be taken next: observers first, crashed operations last."""
        live, looks = self._live, self._looks
        enabled: list[int] = []
        observers: list[int] = []
        earliest = 1 << 63  # return of those not linearized yet: nothing called later can come before them
        for number in range(low, len(live)):
            one = live[number]
            if one.call_rank > earliest:
                break
            if not done >> number - low & 1:
                (observers if looks[number] else enabled).append(number)
                earliest = min(earliest, one.return_rank)
        return _Frame(low, done, used, state, self._untried([*observers, *enabled], used, earliest))

    def _untried(self, live: Sequence[int], used: tuple[int, ...], earliest: int) -> Iterator[int]:
        yield from live
        for number, count in enumerate(used):
            alike = self._crashed[number]
            if count < len(alike) and alike[count].call_rank < earliest:
                yield ~number

    def _order(self) -> Iterator[int]:
        """Yield the places of the operations on the path."""
        for frame in self._path[:-1]:
            number = frame.taken
            yield self._places[number] if number >= 0 else self._crashed_places[~number][frame.used[~number]]
