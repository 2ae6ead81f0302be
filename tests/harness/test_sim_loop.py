"""Virtual time: order, waiting, and what becomes of mistakes."""

from __future__ import annotations

import pytest

from harness.environments.sim.loop import Loop, SimFuture, Stalled


@pytest.fixture
def loop():
    return Loop()


def test_things_happen_in_the_order_of_their_times_and_at_one_time_in_that_of_their_scheduling(loop):
    happened = []
    for time, name in [(30, "c"), (10, "a"), (30, "d"), (20, "b")]:
        loop.at(time, lambda name: happened.append((loop.now_ns, name)), name)

    async def main():
        await loop.sleep(1)

    loop.run(main)
    assert happened == [(10, "a"), (20, "b"), (30, "c"), (30, "d")]


def test_what_is_due_in_the_past_happens_now_and_time_does_not_go_back(loop):
    happened = []

    async def main():
        await loop.sleep(5)
        loop.at(1, lambda _: happened.append(loop.now_ns))
        await loop.sleep(0)

    loop.run(main)
    assert happened == [5_000_000_000]


def test_a_sleeper_wakes_when_its_time_has_come(loop):
    async def main():
        await loop.sleep(1.5)
        await loop.sleep(0.5)
        return loop.now_ns

    assert loop.run(main) == 2_000_000_000


def test_tasks_run_beside_each_other(loop):
    async def nap(seconds, future):
        await loop.sleep(seconds)
        future.set_result(loop.now_ns)

    async def main():
        futures = [SimFuture() for _ in range(3)]
        for seconds, future in zip((3, 1, 2), futures, strict=True):
            loop.spawn(nap(seconds, future))
        return [await future for future in futures]

    assert loop.run(main) == [3_000_000_000, 1_000_000_000, 2_000_000_000]


def test_a_task_begins_only_when_its_spawner_waits(loop):
    order = []

    async def task():
        order.append("task")

    async def main():
        loop.spawn(task())
        order.append("spawner")
        await loop.sleep(0)

    loop.run(main)
    assert order == ["spawner", "task"]


def test_a_future_that_is_done_is_not_waited_for(loop):
    async def main():
        future = SimFuture()
        future.set_result(7)
        assert future.done()
        return await future

    assert loop.run(main) == 7


def test_the_exception_of_a_future_is_raised_where_it_is_awaited(loop):
    async def main():
        future = SimFuture()
        loop.after(5, lambda _: future.set_exception(LookupError("here")))
        with pytest.raises(LookupError, match="here"):
            await future
        return "went on"

    assert loop.run(main) == "went on"


def test_of_what_is_offered_to_a_future_the_first_counts(loop):
    async def main():
        future = SimFuture()
        loop.after(7, future.offer, "late")
        loop.after(5, future.offer, "early")
        answer = await future
        await loop.sleep(1)
        return answer

    assert loop.run(main) == "early"


def test_a_future_is_set_once_and_awaited_by_one(loop):
    future = SimFuture()
    future.when_done(lambda: None)
    with pytest.raises(AssertionError):
        future.when_done(lambda: None)
    future.set_result(1)
    with pytest.raises(AssertionError):
        future.set_result(2)


def test_an_exception_of_main_ends_the_run(loop):
    async def main():
        await loop.sleep(1)
        raise LookupError("main")

    with pytest.raises(LookupError, match="main"):
        loop.run(main)


def test_an_exception_of_a_task_ends_the_run_and_not_its_spawner(loop):
    caught = []

    async def broken():
        raise LookupError("task")

    async def main():
        try:
            loop.spawn(broken())
            await loop.sleep(1)
        except LookupError:
            caught.append("by the spawner")

    with pytest.raises(LookupError, match="task"):
        loop.run(main)
    assert caught == []


def test_an_exception_of_an_action_ends_the_run_and_everybody_may_tidy_up(loop):
    tidied = []

    async def patient(name):
        try:
            await loop.sleep(100)
        finally:
            tidied.append(name)

    async def main():
        loop.spawn(patient("task"))
        await patient("main")

    loop.after(5, lambda _: {}["missing"])
    with pytest.raises(KeyError, match="missing"):
        loop.run(main)
    assert tidied == ["main", "task"]


def test_waiting_for_what_never_comes_is_seen(loop):
    async def main():
        await SimFuture()

    with pytest.raises(Stalled):
        loop.run(main)


def test_real_time_is_not_waited_for(loop):
    class Foreign:
        def __await__(self):
            yield "a real future"

    async def main():
        await Foreign()

    with pytest.raises(AssertionError, match="not simulated"):
        loop.run(main)
