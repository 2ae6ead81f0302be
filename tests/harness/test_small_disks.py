"""When each node gets a small disk of its own: only if it is to be filled, and large enough for the whole run's log."""

from __future__ import annotations

import pytest

from harness.nemesis.specs import parse_nemesis
from harness.test import Test, node_names


def a_test(nemesis: str, rate: float = 200, time_limit_s: float = 40) -> Test:
    return Test(
        environment="local",
        nodes=node_names(3),
        workload="register",
        nemesis=parse_nemesis(nemesis, 5.0),
        time_limit_s=time_limit_s,
        rate=rate,
        concurrency=1,
        seed=1,
    )


@pytest.mark.parametrize("nemesis", ["none", "partition,kill", "disk:slow", "disk:lose,slow:quota"])
def test_no_node_has_one_if_none_is_to_be_filled(nemesis: str) -> None:
    assert a_test(nemesis).disk_megabytes is None


@pytest.mark.parametrize("nemesis", ["disk", "disk:full:leader", "all", "partition,disk:interval=3"])
def test_each_node_has_one_if_it_may_be_filled(nemesis: str) -> None:
    assert a_test(nemesis).disk_megabytes == 65


def test_it_holds_four_times_what_a_long_run_was_measured_to_write() -> None:
    hours = a_test("disk", time_limit_s=7200).disk_megabytes
    assert hours is not None
    assert hours << 20 > 4 * 14 * 200 * 7200
