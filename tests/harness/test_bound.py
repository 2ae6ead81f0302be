"""The exact bound, against textbook values, its own definition, and by simulation."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bound import at_most, runs_needed, upper_bound


@pytest.mark.parametrize(
    ("failures", "runs", "bound"),
    [
        (0, 300, 0.0099360819),
        (1, 300, 0.0157145549),
        (5, 1000, 0.0104840769),
        (0, 1, 0.95),
        (0, 59, 0.0495076099),
        (2, 10, 0.5069013011),
        (3, 20, 0.3436638043),
        (17, 500, 0.0505640412),
        (250, 1000, 0.2735536313),
    ],
)
def test_the_bound_is_the_textbook_s(failures, runs, bound):
    """Clopper and Pearson: the 0.95-quantile of Beta(failures + 1, runs - failures); these are scipy's."""
    assert upper_bound(failures, runs) == pytest.approx(bound, abs=1e-10)


def test_no_failures_follow_the_closed_form_and_the_rule_of_three():
    for runs in (1, 10, 300, 10_000):
        assert upper_bound(0, runs) == pytest.approx(1 - 0.05 ** (1 / runs), rel=1e-12)
    assert upper_bound(0, 10_000) == pytest.approx(3 / 10_000, rel=0.002)


def test_where_everything_failed_or_nothing_was_run_nothing_is_excluded():
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1.0


@pytest.mark.parametrize(("failures", "runs"), [(-1, 10), (11, 10)])
def test_more_failures_than_runs_are_refused(failures, runs):
    with pytest.raises(ValueError, match="failures of"):
        upper_bound(failures, runs)


@given(st.integers(0, 200).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))), st.floats(0.5, 0.999))
def test_at_the_bound_so_few_failures_are_as_rare_as_the_confidence_says(observed, confidence):
    failures, runs = observed
    bound = upper_bound(failures, runs, confidence)
    if failures < runs:
        exact = math.fsum(math.comb(runs, n) * bound**n * (1 - bound) ** (runs - n) for n in range(failures + 1))
        assert exact == pytest.approx(1 - confidence, rel=1e-6)
        assert at_most(failures, runs, bound) == pytest.approx(exact, rel=1e-9)


@given(st.integers(0, 20), st.floats(0.001, 0.5), st.floats(0.5, 0.999))
def test_so_many_runs_are_enough_and_one_less_is_not(failures, rate, confidence):
    runs = runs_needed(failures, rate, confidence)
    assert upper_bound(failures, runs, confidence) <= rate
    assert runs == failures or upper_bound(failures, runs - 1, confidence) > rate


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05])
def test_the_stated_confidence_holds_in_campaigns_whose_true_rate_is_the_limit(rate):
    """Of 10,000 campaigns of 300 runs the bound is at or above the true rate in 95 % at least, less chance's share."""
    random = Random(f"bound/{rate}")
    bounds = [upper_bound(failures, 300) for failures in range(301)]
    campaigns = 10_000
    held = sum(bounds[sum(random.random() < rate for _ in range(300))] >= rate for _ in range(campaigns))
    assert held / campaigns >= 0.94
