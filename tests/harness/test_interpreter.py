"""Jepsen's rules of processes, threads and events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec import UNSET

from checkers.history import NEMESIS, Event, History
from harness.generator import (
    EXHAUSTED,
    PENDING,
    AnyOf,
    Calls,
    Later,
    Limit,
    Once,
    Template,
    clients,
    nemesis,
    operations,
    thread_of,
)
from harness.interpreter import Completion, Done, Interpreter, Wait

WRITE = Template("write", 7, 42)


@pytest.fixture
def begin(streams):
    """A function: an interpreter of three workers that has begun with that generator."""

    def begin(generator, workers=3):
        interpreter = Interpreter(workers, streams(1))
        interpreter.begin(generator)
        return interpreter

    return begin


def endless(f="a"):
    return Calls(lambda random: Template(f))


def dispatch(interpreter, now_ns=0) -> Event:
    decision = interpreter.next(now_ns)
    assert isinstance(decision, Event)
    return decision


def test_an_invocation_says_what_was_asked_of_whom_and_when(begin):
    event = dispatch(begin(clients(Once(WRITE)), workers=1), now_ns=5)
    assert event == Event(index=0, time=5, type="invoke", process=0, f="write", key=7, value=42)


@pytest.mark.parametrize(
    ("completion", "fields"),
    [
        (Completion("ok"), {"type": "ok", "value": 42}),
        (Completion("ok", value=None), {"type": "ok", "value": None}),
        (Completion("ok", value=3, version=9), {"type": "ok", "value": 3, "version": 9}),
        (Completion("fail", error="no"), {"type": "fail", "value": 42, "error": "no"}),
        (
            Completion("fail", error="mismatch", actual=1, version=2),
            {"type": "fail", "value": 42, "error": "mismatch", "actual": 1, "version": 2},
        ),
        (Completion("fail", actual=None), {"type": "fail", "value": 42, "actual": None}),
        (Completion("info", error="lost"), {"type": "info", "value": 42, "error": "lost"}),
    ],
)
def test_a_completion_keeps_process_f_and_key_and_only_the_fields_that_there_are(begin, completion, fields):
    interpreter = begin(clients(Once(WRITE)), workers=1)
    event = interpreter.complete(dispatch(interpreter), completion, 8)
    assert event == Event(**{"index": 1, "time": 8, "process": 0, "f": "write", "key": 7} | fields)
    assert all(getattr(event, name) is UNSET for name in ("error", "version", "actual") if name not in fields)


@pytest.mark.parametrize(("end", "following"), [("ok", 0), ("fail", 0), ("info", 3)])
def test_only_info_retires_a_process(begin, end, following):
    interpreter = begin(clients(endless()))
    first = dispatch(interpreter)
    interpreter.complete(first, Completion(end), 1)
    while thread_of(again := dispatch(interpreter, 2), 3) != thread_of(first, 3):
        pass
    assert again.process == first.process + following


def test_a_thread_that_crashes_again_and_again_takes_ever_new_numbers(begin):
    interpreter = begin(clients(endless()), workers=2)
    numbers = []
    for time in range(6):
        one = dispatch(interpreter, time)
        numbers.append(one.process)
        interpreter.complete(one, Completion("info"), time)
    assert len(set(numbers)) == 6
    assert {number % 2 for number in numbers} == {0, 1}


def test_both_ends_of_a_nemesis_operation_are_info_and_it_keeps_its_name(begin):
    interpreter = begin(nemesis(operations([Template("start"), Template("stop")])))
    types = []
    for _ in range(2):
        one = dispatch(interpreter)
        types += [one, interpreter.complete(one, Completion("info", value="done"), 1)]
    assert [(event.type, event.process, event.f) for event in types] == [
        *(("info", NEMESIS, "start"), ("info", NEMESIS, "start")),
        *(("info", NEMESIS, "stop"), ("info", NEMESIS, "stop")),
    ]


def test_only_what_is_in_flight_can_complete(begin):
    interpreter = begin(clients(endless()), workers=1)
    first = dispatch(interpreter)
    interpreter.complete(first, Completion("ok"), 1)
    dispatch(interpreter, 2)
    with pytest.raises(AssertionError, match="0 does something else"):
        interpreter.complete(first, Completion("ok"), 3)


def test_a_busy_thread_is_not_used(begin):
    interpreter = begin(clients(endless()))
    busy = {event.process: event for event in (dispatch(interpreter) for _ in range(3))}
    assert set(busy) == {0, 1, 2}
    assert isinstance(interpreter.next(0), Wait)
    interpreter.complete(busy[1], Completion("ok"), 5)
    assert dispatch(interpreter, 5).process == 1
    assert isinstance(interpreter.next(5), Wait)


def test_done_only_when_nothing_is_in_flight(begin):
    interpreter = begin(clients(Limit(1, endless())))
    one = dispatch(interpreter)
    assert isinstance(interpreter.next(1), Wait)
    interpreter.complete(one, Completion("ok"), 2)
    assert isinstance(interpreter.next(2), Done)


def test_processes_and_numbering_go_on_with_the_next_generator(begin):
    interpreter = begin(clients(Once(WRITE)), workers=1)
    interpreter.complete(dispatch(interpreter), Completion("info"), 1)
    interpreter.begin(clients(Once(WRITE)))
    again = dispatch(interpreter, 2)
    assert (again.index, again.process) == (2, 1)


def test_a_generator_learns_of_every_event_before_it_is_asked_again(begin):
    heard = []

    class Curious:
        def next(self, context):
            heard.append("asked")
            return (context.invocation(context.free[0], *WRITE), self) if context.free else (PENDING, self)

        def update(self, context, event):
            heard.append((event.type, context.free))
            return self

    interpreter = begin(clients(Curious()), workers=1)
    interpreter.complete(dispatch(interpreter), Completion("ok"), 1)
    interpreter.next(1)
    assert heard == ["asked", ("invoke", ()), ("ok", (0,)), "asked", ("invoke", ())]


class Saying:
    """A generator that always gives the same answer."""

    def __init__(self, answer):
        self.answer = answer

    def next(self, context):
        return self.answer, self

    def update(self, context, event):
        return self


@pytest.mark.parametrize(
    "answer",
    [Later(5), Later(4), PENDING],
    ids=["waits for now", "waits for the past", "waits for an event when nothing is in flight"],
)
def test_a_generator_that_would_wait_for_ever_is_a_bug_that_is_seen_at_once(begin, answer):
    with pytest.raises(AssertionError, match="generator"):
        begin(Saying(answer)).next(5)


def test_a_generator_that_uses_a_busy_thread_is_a_bug_that_is_seen_at_once(begin):
    interpreter = begin(Saying(Event(index=0, time=0, type="invoke", process=0, f="write")))
    dispatch(interpreter)
    with pytest.raises(AssertionError, match="0 is busy"):
        interpreter.next(1)


def test_an_exhausted_generator_is_done(begin):
    assert isinstance(begin(EXHAUSTED).next(0), Done)


def test_what_was_recorded_is_a_well_formed_history(simulate):
    """Whatever the operations become, the checkers' validation accepts the history, and indexes are contiguous."""
    kinds = ["ok", "fail", "info"]
    program = AnyOf((Limit(200, clients(endless())), Limit(20, nemesis(endless("n")))))
    schedule = simulate(program, workers=5, end=lambda event: Completion(kinds[event.index % 3]))
    assert len(History.of_events(schedule.events, "history")) == 200
    assert all(after.index == before.index + 1 for before, after in pairwise(schedule.events))
    opened = {}
    for event in schedule.events:
        if event.process in opened:
            assert opened.pop(event.process).f == event.f
        else:
            opened[event.process] = event
    assert not opened
