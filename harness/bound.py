"""How many failures a number of runs excludes: the exact one-sided binomial bound (Clopper and Pearson, 1934).

Lives here: the bound, and how many runs it takes to reach one. Pure. Must not live here: which runs count.
"""

from __future__ import annotations

import math

_STEPS = 200
"""Bisection halves an interval of length one each time: it stops at neighbouring floats long before."""


def upper_bound(failures: int, runs: int, confidence: float = 0.95) -> float:
    """The failure rate that is excluded: the truth is below it with that confidence. 1 if no run says anything.

    It is the rate at which so few failures would be seen in `1 - confidence` of all campaigns.
    """
    if not 0 <= failures <= runs:
        raise ValueError(f"{failures} failures of {runs} runs")
    if failures == runs:
        return 1.0
    if failures == 0:
        return -math.expm1(math.log1p(-confidence) / runs)
    low, high = failures / runs, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if at_most(failures, runs, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_most(failures: int, runs: int, rate: float) -> float:
    """The probability of at most so many failures, if each run fails with that rate. O(failures).

    Terms are summed as logarithms, since the first of them may be too small for a float.
    """
    if rate <= 0.0 or failures >= runs:
        return 1.0
    if rate >= 1.0:
        return 0.0
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    total = math.fsum(
        math.exp(_log_choose(runs, count) + count * log_rate + (runs - count) * log_rest)
        for count in range(failures + 1)
    )
    return min(total, 1.0)


def runs_needed(failures: int, rate: float, confidence: float = 0.95) -> int:
    """How many runs with so many failures it takes until the bound is not above `rate`."""
    low, high = failures, failures + 1
    while upper_bound(failures, high, confidence) > rate:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(failures, middle, confidence) > rate:
            low = middle
        else:
            high = middle
    return high


def _log_choose(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
