"""What each combinator promises, seen in the schedule that it makes. In the style of jepsen-io/generator's tests."""

from __future__ import annotations

from itertools import groupby, pairwise
from statistics import mean

import pytest

from checkers.history import NEMESIS, Event
from harness.generator import (
    EXHAUSTED,
    After,
    AnyOf,
    Calls,
    EachProcess,
    FlipFlop,
    Later,
    Limit,
    Mix,
    Once,
    PerKey,
    Reserve,
    Sequential,
    Stagger,
    Synchronize,
    Template,
    TimeLimit,
    clients,
    nemesis,
    operations,
    phases,
)
from harness.interpreter import Completion

MS = 1_000_000


def once(f, key=None):
    return Once(Template(f, key))


def always(f):
    return Calls(lambda random: Template(f))


def ops(*fs):
    return operations(Template(f) for f in fs)


def info(event):
    return Completion("info")


# -- sources and order


def test_nothing_is_done_at_once(simulate):
    assert simulate(EXHAUSTED).events == []


def test_once_is_one_operation_at_once(simulate):
    assert simulate(clients(once("a"))).brief()[0][::2] == (0, "a")
    assert len(simulate(once("a")).invocations) == 1


def test_once_may_be_carried_out_by_any_thread(simulate):
    assert {simulate(clients(once("a")), seed=seed).threads()[0] for seed in range(60)} == {0, 1, 2}


def test_calls_make_an_operation_when_it_is_due_and_from_the_stream(simulate):
    drawn = simulate(Limit(9, clients(Calls(lambda random: Template("w", value=random.random())))))
    values = [event.value for event, _ in drawn.invocations]
    assert len(set(values)) == 9


def test_operations_keep_their_order_on_as_many_threads_as_there_are(simulate):
    schedule = simulate(clients(ops(*"abcdef")), workers=2)
    assert schedule.fs() == list("abcdef")
    assert schedule.times_ms() == [0, 0, 10, 10, 20, 20]


def test_sequential_does_not_wait_for_what_is_in_flight(simulate):
    schedule = simulate(clients(Sequential((ops("a"), ops("b")))), latency_ms=50)
    assert schedule.times_ms() == [0, 0]


def test_a_phase_begins_when_every_thread_has_ended_the_one_before(simulate):
    slow = {"a": 10, "b": 70}
    schedule = simulate(clients(phases(ops("a", "b"), ops("c"), ops("d"))), latency_ms=lambda e: slow.get(e.f, 5))
    assert [(time, f) for time, _, f in schedule.brief()] == [(0, "a"), (0, "b"), (70, "c"), (75, "d")]


def test_synchronize_waits_only_before_its_first_operation(simulate):
    schedule = simulate(clients(Sequential((ops("a"), Synchronize(ops("b", "c"))))))
    assert schedule.times_ms() == [0, 10, 10]


def test_flip_flop_takes_turns_until_one_is_exhausted(simulate):
    assert simulate(clients(FlipFlop(always("a"), ops("x", "y")))).fs() == list("axaya")


def test_flip_flop_keeps_its_turn_while_it_waits(simulate):
    alternating = FlipFlop(Stagger(0.05, always("a"), least=1.0), always("b"))
    assert simulate(Limit(6, clients(alternating))).fs() == list("ababab")


def test_mix_uses_all_of_every_generator_and_then_ends(simulate):
    schedule = simulate(clients(Mix((ops(*"aaa"), ops(*"bb"), EXHAUSTED))))
    assert sorted(schedule.fs()) == list("aaabb")


def test_mix_draws_evenly(simulate):
    fs = simulate(Limit(1500, clients(Mix((always("a"), always("b"), always("c")))))).fs()
    assert all(400 < fs.count(f) < 600 for f in "abc")


def test_any_of_ends_when_all_have_ended(simulate):
    schedule = simulate(clients(AnyOf((ops(*"aaa"), ops(*"bb")))))
    assert sorted(schedule.fs()) == list("aaabb")


def test_any_of_takes_what_is_due_first(simulate):
    schedule = simulate(clients(AnyOf((After(0.03, once("late")), After(0.01, once("early"))))))
    assert [(time, f) for time, _, f in schedule.brief()] == [(10, "early"), (30, "late")]


def test_who_is_always_ready_cannot_starve_the_others(simulate):
    fs = simulate(Limit(900, clients(AnyOf((always("a"), always("b"), always("c")))))).fs()
    assert all(fs.count(f) > 200 for f in "abc")


# -- amount and pace


def test_limit_counts_operations_and_not_questions(simulate):
    assert len(simulate(Limit(5, clients(Stagger(0.03, always("a"))))).invocations) == 5
    assert simulate(Limit(0, always("a"))).events == []


def test_a_time_limit_ends_what_has_no_end_and_lets_the_last_operation_complete(simulate):
    schedule = simulate(TimeLimit(0.1, clients(always("a"))), workers=1, latency_ms=30)
    assert schedule.times_ms() == [0, 30, 60, 90]
    assert schedule.ended_ms == 120


def test_a_time_limit_does_not_wait_for_what_would_come_later(simulate):
    schedule = simulate(Sequential((TimeLimit(0.1, clients(After(5, once("a")))), clients(once("b")))))
    assert [(time, f) for time, _, f in schedule.brief()] == [(100, "b")]


def test_a_time_limit_is_counted_from_when_it_is_first_asked(simulate):
    schedule = simulate(clients(Sequential((After(0.2, once("a")), TimeLimit(0.1, always("b"))))), workers=1)
    assert schedule.times_ms() == [200, *range(210, 300, 10)]


def test_after_waits_once(simulate):
    schedule = simulate(clients(After(0.05, ops("a", "b"))), workers=1)
    assert schedule.times_ms() == [50, 60]


@pytest.mark.parametrize("least", [0.0, 0.5, 1.0])
def test_stagger_keeps_its_mean_rate_and_its_least_gap(simulate, least):
    times = simulate(Limit(1500, clients(Stagger(0.02, always("a"), least=least))), latency_ms=5).times_ms()
    gaps = [after - before for before, after in pairwise(times)]
    assert mean(gaps) == pytest.approx(20, rel=0.06)
    assert min(gaps) >= least * 20 - 1
    assert max(gaps) <= (2 - least) * 20 + 1


def test_stagger_counts_all_threads_together(simulate):
    few, many = (simulate(TimeLimit(10, clients(Stagger(0.02, always("a")))), workers=n, latency_ms=1) for n in (1, 9))
    assert len(few.invocations) == pytest.approx(500, rel=0.1)
    assert len(many.invocations) == pytest.approx(500, rel=0.1)


def test_an_outage_is_not_followed_by_a_burst_of_what_was_not_sent(simulate):
    # The first operation blocks the only worker for a second, in which 200 others would have begun.
    schedule = simulate(
        TimeLimit(1.1, clients(Stagger(0.005, always("a"), least=1.0))),
        workers=1,
        latency_ms=lambda event: 1000 if event.time == 0 else 0,
    )
    # 20 ms of catching up are allowed, that is four operations; then it is one in 5 ms.
    assert 20 <= len(schedule.invocations) <= 26


# -- who


def test_clients_and_nemesis_keep_to_their_threads(simulate):
    schedule = simulate(AnyOf((Limit(30, clients(always("c"))), Limit(30, nemesis(always("n"))))))
    assert {thread for thread in schedule.threads() if thread != NEMESIS} == {0, 1, 2}
    assert all((f == "n") == (thread == NEMESIS) for _, thread, f in schedule.brief())


def test_what_the_nemesis_draws_never_changes_what_clients_draw(simulate):
    def client_invocations(faults):
        work = clients(Stagger(0.01, Calls(lambda random: Template("w", value=random.random()))))
        schedule = simulate(TimeLimit(2, AnyOf((work, nemesis(faults)))))
        return [(e.time, thread, e.value) for e, thread in schedule.invocations if thread != NEMESIS]

    busy = Stagger(0.05, Calls(lambda random: Template("n", value=[random.random() for _ in range(3)])))
    assert client_invocations(EXHAUSTED) == client_invocations(busy)


def test_who_waits_for_a_time_is_not_asked_again_for_what_others_do(simulate):
    asked = []

    class Curious:
        def next(self, context):
            asked.append(context.time_ns // MS)
            return (Later(100 * MS), self) if context.time_ns < 100 * MS else None

        def update(self, context, event):
            return self

    schedule = simulate(AnyOf((nemesis(Curious()), Limit(30, clients(always("c"))))))
    assert len(schedule.invocations) == 30
    assert asked[0] == 0
    assert asked[1:] == [100] * (len(asked) - 1)


def test_who_waits_for_a_time_is_asked_again_when_one_of_its_own_threads_is_free(simulate):
    class Patient:
        def next(self, context):
            if context.free:
                return context.invocation(context.free[0], "a"), self
            return Later(context.time_ns + 1000 * MS), self

        def update(self, context, event):
            return self

    schedule = simulate(Limit(3, clients(Patient())), workers=1, latency_ms=10)
    assert schedule.times_ms() == [0, 10, 20]


def test_reserve_divides_the_threads(simulate):
    schedule = simulate(Limit(200, clients(Reserve(2, always("r"), always("w")))), workers=5)
    assert {thread for _, thread, f in schedule.brief() if f == "r"} == {0, 1}
    assert {thread for _, thread, f in schedule.brief() if f == "w"} == {2, 3, 4}


def test_what_is_reserved_and_exhausted_leaves_the_others_at_work(simulate):
    schedule = simulate(clients(Reserve(1, ops("r"), ops(*"wwww"))))
    assert sorted(schedule.fs()) == list("rwwww")


def test_each_process_does_all_of_it(simulate):
    schedule = simulate(clients(EachProcess(ops("a", "b"))))
    for thread in range(3):
        assert [f for _, of, f in schedule.brief() if of == thread] == ["a", "b"]


def test_a_retired_process_is_followed_by_one_that_begins_anew(simulate):
    crashed = []

    def end(event):
        if event.process == 1 and event.f == "b":
            crashed.append(event)
            return Completion("info")
        return Completion("ok")

    schedule = simulate(clients(EachProcess(ops("a", "b", "c"))), end=end)
    assert crashed
    assert [(event.process, event.f) for event, thread in schedule.invocations if thread == 1] == [
        *((1, "a"), (1, "b")),
        *((4, "a"), (4, "b"), (4, "c")),
    ]


def test_each_process_is_not_over_before_the_last_one_is_known_to_have_ended(simulate):
    def end(event):
        return Completion("info" if event.process == 0 else "ok")

    schedule = simulate(clients(Sequential((EachProcess(once("a")), once("last")))), end=end)
    assert schedule.fs() == ["a", "a", "a", "a", "last"]


# -- keys


def per_key(group, count):
    return clients(PerKey(group, lambda key: Limit(count, Calls(lambda random: Template("w", key)))))


def test_groups_are_contiguous_and_each_has_a_key_of_its_own(simulate):
    schedule = simulate(Limit(40, per_key(2, 1000)), workers=6)
    assert {(thread // 2, event.key) for event, thread in schedule.invocations} == {(0, 0), (1, 1), (2, 2)}


def test_an_exhausted_key_is_followed_by_the_next_one(simulate):
    schedule = simulate(Limit(50, per_key(4, 10)), workers=4)
    assert [(key, len(list(same))) for key, same in groupby(schedule.keys())] == [(key, 10) for key in range(5)]


def test_a_group_at_the_end_may_be_smaller(simulate):
    schedule = simulate(Limit(60, per_key(2, 1000)), workers=5)
    assert {thread for event, thread in schedule.invocations if event.key == 2} == {4}


def test_a_group_whose_key_is_exhausted_goes_on_though_the_others_are_never_out_of_work(simulate):
    # Paced so that some thread of either group is always free: neither group may be left standing.
    paced = clients(Stagger(0.01, PerKey(2, lambda key: Limit(20, Calls(lambda random: Template("w", key))))))
    schedule = simulate(Limit(1200, paced), workers=4, latency_ms=1)
    later = schedule.threads()[600:]
    first_group = sum(thread in (0, 1) for thread in later)
    assert 200 < first_group < 400


def test_a_generator_of_a_key_sees_what_became_of_its_operations(simulate):
    seen = []

    class Watching:
        def next(self, context):
            return always("w").next(context)[0], self

        def update(self, context, event):
            seen.append(event.type)
            return self

    simulate(Limit(3, clients(PerKey(2, lambda key: Watching()))))
    assert seen.count("invoke") == seen.count("ok") == 3


def test_an_event_reaches_only_the_generator_of_its_thread(simulate):
    seen: list[tuple[str, Event]] = []

    class Watching:
        def __init__(self, name):
            self.name = name

        def next(self, context):
            return always(self.name).next(context)[0], self

        def update(self, context, event):
            seen.append((self.name, event))
            return self

    simulate(Limit(40, AnyOf((clients(Reserve(1, Watching("r"), Watching("w"))), nemesis(Watching("n"))))))
    assert {name for name, _ in seen} == {"r", "w", "n"}
    assert all(name == event.f for name, event in seen)
