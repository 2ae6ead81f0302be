"""Laws that hold of any generator, made of any combinators: found by Hypothesis or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.generator import (
    After,
    AnyOf,
    Calls,
    EachProcess,
    FlipFlop,
    Limit,
    Mix,
    PerKey,
    Reserve,
    Sequential,
    Stagger,
    Template,
    TimeLimit,
    clients,
    nemesis,
    operations,
    phases,
    thread_of,
)
from harness.interpreter import Completion

WORKERS = 4


def endless(f):
    return Calls(lambda random: Template(f, value=random.random()))


def _finite():
    """Generators that come to an end by themselves, whatever their operations become."""
    templates = st.lists(st.sampled_from("abc").map(Template), max_size=5).map(operations)
    limited = st.builds(Limit, st.integers(0, 6), st.sampled_from("xyz").map(endless))
    return st.recursive(templates | limited, _combined, max_leaves=6)


def _combined(inner):
    pairs = st.tuples(inner, inner)
    seconds = st.sampled_from([0.001, 0.01, 0.1])
    return st.one_of(
        st.builds(Sequential, pairs),
        st.builds(phases, inner, inner),
        st.builds(Mix, pairs),
        st.builds(AnyOf, pairs),
        st.builds(FlipFlop, inner, inner),
        st.builds(Limit, st.integers(0, 8), inner),
        st.builds(TimeLimit, seconds, inner),
        st.builds(After, seconds, inner),
        st.builds(Stagger, seconds, inner, st.sampled_from([0.0, 0.5])),
    )


@st.composite
def _programs(draw):
    """Clients, perhaps divided, beside a nemesis."""
    finite = _finite()
    work = draw(finite)
    if draw(st.booleans()):
        work = Reserve(draw(st.integers(1, WORKERS - 1)), work, draw(finite))
    return AnyOf((clients(work), nemesis(draw(finite))))


programs = _programs()
latencies = st.integers(0, 40)
seeds = st.integers(0, 1000)
ends = st.sampled_from(["ok", "fail", "info"])


@given(programs, latencies, seeds, ends)
@settings(max_examples=50, deadline=None)
def test_every_generator_obeys_the_rules_of_threads_and_time(simulate, program, latency_ms, seed, end):
    # `simulate` itself fails on a generator that waits for ever, and on Done with an operation in flight.
    schedule = simulate(
        program, workers=WORKERS, latency_ms=latency_ms, seed=seed, end=lambda event: Completion(end), limit=10_000
    )
    open_threads = set()
    for event in schedule.events:
        thread = thread_of(event, WORKERS)
        if thread in open_threads:
            open_threads.remove(thread)
        else:
            open_threads.add(thread)
            assert event.type in ("invoke", "info")
    assert not open_threads, "every operation completes"
    assert len(schedule.events) == 2 * len(schedule.invocations)
    assert all(before.time <= after.time for before, after in pairwise(schedule.events))
    assert [event.index for event in schedule.events] == list(range(len(schedule.events)))


@given(st.integers(0, 30), _finite(), latencies, seeds)
@settings(max_examples=50, deadline=None)
def test_a_limit_is_never_exceeded(simulate, count, generator, latency_ms, seed):
    limited = simulate(Limit(count, clients(generator)), workers=WORKERS, latency_ms=latency_ms, seed=seed)
    assert len(limited.invocations) <= count


@given(st.floats(0.01, 0.5), _finite(), latencies, seeds)
@settings(max_examples=50, deadline=None)
def test_nothing_begins_after_a_time_limit(simulate, seconds, generator, latency_ms, seed):
    both = AnyOf((clients(generator), clients(endless("e"))))
    schedule = simulate(TimeLimit(seconds, both), workers=WORKERS, latency_ms=max(5, latency_ms), seed=seed)
    assert all(event.time < int(seconds * 1e9) for event, _ in schedule.invocations)


@given(
    st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 60), latencies, seeds, st.floats(0, 0.02)
)
@settings(max_examples=50, deadline=None)
def test_keys_are_never_skipped_nor_reused(simulate, group, workers, count, total, latency_ms, seed, pace_s):
    keys = PerKey(group, lambda key: Limit(count, Calls(lambda random: Template("w", key))))
    schedule = simulate(Limit(total, clients(Stagger(pace_s, keys))), workers=workers, latency_ms=latency_ms, seed=seed)
    used = Counter(event.key for event, _ in schedule.invocations)
    groups = -(-workers // group)
    assert all(uses <= count for uses in used.values())
    unused = set(range(max(used) + 1)) - set(used)
    assert len(unused) < groups, "only a group that has not begun yet may have a key that nobody used"
    for event, thread in schedule.invocations:
        others = {other // group for seen, other in schedule.invocations if seen.key == event.key}
        assert others == {thread // group}, "a key belongs to one group"


@given(st.integers(1, 6), st.integers(1, 5), latencies, seeds)
@settings(max_examples=20, deadline=None)
def test_each_process_gives_everyone_the_same(simulate, workers, count, latency_ms, seed):
    each = EachProcess(operations(Template("a") for _ in range(count)))
    schedule = simulate(clients(each), workers=workers, latency_ms=latency_ms, seed=seed)
    assert Counter(schedule.threads()) == dict.fromkeys(range(workers), count)


@given(programs, latencies, seeds)
@settings(max_examples=20, deadline=None)
def test_a_schedule_follows_from_its_seed(simulate, program, latency_ms, seed):
    first, second = (simulate(program, workers=WORKERS, latency_ms=latency_ms, seed=seed) for _ in range(2))
    assert first.events == second.events
