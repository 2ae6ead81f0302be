"""When faults come: windows open and close, kinds interleave, everything is ended, and failures are recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from msgspec import UNSET

from checkers.history import NEMESIS, Event
from harness.errors import EnvironmentFailure
from harness.generator import AnyOf, Calls, Context, Stagger, Template, TimeLimit, clients, nemesis
from harness.interpreter import Completion
from harness.nemesis import FAULTS
from harness.nemesis.fault import Aim
from harness.nemesis.schedule import (
    ONLY_IF_SEEN,
    PATIENCE_S,
    UntilSeen,
    Windows,
    draw,
    final_generator,
    generator,
    goes_on,
    handler,
)


def aims_of(*names, interval_s=5.0, rarity=1.0):
    chosen = names or FAULTS
    return [
        Aim(FAULTS[name], {}, interval_s, rarity, tuple(FAULTS[name].choices.get("kind", ("",)))) for name in chosen
    ]


def period(name):
    return sum(FAULTS[name].window)


@pytest.mark.parametrize("name", FAULTS)
def test_the_windows_of_a_fault_open_and_close_in_turn(simulate, name):
    fs = simulate(TimeLimit(400, nemesis(generator(aims_of(name))))).fs()
    assert len(fs) > 30
    assert fs == [f"start-{name}" if index % 2 == 0 else f"stop-{name}" for index in range(len(fs))]


def test_what_found_nothing_to_hit_is_tried_again_without_an_end_between():
    windows = Windows(aims_of("disk")[0], open_s=2.0, closed_s=100.0)
    streams = {NEMESIS: Random(1)}
    free = Context(0, 0, (NEMESIS,), (NEMESIS,), Random(1), streams)
    invocation, windows = windows.next(free)
    assert invocation.template.f == "start-disk"
    skipped = Event(index=0, time=0, type="info", process=NEMESIS, f="start-disk", value={"skipped": "nobody"})
    later, windows = windows.update(free, skipped).next(free)
    assert 1e9 <= later.time_ns <= 3e9, "when it would have ended"
    then = Context(later.time_ns, 0, (NEMESIS,), (NEMESIS,), Random(1), streams)
    assert windows.next(then)[0].template.f == "start-disk"


def test_a_window_counts_from_when_the_fault_is_in_force_however_long_that_takes(simulate):
    events = simulate(TimeLimit(300, nemesis(generator(aims_of("partition", interval_s=3.0)))), latency_ms=1500).events
    in_force = [event.time for event in events if event.f == "start-partition"][1::2]
    ended = [event.time for event in events if event.f == "stop-partition"][::2]
    open_ns = 3.0e9 * FAULTS["partition"].window[0]
    assert len(ended) > 20
    assert all(stop - start >= open_ns / 2 - 1 for start, stop in zip(in_force, ended, strict=False))


def test_where_the_nemesis_is_slow_no_kind_starves_and_no_fault_stays_far_beyond_its_time(simulate):
    """By chance a kill stayed for fifteen seconds instead of two, and faults that want a leader waited in vain."""
    aims, latency_s = aims_of(interval_s=2.0), 1.5
    events = simulate(TimeLimit(300, nemesis(generator(aims))), latency_ms=1500).events
    a_round_ns = (len(aims) + 1) * latency_s * 1e9  # everybody else once, and what is under way
    for aim in aims:
        own = [event for event in events if event.f.endswith(f"-{aim.fault.name}")]
        longest_ns = 1.5e9 * aim.interval_s * aim.fault.window[0]
        assert own[0].time <= aim.interval_s * 1e9 + a_round_ns
        for began, ends in zip(own[1::4], own[2::4], strict=False):
            assert ends.time - began.time <= longest_ns + a_round_ns


@pytest.mark.parametrize("rarity", [1.0, 2.5])
@pytest.mark.parametrize("name", FAULTS)
def test_a_rare_fault_comes_seldom_and_stays_as_long(simulate, name, rarity):
    aims = aims_of(name, interval_s=4.0, rarity=rarity)
    times = simulate(TimeLimit(2000, nemesis(generator(aims))), latency_ms=0).times_ms()
    assert len(times) == pytest.approx(2 * 2000 / (4.0 * period(name) * rarity), rel=0.15)
    lengths = [stop - start for start, stop in zip(times[::2], times[1::2], strict=False)]
    open_ms = 4000 * FAULTS[name].window[0]
    assert min(lengths) >= open_ms * 0.5 - 1
    assert max(lengths) <= open_ms * 1.5 + 1


def test_each_fault_keeps_its_own_interval(simulate):
    both = [*aims_of("kill", interval_s=2.0 / period("kill")), *aims_of("pause", interval_s=10.0 / period("pause"))]
    fs = simulate(TimeLimit(400, nemesis(generator(both)))).fs()
    assert fs.count("start-kill") == pytest.approx(200, rel=0.15)
    assert fs.count("start-pause") == pytest.approx(40, rel=0.2)


def test_faults_interleave_and_do_not_all_begin_at_once(simulate):
    brief = simulate(TimeLimit(120, nemesis(generator(aims_of(interval_s=10.0))))).brief()
    first = {f: time for time, _, f in reversed(brief)}
    beginnings = sorted(first[f"start-{name}"] for name in FAULTS)
    assert beginnings[0] >= 900
    assert all(later - earlier >= 900 for earlier, later in pairwise(beginnings))
    open_at_once, most = set(), 0
    for _, _, f in brief:
        kind, _, name = f.partition("-")
        (open_at_once.add if kind == "start" else open_at_once.discard)(name)
        most = max(most, len(open_at_once))
    assert most >= 3, "faults of different kinds overlap"


def test_the_final_generator_ends_every_kind_once(simulate):
    assert simulate(nemesis(final_generator(aims_of()))).fs() == [f"stop-{name}" for name in FAULTS]


def test_no_faults_do_nothing_and_come_to_an_end(simulate):
    assert simulate(nemesis(generator([]))).events == simulate(nemesis(final_generator([]))).events == []


# -- what has not been seen


class Unseen:
    """Ends operations as a fault's life does, of which those faults are seen only from some time on."""

    def __init__(self, names, from_ns=1 << 62):
        self.names, self.from_ns = names, from_ns

    def __call__(self, event):
        kind, _, name = event.f.partition("-")
        hidden = name in self.names and event.time < self.from_ns
        if kind == "start":
            return Completion("info", value={"evidence": None if hidden else {"seen": 1}})
        if kind != "stop":
            return Completion("ok")
        return Completion("info", value={"goes_on": "not seen yet"} if hidden and event.value else {"undone": True})


def own(schedule, name):
    """The times, in seconds, and kinds of the operations of a fault, of which ends that were put off are no ends."""
    events = [event for event in schedule.events if event.f.endswith(f"-{name}")]
    pairs = zip(events[::2], events[1::2], strict=False)
    return [(begun.time / 1e9, begun.f.partition("-")[0], goes_on(done)) for begun, done in pairs]


@pytest.mark.parametrize("seed", range(20))
def test_while_a_fault_has_not_been_seen_it_goes_on_and_no_other_begins(simulate, seed):
    seen_s = 40
    schedule = simulate(
        TimeLimit(60, nemesis(generator(aims_of()))), end=Unseen(["packets"], seen_s * 10**9), seed=seed
    )
    began_s, doubted = None, 0
    for event in schedule.events:
        if event.f == "start-packets" and event.time < seen_s * 1e9 and isinstance(event.value, dict):
            began_s = event.time
        if began_s is not None and event.f == "stop-packets" and event.value == {"undone": True}:
            began_s = None
        if began_s is not None and event.time > began_s:
            doubted += 1
            assert not event.f.startswith("start-"), f"{event.f} at {event.time / 1e9} s"
    assert doubted


def test_a_fault_that_is_never_seen_ends_when_its_patience_is_at_an_end(simulate):
    schedule = simulate(TimeLimit(300, nemesis(generator(aims_of("packets")))), end=Unseen(["packets"]))
    window_s = 5.0 * FAULTS["packets"].window[0]
    begun_s = None
    lasted = []
    for at_s, kind, put_off in own(schedule, "packets"):
        if kind == "start":
            begun_s = at_s
        elif not put_off:
            lasted.append(at_s - begun_s)
    assert len(lasted) > 10
    assert all(window_s * 0.5 + PATIENCE_S <= took <= window_s * 1.5 + PATIENCE_S + 1 for took in lasted)


def test_a_fault_that_was_seen_at_once_ends_unasked_and_stays_as_long_as_ever(simulate):
    plain = simulate(TimeLimit(300, nemesis(generator(aims_of()))))
    seen = simulate(TimeLimit(300, nemesis(generator(aims_of()))), end=Unseen([]))
    assert seen.brief() == plain.brief()
    assert not any(event.value == ONLY_IF_SEEN for event in seen.events)


# -- in a run that ends


def run_of(aims, seconds, missing=()):
    """The main phase of such a run: a client that is always at work, and the nemesis."""
    both = AnyOf((clients(Stagger(0.1, Calls(lambda random: Template("read", 1)))), nemesis(generator(aims, seconds))))
    return UntilSeen(seconds, both, frozenset(missing))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("seconds", [4, 10, 20, 60])
def test_a_run_in_which_all_is_seen_ends_in_time_and_begins_nothing_shortly_before(simulate, seconds, seed):
    schedule = simulate(run_of(aims_of(interval_s=2.0), seconds, FAULTS), end=Unseen([]), seed=seed)
    begins_s = {}
    for event, _ in schedule.invocations:
        assert event.time < seconds * 1e9
        if event.f.startswith("start-"):
            begins_s.setdefault(event.f, []).append(event.time / 1e9)
    assert len(begins_s) == len(FAULTS)
    assert all(times[0] <= seconds / 2 for times in begins_s.values())
    quiet_s = min(2, seconds / 10)
    assert all(later <= seconds - quiet_s for times in begins_s.values() for later in times[1:])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("after_s", [0.5, 1, 2])
def test_clients_go_on_until_what_is_in_force_at_the_end_has_been_seen(simulate, after_s, seed):
    seconds = 10
    schedule = simulate(run_of(aims_of(), seconds), end=Unseen(list(FAULTS), int((seconds + after_s) * 1e9)), seed=seed)
    last = max(event.time for event, _ in schedule.invocations if event.f == "read") / 1e9
    assert seconds + after_s - 0.2 <= last <= seconds + after_s + 1
    assert not any(event.f.startswith("start-") for event, _ in schedule.invocations if event.time > seconds * 1e9)
    ends = [event for event in schedule.events if event.f.startswith("stop-")][1::2]
    assert ends[-1].value == {"undone": True}
    assert any(goes_on(event) for event in ends)


@pytest.mark.parametrize("seconds", [4, 10, 60])
def test_clients_do_not_go_on_for_ever_for_what_is_never_seen(simulate, seconds):
    schedule = simulate(run_of(aims_of(), seconds, FAULTS), end=Unseen(list(FAULTS)))
    assert seconds < schedule.ended_ms / 1000 <= seconds + min(PATIENCE_S, seconds / 2) + 1


def test_a_run_without_faults_ends_in_time(simulate):
    schedule = simulate(run_of([], 10))
    assert 9.5 <= schedule.ended_ms / 1000 <= 10.5


@pytest.mark.parametrize("seed", range(10))
def test_a_fault_that_has_not_found_anything_to_hit_is_waited_for(simulate, seed):
    def end(event):
        return Completion("info", value={"skipped": "nobody"} if event.time < 10e9 else {"evidence": {"seen": 1}})

    schedule = simulate(run_of(aims_of("disk", "kill"), 10, ["disk", "kill"]), end=end, seed=seed)
    begins = [event for event in schedule.events if event.f.startswith("start-")]
    assert {event.f for event in begins[1::2] if "evidence" in event.value} == {"start-disk", "start-kill"}
    assert schedule.ended_ms < 12_000


def test_a_fault_that_never_finds_anything_to_hit_is_not_waited_for_for_ever(simulate):
    schedule = simulate(
        run_of(aims_of("disk"), 10, ["disk"]), end=lambda event: Completion("info", value={"skipped": "nobody"})
    )
    assert 14_900 <= schedule.ended_ms <= 15_100


# -- what is asked for


@pytest.mark.parametrize("aim", aims_of(), ids=lambda aim: aim.fault.name)
def test_each_choice_is_drawn_from_its_words_by_weight_and_from_the_stream_given(aim):
    random = Random(1)
    asked = [draw(aim, random) for _ in range(3000)]
    for question, words in aim.fault.choices.items():
        counts = Counter(one[question] for one in asked)
        total = sum(words.values())
        assert counts.keys() == words.keys()
        assert all(count == pytest.approx(3000 * words[word] / total, rel=0.5) for word, count in counts.items())
    assert draw(aim, Random(5)) == draw(aim, Random(5))


def test_what_was_given_is_not_drawn():
    aim = Aim(FAULTS["clock"], {"kind": "offset", "offset": 2000.0}, kinds=("offset",))
    assert {(one["kind"], one["offset"]) for one in (draw(aim, Random(seed)) for seed in range(50))} == {
        ("offset", 2000.0)
    }


def test_only_kinds_are_drawn_that_can_be_done():
    aim = Aim(FAULTS["packets"], {}, kinds=("loss", "rate"))
    assert {draw(aim, Random(seed))["kind"] for seed in range(50)} == {"loss", "rate"}


# -- what becomes of it


class Fate:
    """A fault's life that only remembers what was asked of it, or breaks."""

    def __init__(self, breaks=None):
        self.breaks = breaks
        self.asked = []

    async def begin(self, fault, asked, again=None):
        return self._take("begin", fault.name, asked)

    async def end(self, fault, *, only_if_seen=False):
        return self._take("end only if seen" if only_if_seen else "end", fault.name)

    def _take(self, *what):
        self.asked.append(what)
        if self.breaks:
            raise self.breaks
        return {"told": what[0]}


def carried_out(fate, f, value=None):
    event = Event(index=0, time=0, type="info", process=NEMESIS, f=f, value=value)
    return asyncio.run(handler(aims_of("kill", "pause"), fate)(event))


def test_a_beginning_and_an_end_are_told_as_they_were():
    fate = Fate()
    begun = carried_out(fate, "start-kill", {"target": "leader"})
    assert begun == Completion("info", value={"asked": {"target": "leader"}, "told": "begin"})
    assert carried_out(fate, "stop-pause") == Completion("info", value={"told": "end"})
    assert fate.asked == [("begin", "kill", {"target": "leader"}), ("end", "pause")]


def test_what_is_to_end_only_if_it_has_been_seen_is_ended_so():
    fate = Fate()
    carried_out(fate, "stop-pause", ONLY_IF_SEEN)
    assert fate.asked == [("end only if seen", "pause")]


@pytest.mark.parametrize(("f", "value"), [("start-kill", {"target": "one"}), ("stop-kill", None)])
def test_a_fault_that_could_not_be_made_or_undone_is_recorded_as_an_error(f, value):
    completion = carried_out(Fate(EnvironmentFailure("n2 is broken")), f, value)
    assert completion == Completion("info", error="n2 is broken")
    assert completion.value is UNSET


def test_bugs_are_let_through():
    with pytest.raises(LookupError):
        carried_out(Fate(LookupError("a bug")), "stop-kill")
