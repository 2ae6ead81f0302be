"""What a history says of its faults: a row for each window, with what was felt in it."""

from __future__ import annotations

import msgspec
import pytest

from checkers.history import NEMESIS, Event
from harness.nemesis.windows import asked_text, fault_rows, troubles_at_the_end

S = 1_000_000_000
BEGUN = {
    "asked": {"target": "leader"},
    "nodes": ["n1"],
    "told": "n1",
    "resolved": {"nodes": ["n1"]},
    "evidence": {"killed": {"n1": 7}},
    "believed_ms": 12.5,
    "leaders": ["n1"],
    "term": 3,
}
ENDED = {"undone": True, "evidence": {"killed": {"n1": 7}}, "leaders": ["n2"], "term": 4}


def event(seconds, process, type_, f, value=None, **fields):
    return Event(index=0, time=int(seconds * S), type=type_, process=process, f=f, value=value, **fields)


def nemesis(f, at, value=None, error=None, asked=None):
    """An operation of the nemesis that takes half a second and is complete at `at`."""
    failed = {"error": error} if error else {}
    return [event(at - 0.5, NEMESIS, "info", f, asked), event(at, NEMESIS, "info", f, value, **failed)]


def operation(begin, end, how, process=0):
    """A client's operation; one that never ended has no end."""
    events = [event(begin, process, "invoke", "read")]
    return events if end is None else [*events, event(end, process, how, "read")]


def rows(*groups, names=("kill", "pause")):
    events = sorted((event for group in groups for event in group), key=lambda event: event.time)
    read_back = msgspec.json.decode(msgspec.json.encode(events), type=list[Event])
    return fault_rows(names, read_back)


def test_a_window_is_from_when_the_fault_was_in_force_to_when_it_was_gone():
    (row,) = rows(nemesis("start-kill", 5, BEGUN, asked={"target": "leader"}), nemesis("stop-kill", 9, ENDED))
    assert (row.fault, row.asked, row.resolved, row.nodes) == ("kill", "kill:leader", "n1", ("n1",))
    assert (row.begin, row.end, row.believed_ms, row.trouble) == (5.0, 9.0, 12.5, None)
    assert row.evidence == {"killed": {"n1": 7}}
    assert row.effect["leaders"] == [["n1"], ["n2"]]
    assert row.effect["terms"] == [3, 4]


def test_windows_of_different_faults_overlap_and_are_rows_in_the_order_of_their_begins():
    found = rows(
        nemesis("start-kill", 1, BEGUN),
        nemesis("start-pause", 2, BEGUN),
        nemesis("stop-kill", 3, ENDED),
        nemesis("start-kill", 4, BEGUN),
        nemesis("stop-pause", 5, ENDED),
        nemesis("stop-kill", 6, ENDED),
    )
    assert [(row.fault, row.begin, row.end) for row in found] == [("kill", 1, 3), ("pause", 2, 5), ("kill", 4, 6)]


def test_a_window_begins_when_the_fault_did_and_not_when_it_was_believed():
    (row,) = rows(nemesis("start-kill", 5, {**BEGUN, "applied_ns": 4 * S}), nemesis("stop-kill", 9, ENDED))
    assert row.begin == 4.0


def test_a_fault_is_proved_if_it_was_seen_at_each_node_and_to_its_end():
    def proved(evidence, lost=None):
        ended = {**ENDED, "evidence": evidence, "lost": lost}
        (row,) = rows(nemesis("start-kill", 5, BEGUN | {"evidence": None}), nemesis("stop-kill", 9, ended))
        return row.proved

    assert proved({"killed": {"n1": 7}})
    assert not proved(None)
    assert not proved({"killed": {"n1": 7}, "unseen": ["n2"]})
    assert not proved({"killed": {"n1": 7}}, "somebody has started n1 again")


@pytest.mark.parametrize(
    ("first", "last", "evidence"),
    [(None, {"a": 1}, {"a": 1}), ({"a": 1}, None, {"a": 1}), ({"a": 1}, {"a": 2}, {"a": 2}), (None, None, None)],
)
def test_evidence_may_come_at_either_end_and_the_later_counts(first, last, evidence):
    (row,) = rows(
        nemesis("start-kill", 5, {**BEGUN, "evidence": first}), nemesis("stop-kill", 9, {**ENDED, "evidence": last})
    )
    assert row.evidence == evidence


def test_a_fault_that_found_nothing_to_hit_has_no_row_and_so_has_its_end():
    assert rows(nemesis("start-kill", 5, {"skipped": "no node"}), nemesis("stop-kill", 9, {"skipped": "nothing"})) == ()


def test_a_fault_that_could_not_be_made_is_a_row_with_its_trouble_and_without_evidence():
    (row,) = rows(
        nemesis("start-kill", 5, error="n1 is broken", asked={"target": "one"}), nemesis("stop-kill", 9, ENDED)
    )
    assert (row.trouble, row.asked, row.end) == ("n1 is broken", "kill:one", 9)


def test_a_fault_that_is_ended_twice_is_over_when_it_is_gone():
    (row,) = rows(
        nemesis("start-kill", 5, BEGUN), nemesis("stop-kill", 7, error="not undone"), nemesis("stop-kill", 9, ENDED)
    )
    assert row.end == 9


def test_an_end_that_was_put_off_is_none():
    put_off = nemesis("stop-kill", 7, {"goes_on": "not seen yet", "evidence": None})
    begun = nemesis("start-kill", 5, {**BEGUN, "evidence": None})
    (row,) = rows(begun, put_off, nemesis("stop-kill", 9, ENDED))
    assert (row.end, row.proved) == (9, True)
    (row,) = rows(begun, put_off)
    assert (row.end, row.proved) == (None, False)


def test_a_window_that_was_never_closed_has_no_end_and_one_that_never_opened_is_none():
    (row,) = rows(nemesis("start-kill", 5, BEGUN))
    assert row.end is None
    assert rows(nemesis("start-kill", 5, BEGUN)[:1]) == ()
    assert rows(nemesis("stop-kill", 5, {"skipped": "nothing to undo"})) == ()


def test_what_clients_felt_is_counted_of_what_was_under_way_in_the_window():
    window = [nemesis("start-kill", 10, BEGUN), nemesis("stop-kill", 20, ENDED)]
    usual = [operation(second, second + 0.1, "ok") for second in range(9)]
    within = [
        operation(11, 11.1, "ok"),
        operation(12, 13, "ok"),
        operation(14, 15, "fail"),
        operation(16, 17, "info"),
    ]
    across = [operation(9.9, 10.2, "ok"), operation(19.9, 21, "fail", process=1)]
    never_ended = [
        operation(18, None, "info", process=2),
        operation(5, None, "info", process=3),
    ]  # count where they began
    outside = [operation(21.5, 22, "info")]
    (row,) = rows(*window, *usual, *within, *across, *never_ended, *outside)
    assert {kind: row.effect[kind] for kind in ("ok", "fail", "info", "slow")} == {
        "ok": 3,
        "fail": 2,
        "info": 2,
        "slow": 2,
    }


def test_troubles_at_the_end_are_those_of_faults_whose_last_end_failed():
    events = [
        *nemesis("stop-kill", 1, error="not yet"),
        *nemesis("stop-kill", 2, ENDED),
        *nemesis("stop-pause", 3, ENDED),
        *nemesis("start-pause", 4, error="cannot be made"),
        *nemesis("stop-pause", 5, error="the engine is gone"),
    ]
    assert troubles_at_the_end(["kill", "pause", "clock"], events) == {"pause": "the engine is gone"}


def test_what_was_asked_is_told_as_a_user_would_ask():
    asked = {"kind": "offset", "target": "leader", "offset": 2000.0}
    assert asked_text("clock", asked) == "clock:offset:leader:offset=2000ms"
    assert asked_text("kill", {}) == "kill"
