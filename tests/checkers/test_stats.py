"""What users felt: rates, latencies, availability and recovery, against values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.history import NEMESIS, Event
from checkers.stats import percentile, statistics

S = 1_000_000_000


def events(*steps):
    """Events from (second, process, type, f) and perhaps fields."""
    return [
        Event(index=index, time=int(second * S), type=type_, process=process, f=f, **(fields[0] if fields else {}))
        for index, (second, process, type_, f, *fields) in enumerate(steps)
    ]


def an_operation(begin, end, process=0, type_="ok", **fields):
    return [(begin, process, "invoke", "read"), (end, process, type_, "read", fields)]


def in_order(*operations):
    return events(*sorted((step for operation in operations for step in operation), key=lambda step: step[0]))


def test_nothing_is_measured_where_nothing_happened():
    empty = statistics([])
    assert (empty.operations, empty.rate, empty.availability, empty.p99_ms, empty.recovery_s) == (0, *[None] * 4)


def test_latency_is_that_of_answered_operations_only():
    history = in_order(
        an_operation(0, 1),
        an_operation(2, 5, type_="info"),
        an_operation(6, 9, process=1, type_="fail", error="not_leader"),
        an_operation(10, 13, process=1, type_="fail", error="mismatch", actual=3),
    )
    figures = statistics(history)
    assert (figures.operations, figures.availability) == (4, 0.5)
    assert (figures.p50_ms, figures.max_ms) == (1000, 3000)
    assert figures.rate == pytest.approx(4 / 13)


def test_an_operation_that_never_ended_is_not_available():
    figures = statistics(events((0, 0, "invoke", "read"), (1, 1, "invoke", "read"), (2, 1, "ok", "read")))
    assert (figures.operations, figures.availability) == (2, 0.5)


def test_the_nemesis_is_no_client():
    assert statistics(events((0, NEMESIS, "info", "start-kill"), (1, NEMESIS, "info", "start-kill"))).operations == 0


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values, percent):
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert 100 * sum(value <= found for value in ordered) >= percent * len(ordered)
    assert 100 * sum(value < found for value in ordered) < percent * len(ordered)


# -- recovery


def recovery(history, *windows):
    spans = [(int(begin * S), None if end is None else int(end * S)) for begin, end in windows]
    return statistics(history, spans).recovery_s


def test_recovery_is_until_an_operation_that_was_invoked_after_the_heal_is_ok():
    history = in_order(an_operation(9, 11), an_operation(12, 13, process=1))
    assert recovery(history, (5, 10)) == 3, "the one that was under way at the heal does not count"


def test_recovery_is_the_worst_of_all_heals():
    history = in_order(an_operation(10, 11), an_operation(20, 24, process=1))
    assert recovery(history, (5, 9), (12, 19)) == 5


def test_where_windows_overlap_only_the_last_heal_counts():
    history = in_order(an_operation(8, 9), an_operation(13, 14, process=1))
    assert recovery(history, (5, 7), (6, 12)) == 2


def test_a_heal_that_another_fault_follows_at_once_is_left_out():
    history = in_order(an_operation(6, 20), an_operation(31, 32, process=1))
    assert recovery(history, (1, 5), (10, 30)) == 2


def test_a_window_without_length_is_a_heal_like_any_other():
    history = in_order(an_operation(11, 12))
    assert recovery(history, (5, 10), (10, 10)) == 2


def test_a_cluster_that_never_came_back_has_no_recovery():
    assert recovery(in_order(an_operation(1, 2)), (5, 10)) is None
    assert recovery(in_order(an_operation(1, 2), an_operation(11, 12, type_="info", process=1)), (5, 10)) is None


def test_what_was_never_healed_is_no_recovery():
    assert recovery(in_order(an_operation(6, 7)), (5, None)) is None
