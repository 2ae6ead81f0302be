"""The driver, in virtual time: it ends when all has ended, never asks in vain, and lets nothing be lost."""

from __future__ import annotations

import asyncio
import json

import pytest

from checkers.history import NEMESIS
from harness.driver import Driver
from harness.environments.sim.loop import Loop, SimFuture
from harness.generator import AnyOf, Calls, Limit, Stagger, Template, TimeLimit, clients, nemesis, operations
from harness.interpreter import Completion, Interpreter
from harness.recorder import Recorder


class Bare:
    """Only what a driver needs of an environment: time and tasks."""

    def __init__(self):
        self.loop = Loop()

    def now_ns(self):
        return self.loop.now_ns

    def call_at(self, time_ns, callback):
        self.loop.at(time_ns, lambda _: callback())

    def spawn(self, task):
        self.loop.spawn(task)

    def future(self):
        return SimFuture()

    def sleep(self, seconds):
        return self.loop.sleep(seconds)


class Asked(Interpreter):
    """An interpreter that counts how often it is asked."""

    count = 0

    def next(self, now_ns):
        self.count += 1
        return super().next(now_ns)


class Bench:
    """A driver over a bare environment; each operation takes as long as `takes_s(event)` says."""

    def __init__(self, path, streams, takes_s, workers=3):
        self.environment = Bare()
        self.interpreter = Asked(workers, streams(1))
        self.recorder = Recorder(path)
        self.takes_s = takes_s
        handlers = dict.fromkeys([*range(workers), NEMESIS], self.handle)
        self.driver = Driver(self.environment, self.interpreter, handlers, self.recorder)

    async def handle(self, event):
        seconds = self.takes_s(event)
        if seconds:
            await self.environment.sleep(seconds)
        return Completion("info" if event.process == NEMESIS else "ok")

    def drive(self, *generators):
        async def main():
            for generator in generators:
                await self.driver.drive(generator)

        self.environment.loop.run(main)
        self.recorder.close()
        return self.recorder.events()


@pytest.fixture
def bench(tmp_path, streams):
    """A function: a bench whose operations take so long."""
    return lambda takes_s, **options: Bench(tmp_path / "history.jsonl", streams, takes_s, **options)


def endless(f="a"):
    return Calls(lambda random: Template(f))


def test_it_ends_when_the_generator_is_exhausted_and_every_operation_has_completed(bench):
    one = bench(lambda event: 0.5)
    events = one.drive(TimeLimit(1.2, clients(endless())))
    assert one.environment.now_ns() == 1_500_000_000
    assert [event.type for event in events].count("invoke") == [event.type for event in events].count("ok") == 9


def test_it_drives_one_generator_after_the_other_into_one_history(bench, tmp_path):
    events = bench(lambda event: 0.1).drive(clients(operations([Template("a")])), nemesis(operations([Template("n")])))
    assert [(event.index, event.f) for event in events] == [(0, "a"), (1, "a"), (2, "n"), (3, "n")]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["f"] for line in lines] == ["a", "a", "n", "n"]


def test_nothing_to_do_is_done_at_once(bench):
    assert bench(lambda event: 0).drive(clients(operations([]))) == []


def test_it_starts_what_is_due_while_a_slow_operation_goes_on(bench):
    slow = AnyOf((nemesis(operations([Template("slow")])), Limit(50, clients(Stagger(0.01, endless())))))
    events = bench(lambda event: 60 if event.f == "slow" else 0.001).drive(slow)
    assert [event.f for event in events[1:-1]] == ["a"] * 100
    assert events[-2].time < 2_000_000_000 < events[-1].time


def test_it_asks_the_interpreter_only_when_something_may_have_changed(bench):
    one = bench(lambda event: 0.004)
    events = one.drive(TimeLimit(20, AnyOf((clients(Stagger(0.01, endless())), nemesis(Stagger(0.5, endless("n")))))))
    operations_made = len(events) // 2
    assert operations_made > 1500
    # Asked once for the operation, once after it was started, once when it completes: and no alarm beside.
    assert one.interpreter.count <= 3.1 * operations_made


def test_one_alarm_at_a_time_however_often_it_is_told_to_wait(bench):
    one = bench(lambda event: 0.001)
    one.drive(AnyOf((Limit(500, clients(endless())), Limit(2, nemesis(Stagger(5, endless("n"), least=1.0))))))
    assert one.interpreter.count < 2000


def test_operations_that_end_at_once_do_not_exhaust_the_stack(bench):
    assert len(bench(lambda event: 0).drive(Limit(5000, clients(endless())))) == 10_000


def test_once_it_is_cancelled_it_begins_nothing_more(bench):
    """An alarm that rang later began operations on a cluster that was being taken down."""
    handled = []
    one = bench(lambda event: handled.append(event))

    async def main():
        driving = one.driver.drive(clients(Stagger(0.001, endless())))
        driving.send(None)  # it begins, and waits
        await one.environment.sleep(1)
        with pytest.raises(asyncio.CancelledError):
            driving.throw(asyncio.CancelledError())
        before = len(handled)
        await one.environment.sleep(60)
        return before

    before = one.environment.loop.run(main)
    assert len(handled) == before > 500


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_bug_in_a_handler_ends_the_run_with_it(bench, seconds):
    def broken(event):
        if event.index >= 4:
            raise LookupError("a bug")
        return seconds

    with pytest.raises(LookupError, match="a bug"):
        bench(broken).drive(clients(endless()))


def test_what_was_recorded_before_a_bug_is_kept(bench, tmp_path):
    def broken(event):
        if event.f == "bad":
            raise LookupError("a bug")
        return 0.1

    with pytest.raises(LookupError):
        bench(broken, workers=1).drive(clients(operations([Template("good"), Template("bad")])))
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [(line["type"], line["f"]) for line in lines] == [("invoke", "good"), ("ok", "good"), ("invoke", "bad")]
