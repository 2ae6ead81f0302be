"""Strategies for hypothesis: histories, and schedules of faults for the simulator.

    from hypothesis import given
    from harness.testing import simulate
    from harness.testing.strategies import schedules

    @given(schedules(["partition", "kill"], seconds=4))
    def test_no_answer_is_wrong(schedule):
        run = simulate(seed=1, nodes=3, time_limit=4, schedule=schedule)
        assert run.verdict != "invalid", run.reason

Lives here: drawing. Everything is drawn such that leaving out a part leaves the rest as it was, what chance decides of
a fault included: so hypothesis shrinks a failing schedule to the fewest faults, and a failing history to the fewest
operations. Needs hypothesis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from hypothesis import strategies as st
from msgspec import UNSET

from checkers.history import Operation, Status
from harness.environments.sim.environment import SimEnvironment
from harness.nemesis import FAULTS
from harness.nemesis.fault import DRAW, Fault
from harness.nemesis.script import FaultWindow

_MS_NS = 1_000_000
_DRAWS = 8
_LEAST_MS = 1500
"""A fault takes longer than an election: several shorter ones could do what one does, and shrinking would end there."""


# -- schedules ---------------------------------------------------------------------------------------------------------


def schedules(
    faults: Collection[str] = ("partition", "kill", "pause"), *, seconds: float, most: int = 6
) -> st.SearchStrategy[tuple[FaultWindow, ...]]:
    """Up to `most` faults of those kinds, all begun within the first `seconds` of a run; for `simulate` and `define`.

    They shrink to few, early and short ones. Of each kind there is one at a time: one that would begin before the last
    of its kind has ended is left out. Raises ValueError for a fault that the simulator does not have.
    """
    possible = [name for name, fault in FAULTS.items() if fault.capability in SimEnvironment.capabilities]
    if unknown := [name for name in faults if name not in possible]:
        raise ValueError(f"{', '.join(unknown)}: the simulator has {', '.join(possible)}")
    limit_ms = int(seconds * 1000)
    whats = [what for name in faults for what in _whats(FAULTS[name])]
    begins = st.integers(0, max(limit_ms - _LEAST_MS, 0))
    lengths = st.integers(_LEAST_MS, max(limit_ms, _LEAST_MS))
    # One choice for all that is asked for: hypothesis deletes up to five choices at once, and a window must be fewer.
    return _schedule(st.lists(_window(st.sampled_from(whats), begins, lengths), max_size=most))


# Composites, where `map` and `builds` would do: of those hypothesis prints the calls, and not what came of them.


@st.composite
def _schedule(draw: st.DrawFn, windows: st.SearchStrategy[list[FaultWindow]]) -> tuple[FaultWindow, ...]:
    return one_at_a_time(draw(windows))


@st.composite
def _window(
    draw: st.DrawFn,
    whats: st.SearchStrategy[tuple[str, Mapping[str, object]]],
    begins_ms: st.SearchStrategy[int],
    lengths_ms: st.SearchStrategy[int],
) -> FaultWindow:
    """A fault that begins so long after the run and is in force for so long."""
    (fault, asked), begin_ms, length_ms = draw(whats), draw(begins_ms), draw(lengths_ms)
    return FaultWindow(fault, begin_ms * _MS_NS, (begin_ms + length_ms) * _MS_NS, asked)


def _whats(fault: Fault) -> list[tuple[str, Mapping[str, object]]]:
    """All that can be asked for of a fault in the simulator, in its own order: they shrink to the first."""
    answers = [_words(fault, words) for words in fault.choices.values()]
    return [
        (fault.name, {**dict(zip(fault.choices, words, strict=True)), DRAW: draw})
        for *words, draw in product(*answers, range(_DRAWS))
    ]


def _words(fault: Fault, words: Mapping[str, int]) -> Sequence[str]:
    return [word for word in words if fault.needs.get(word, fault.capability) in SimEnvironment.capabilities]


def one_at_a_time(windows: Sequence[FaultWindow]) -> tuple[FaultWindow, ...]:
    """The windows in order of their begins, without those that overlap an earlier one of their kind."""
    kept: list[FaultWindow] = []
    ended_ns: dict[str, int] = {}
    for window in sorted(windows, key=lambda window: window.begin_ns):
        if window.begin_ns > ended_ns.get(window.fault, -1):
            kept.append(window)
            ended_ns[window.fault] = window.end_ns or 0
    return tuple(kept)


# -- histories ---------------------------------------------------------------------------------------------------------


def linearizable_histories(
    *, processes: int = 3, most: int = 20, values: int = 4, cas: bool = True
) -> st.SearchStrategy[list[Operation]]:
    """Histories of one register, at first None, that are linearizable by the way they are made.

    Some operations never return, having taken place or not; one at least does. Models: `cas-register`; `register`
    without `cas`.
    """
    return _made(processes, _steps(processes, most, values, cas), lies=False)


def histories(
    *, processes: int = 3, most: int = 20, values: int = 4, cas: bool = True
) -> st.SearchStrategy[list[Operation]]:
    """The same, but reads return whatever they like and each cas ends as it likes: linearizable or not."""
    return _made(processes, _steps(processes, most, values, cas), lies=True)


@st.composite
def _made(draw: st.DrawFn, processes: int, steps: st.SearchStrategy[list[_Step]], lies: bool) -> list[Operation]:
    """Every operation that came of the steps."""
    return _Making(processes, lies).all(draw(steps))


@dataclass(frozen=True)
class _Step:
    """What a process does next, whatever that is: call, take place, return. `lost` is never to return."""

    process: int
    f: str
    value: int
    other: int
    lost: bool


def _steps(processes: int, most: int, values: int, cas: bool) -> st.SearchStrategy[list[_Step]]:
    numbers = st.integers(1, values)
    names = st.sampled_from(["read", "write", *(["cas"] if cas else [])])
    lost = st.integers(0, 9).map(lambda number: number == 9)
    step = st.builds(_Step, st.integers(0, processes - 1), names, numbers, numbers, lost)
    return st.lists(step, max_size=3 * most)


@dataclass
class _Call:
    """An operation under way; `told` is what it saw, once it has taken place."""

    f: str
    value: object
    process: int
    call_time: int
    done: bool = False
    status: Status = "ok"
    told: object = None


@dataclass
class _Making:
    """A history in the making: each step moves one process on, on a register that is really there."""

    processes: int
    lies: bool
    register: object = None
    under_way: dict[int, _Call] = field(default_factory=dict)
    retired: Counter[int] = field(default_factory=Counter)
    operations: list[Operation] = field(default_factory=list)

    def all(self, steps: Sequence[_Step]) -> list[Operation]:
        """Every operation, in order of the calls. Times are the numbers of the steps."""
        for time, step in enumerate(steps):
            call = self.under_way.get(step.process)
            if call is None:
                self._call(step, time)
            elif step.lost:
                self._end(step.process, None)
            elif call.done:
                self._end(step.process, time)
            else:
                self._take_place(call, step)
        for process in list(self.under_way):
            self._end(process, None)
        if not any(operation.returned for operation in self.operations):  # it would show nothing
            self.operations.append(self._last_read(len(steps)))
        return sorted(self.operations, key=lambda operation: operation.call_time or 0)

    def _last_read(self, time: int) -> Operation:
        """What a process of its own reads when all is over."""
        number = self.processes * (1 + max(self.retired.values(), default=0))
        return Operation(f="read", process=number, result=self.register, call_time=time, return_time=time + 1)

    def _call(self, step: _Step, time: int) -> None:
        value = {"read": None, "write": step.value, "cas": (step.value, step.other)}[step.f]
        number = step.process + self.processes * self.retired[step.process]
        self.under_way[step.process] = _Call(step.f, value, number, time)

    def _take_place(self, call: _Call, step: _Step) -> None:
        call.done, call.told = True, step.other if self.lies else self.register
        if call.f == "write":
            self.register = call.value
        elif isinstance(call.value, tuple):
            old, new = call.value
            matches = step.value == step.other if self.lies else old == self.register
            call.status = "ok" if matches else "fail"
            self.register = new if matches else self.register

    def _end(self, process: int, time: int | None) -> None:
        """Take note of the operation. A process that gets no answer is retired, and its number with it."""
        call = self.under_way.pop(process)
        status: Status = "info" if time is None else call.status
        self.operations.append(
            Operation(
                f=call.f,
                value=call.value,
                process=call.process,
                status=status,
                result=call.told if call.f == "read" and status == "ok" else None,
                actual=call.told if status == "fail" else UNSET,
                error="mismatch" if status == "fail" else None,
                call_time=call.call_time,
                return_time=time,
            )
        )
        self.retired[process] += time is None
