"""Laws of the packet scheduler, and its fractions over long runs. No clock, no socket."""

from __future__ import annotations

import statistics
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent.traffic import BACKLOG_MS, REORDER_DELAY_MS, Fate, Scheduler, Traffic

MS = 1_000_000
MANY = 50_000

fractions = st.floats(0, 1)
packets = st.lists(st.tuples(st.integers(0, 20 * MS), st.integers(20, 65535)), max_size=100)
"""Nanoseconds since the packet before, and size."""


@st.composite
def traffics(draw: st.DrawFn) -> Traffic:
    delay_ms = draw(st.floats(0, 1000))
    return Traffic(
        delay_ms=delay_ms,
        jitter_ms=draw(st.floats(0, 1)) * delay_ms,
        loss=draw(fractions),
        duplicate=draw(fractions),
        reorder=draw(fractions),
        rate_kbit=draw(st.sampled_from([0, 64, 1000, 1e6])),
    )


def decide(traffic: Traffic, gaps_and_sizes: list[tuple[int, int]], seed: int = 1) -> list[tuple[int, Fate]]:
    """When each packet came, and its fate."""
    scheduler, now_ns, fates = Scheduler(traffic, Random(seed)), 0, []
    for gap_ns, size in gaps_and_sizes:
        now_ns += gap_ns
        fates.append((now_ns, scheduler.decide(now_ns, size)))
    return fates


def long_run(traffic: Traffic, gap_ns: int = MS, seed: int = 1) -> list[tuple[int, Fate]]:
    return decide(traffic, [(gap_ns, 100)] * MANY, seed)


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


# -- laws --------------------------------------------------------------------------------------------------------------


@given(packets)
def test_a_link_of_which_nothing_is_asked_does_nothing(gaps_and_sizes: list[tuple[int, int]]) -> None:
    assert all(fate == Fate((now_ns,), False) for now_ns, fate in decide(Traffic(), gaps_and_sizes))


@given(traffics(), packets, st.integers())
def test_fates_are_a_function_of_traffic_seed_and_packets(
    traffic: Traffic, gaps_and_sizes: list[tuple[int, int]], seed: int
) -> None:
    assert decide(traffic, gaps_and_sizes, seed) == decide(traffic, gaps_and_sizes, seed)


@given(traffics(), packets)
def test_no_packet_leaves_before_it_came_or_later_than_asked(
    traffic: Traffic, gaps_and_sizes: list[tuple[int, int]]
) -> None:
    transmission_ms = 65535 * 8 / traffic.rate_kbit if traffic.rate_kbit else 0
    longest_ms = max(traffic.delay_ms + traffic.jitter_ms, REORDER_DELAY_MS) + transmission_ms
    longest_ms += BACKLOG_MS if traffic.rate_kbit else 0
    for now_ns, fate in decide(traffic, gaps_and_sizes):
        assert len(fate.releases_ns) <= 2
        assert all(-1 <= release_ns - now_ns <= longest_ms * MS + 2 for release_ns in fate.releases_ns)


@given(traffics(), packets)
def test_copies_leave_together(traffic: Traffic, gaps_and_sizes: list[tuple[int, int]]) -> None:
    assert all(len(set(fate.releases_ns)) <= 1 for _, fate in decide(traffic, gaps_and_sizes))


@given(traffics(), packets)
def test_without_jitter_and_reordering_packets_keep_their_order(
    traffic: Traffic, gaps_and_sizes: list[tuple[int, int]]
) -> None:
    fates = decide(replace(traffic, jitter_ms=0, reorder=0), gaps_and_sizes)
    releases_ns = [release_ns for _, fate in fates for release_ns in fate.releases_ns]
    assert releases_ns == sorted(releases_ns)
    assert not any(fate.overtakes for _, fate in fates)


@given(traffics(), packets)
def test_who_overtakes_leaves_before_one_that_came_before(
    traffic: Traffic, gaps_and_sizes: list[tuple[int, int]]
) -> None:
    latest_ns = 0
    for _, fate in decide(traffic, gaps_and_sizes):
        for release_ns in fate.releases_ns[:1]:
            assert fate.overtakes == (release_ns < latest_ns)
            latest_ns = max(latest_ns, release_ns)


@given(packets, fractions, fractions)
def test_one_fault_more_does_not_change_who_meets_the_others(
    gaps_and_sizes: list[tuple[int, int]], loss: float, duplicate: float
) -> None:
    alone = decide(Traffic(loss=loss), gaps_and_sizes)
    together = decide(Traffic(loss=loss, duplicate=duplicate, delay_ms=50, jitter_ms=10), gaps_and_sizes)
    assert [bool(fate.releases_ns) for _, fate in alone] == [bool(fate.releases_ns) for _, fate in together]


@given(st.lists(st.integers(20, 65535), min_size=1, max_size=50), st.sampled_from([64.0, 1000.0, 1e6]))
def test_packets_that_come_together_leave_one_after_another_at_the_rate(sizes: list[int], rate_kbit: float) -> None:
    fates = [fate for _, fate in decide(Traffic(rate_kbit=rate_kbit), [(0, size) for size in sizes])]
    bits = 0
    for size, fate in zip(sizes, fates, strict=True):
        if fate.releases_ns:
            bits += 8 * size
            assert fate.releases_ns[0] == pytest.approx(bits * MS / rate_kbit, abs=len(sizes))
        else:
            assert bits / rate_kbit >= BACKLOG_MS * 0.999


# -- fractions and distributions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_fractions_are_those_asked_for(fraction: float, seed: int) -> None:
    lost = [not fate.releases_ns for _, fate in long_run(Traffic(loss=fraction), seed=seed)]
    twice = [len(fate.releases_ns) == 2 for _, fate in long_run(Traffic(duplicate=fraction), seed=seed)]
    early = [fate.overtakes for _, fate in long_run(Traffic(delay_ms=50, reorder=fraction), seed=seed)]
    assert [share(lost), share(twice), share(early)] == pytest.approx([fraction] * 3, rel=0.05)


def test_faults_are_independent() -> None:
    everything = Traffic(delay_ms=50, loss=0.2, duplicate=0.1, reorder=0.25)
    fates = [fate for _, fate in long_run(everything) if fate.releases_ns]
    assert len(fates) / MANY == pytest.approx(0.8, rel=0.05)
    assert share([len(fate.releases_ns) == 2 for fate in fates]) == pytest.approx(0.1, rel=0.1)
    assert share([len(fate.releases_ns) == 2 and fate.overtakes for fate in fates]) == pytest.approx(0.025, rel=0.1)


def test_jitter_is_uniform_around_the_delay() -> None:
    delays_ms = [(fate.releases_ns[0] - now_ns) / MS for now_ns, fate in long_run(Traffic(delay_ms=50, jitter_ms=10))]
    deciles = statistics.quantiles(delays_ms, n=10)
    assert deciles == pytest.approx([42, 44, 46, 48, 50, 52, 54, 56, 58], abs=0.3)
    assert 40 <= min(delays_ms) < 40.1
    assert 59.9 < max(delays_ms) <= 60


def test_reordering_without_a_delay_holds_the_others() -> None:
    waits_ms = [(fate.releases_ns[0] - now_ns) / MS for now_ns, fate in long_run(Traffic(reorder=0.25))]
    assert set(waits_ms) == {0, REORDER_DELAY_MS}


def test_reordered_packets_do_not_skip_the_rate() -> None:
    fates = [fate for _, fate in decide(Traffic(rate_kbit=1000, delay_ms=50, reorder=1), [(0, 1250)] * 10)]
    assert [fate.releases_ns for fate in fates] == [(10 * MS * number,) for number in range(1, 11)]


# -- what cannot be asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"loss": 20}, "loss is a fraction from 0 to 1, not 20"),
        ({"reorder": -0.1}, "reorder is a fraction from 0 to 1, not -0.1"),
        ({"duplicate": float("nan")}, "duplicate is a fraction from 0 to 1, not nan"),
        ({"delay_ms": -1}, "delay_ms is a number from 0 on, not -1"),
        ({"rate_kbit": float("inf")}, "rate_kbit is a number from 0 on, not inf"),
        ({"delay_ms": 5, "jitter_ms": 10}, r"jitter_ms is at most delay_ms \(5\), not 10"),
    ],
)
def test_nonsense_is_refused(asked: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Traffic(**asked)
