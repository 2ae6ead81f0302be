"""How a campaign goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.commands.watch import Watch, duration


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watched():
    """A function: what is shown of a campaign of 100 runs whose rows end every few seconds."""

    def watched(rows, every_s, terminal, before=()):
        output, clock = io.StringIO(), Clock()
        console = Console(file=output, force_terminal=terminal, width=200, highlight=False)
        with Watch("night", clock, console) as watch:
            watch.begin(100, before)
            for row in rows:
                clock.seconds += every_s
                watch.ended(row)
        return output.getvalue()

    return watched


def test_where_there_is_no_terminal_there_is_a_plain_line_now_and_then(watched, rows):
    lines = watched(rows.many(7), 3.0, terminal=False).splitlines()
    assert lines == ["night: 100 runs", "4 of 100: 4 valid; 20 a minute; 5 min left"]


def test_a_failure_is_a_line_at_once(watched, rows):
    night = [rows(), rows("invalid"), rows("crash", ended="out of time"), rows("inconclusive"), rows("interrupted")]
    lines = watched(night, 0.1, terminal=False).splitlines()
    said = [line.split(":")[0] for line in lines[1:]]
    assert said == ["invalid", "out of time", "inconclusive"]
    assert night[1].run in lines[1]


def test_on_a_terminal_there_is_a_bar_with_counts_rate_and_time_left(watched, rows):
    shown = watched([*rows.many(3), rows("invalid")], 3.0, terminal=True)
    assert "4/100" in shown
    assert "3 valid, 1 invalid; 20 a minute; 5 min left" in shown
    assert "last failure: 004, invalid" in shown
    assert "\x1b" in shown


def test_what_was_made_before_counts_but_not_for_the_rate(watched, rows):
    lines = watched(rows.many(2), 6.0, terminal=False, before=rows.many(58)).splitlines()
    assert lines == ["night: 100 runs, of which 58 have been made", "60 of 100: 60 valid; 10 a minute; 4 min left"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5300, "88 min"), (7800, "2 h 10 min")]
)
def test_how_long_that_is(seconds, text):
    assert duration(seconds) == text
