"""Values that a queue or a stack gave out too often, too early, in the wrong order, or not at all.

Lives here: one pass over the calls and returns of a queue or a stack that begins empty. Each rule names a few
operations that contradict each other whatever else there is, since without all operations on other values the
order among these is the same:

- more takes of a value had returned than puts of it had been called;
- a take found nothing while a value was certainly there: its put had returned before the take was called, and no take
  of it was called before this one returned. A take that never returned may have removed one such value each;
- from a queue came a value that was put after another, which was certainly still there;
- from a stack came a value below another, which was certainly there all the time.

The last two need takes that all returned, and look at values that were put once. A null may be a value or say that
there was none, so that a history with null as a value is left to the search. O(n log n).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from checkers.anomaly import Anomaly
from checkers.history import Operation
from checkers.model import State
from checkers.stale import Finder
from checkers.wording import shown

DEEPEST = 64  # values on a stack that are looked at for each that is taken


@dataclass
class _Value:
    """What is known of one value at the moment under way."""

    puts: list[Operation] = field(default_factory=list)
    takes: list[Operation] = field(default_factory=list)  # those that have returned
    put_returned: int = 0
    take_called: int = 0


def taken_wrongly(initial: tuple[State, ...], put: str, *, newest_first: bool) -> Finder:
    """The rules for a queue, or where the newest is taken first for a stack, with that name for putting."""

    def found(operations: Sequence[Operation]) -> Anomaly | None:
        if initial:
            return None
        relevant = [one for one in operations if one.status != "fail"]
        if any(one.f == put and one.value is None for one in relevant):
            return None
        return _Pass(put, newest_first).first(relevant)

    return found


class _Pass:
    """One pass over the events, with what is certainly there, the first to be put foremost."""

    def __init__(self, put: str, newest_first: bool) -> None:
        self._put = put
        self._newest_first = newest_first
        self._values: dict[State, _Value] = {}
        self._there: dict[State, Operation] = {}
        self._open_takes: list[Operation] = []  # that never return

    def first(self, operations: Sequence[Operation]) -> Anomaly | None:
        """The first anomaly to show, in order of the returns."""
        for returns, one in _events(operations):
            if not returns:
                self._called(one)
            elif one.f == self._put:
                self._was_put(one)
            else:
                anomaly = self._took_nothing(one) if one.result is None else self._took(one)
                if anomaly is not None:
                    return anomaly
        return None

    def _of(self, value: State) -> _Value:
        return self._values.setdefault(value, _Value())

    def _called(self, one: Operation) -> None:
        if one.f == self._put:
            self._of(one.value).puts.append(one)
        elif not one.returned:
            self._open_takes.append(one)
        elif one.result is not None:
            value = self._of(one.result)
            value.take_called += 1
            if value.take_called >= value.put_returned:
                self._there.pop(one.result, None)

    def _was_put(self, one: Operation) -> None:
        value = self._of(one.value)
        value.put_returned += 1
        if value.put_returned > value.take_called:
            self._there.setdefault(one.value, one)

    def _took_nothing(self, take: Operation) -> Anomaly | None:
        """A take that found nothing, though more was there than what never returned may have taken."""
        needed = len(self._open_takes) + 1
        certain: list[Operation] = []
        for one in self._there.values():
            if one.return_rank < take.call_rank:
                certain.append(one)
            if len(certain) == needed:
                core = _in_order([*certain, *self._open_takes, take])
                sentence = (
                    f"lost element: [{certain[0]}] had completed before it was called, and nothing had taken that"
                )
                return Anomaly(core, take, sentence)
        return None

    def _took(self, take: Operation) -> Anomaly | None:
        value = self._of(take.result)
        value.takes.append(take)
        if len(value.takes) > len(value.puts):
            return _too_often(take, value)
        if self._open_takes or len(value.puts) != 1:
            return None
        return self._out_of_order(take, value.puts[0])

    def _out_of_order(self, take: Operation, put: Operation) -> Anomaly | None:
        """A take of a value while another was in front of it."""
        candidates = reversed(self._there.values()) if self._newest_first else self._there.values()
        for place, other in enumerate(candidates):
            if place > (DEEPEST if self._newest_first else 0):
                break
            if len(self._of(other.value).puts) != 1:
                continue
            if self._newest_first:
                before, after = put, other
                wrong = after.call_rank > before.return_rank and after.return_rank < take.call_rank
            else:
                before, after = other, put
                wrong = before.return_rank < after.call_rank
            if wrong:
                rest = "was on top of it" if self._newest_first else "was put before it"
                sentence = f"out of order: the value of [{other}] {rest} and had not been taken"
                return Anomaly(_in_order([before, after, take]), take, sentence)
        return None


def _too_often(take: Operation, value: _Value) -> Anomaly:
    core = _in_order([*value.puts, *value.takes])
    if not value.puts:
        return Anomaly(core, take, f"nothing had put {shown(take.result)} when it returned")
    times = "once" if len(value.puts) == 1 else f"{len(value.puts)} times"
    others = " and ".join(f"[{one}]" for one in value.takes[:-1][:3])
    return Anomaly(core, take, f"delivered twice: {shown(take.result)} was put {times} and already taken by {others}")


def _in_order(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    return tuple(sorted(operations, key=lambda one: one.call_rank))


def _events(operations: Sequence[Operation]) -> Iterator[tuple[bool, Operation]]:
    """Calls and returns in order of rank: whether it returns, and the operation."""
    moments = [(one.call_rank, False, place) for place, one in enumerate(operations)]
    moments += [(one.return_rank, True, place) for place, one in enumerate(operations) if one.returned]
    for _, returns, place in sorted(moments):
        yield returns, operations[place]
