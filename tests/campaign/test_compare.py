"""What is new, gone, slower and flaky from one night to the next, and since which version."""

from __future__ import annotations

import pytest

from harness.campaign.cells import Cell
from harness.campaign.compare import compare, flaky, versions_of
from harness.signature import Signature
from night import CELL, STALE, figures

LOST = Signature("linearizable", "no order explains it", "read after write")
ELSEWHERE = Cell(env="docker")


def signatures(failures):
    return [failure.signature for failure in failures]


def test_new_known_and_gone(rows):
    before = [*rows.many(5), rows("invalid"), rows("invalid", signature=LOST)]
    after = [*rows.many(5), rows("invalid", signature=LOST)]
    found = compare(before, after)
    assert (signatures(found.new), signatures(found.known), signatures(found.gone)) == ([], [LOST], [STALE])
    back = compare(after, before)
    assert (signatures(back.new), signatures(back.known), signatures(back.gone)) == ([STALE], [LOST], [])


def test_a_failure_whose_cell_was_not_run_is_not_gone(rows):
    before = [rows("invalid", cell=ELSEWHERE)]
    found = compare(before, rows.many(3))
    assert (signatures(found.gone), signatures(found.not_run)) == ([], [STALE])
    crashed = compare(before, [rows("crash", cell=ELSEWHERE)])
    assert signatures(crashed.not_run) == [STALE], "a run that said nothing does not say that it is gone"


def test_what_has_grown_by_a_quarter_is_slower(rows):
    before = rows.many(5, statistics=figures(p99_ms=100.0))
    assert compare(before, rows.many(5, statistics=figures(p99_ms=124.0))).slower == []
    (slower,) = compare(before, rows.many(5, statistics=figures(p99_ms=126.0))).slower
    assert (slower.cell, slower.figure, slower.before, slower.after) == (str(CELL), "p99", 100.0, 126.0)


def test_two_runs_are_too_few_to_say_what_is_slower(rows):
    assert compare(rows.many(2), rows.many(2, statistics=figures(p99_ms=1e6))).slower == []


def test_flaky_is_a_run_made_again_by_the_same_version_with_another_verdict(rows):
    assert flaky([rows(seed=1), rows("invalid", seed=1), rows(seed=2), rows(seed=2), rows(seed=3)]) == (1, 2)
    assert flaky([rows(seed=1), rows("invalid", seed=1, version="2.0")]) == (0, 0)
    assert flaky([rows(seed=1), rows("crash", seed=1)]) == (0, 0), "a crash is no verdict"


def test_since_which_version_a_failure_is_there(rows):
    history = [
        rows(version="1.0"),
        rows(version="1.1"),
        rows(version="1.1", cell=ELSEWHERE),
        rows("invalid", version="1.2"),
        rows(version="1.2"),
        rows("invalid", version="1.3"),
    ]
    found = versions_of(STALE, history)
    assert (found.first_bad, found.last_good) == ("1.2", "1.1")
    assert versions_of(LOST, history) is None
    assert versions_of(STALE, [rows("invalid")]).last_good is None


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_rows_does_not_matter(rows, reverse):
    history = [rows(version="1.0"), rows("invalid", version="1.1"), rows("invalid", version="1.2")]
    assert versions_of(STALE, history[::-1] if reverse else history).first_bad == "1.1"
