"""One bug, one signature: what chance decides is left out, and what tells bugs apart is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, Operation, check
from harness.signature import Signature, signature_of, without_chance


def found(*operations):
    """The signature of a real check of these operations."""
    result = check(History.of_operations(operations), "versioned-register")
    assert result.violation is not None
    return signature_of("linearizable", result.reason, result.violation.render())


def read(begin, end, value, version, process=1, key=3):
    return Operation(
        process=process, f="read", key=key, result=value, version=version, call_time=begin, return_time=end
    )


def write(begin, end, value, version, process=0, key=3):
    return Operation(
        process=process, f="write", key=key, value=value, version=version, call_time=begin, return_time=end
    )


def mismatch(begin, end, saw, version, process=2, key=3):
    return Operation(
        process=process, f="cas", key=key, value=(100, 101), status="fail", error="mismatch", actual=saw,
        version=version, call_time=begin, return_time=end,
    )  # fmt: skip


STALE = Signature("linearizable", "a version goes back", "read")


@pytest.mark.parametrize("newer", [write(20, 30, 6, 2), read(20, 30, 6, 2, process=4), mismatch(20, 30, 6, 2)])
def test_a_stale_read_is_one_bug_whoever_saw_the_newer_value(newer):
    writes = [write(0, 10, 5, 1)] if newer.f == "write" else [write(0, 10, 5, 1), write(15, 60, 6, 2)]
    assert found(*writes, newer, read(40, 50, 5, 1)) == STALE


@given(st.integers(1, 10**6), st.integers(1, 30), st.integers(0, 99), st.integers(0, 99))
def test_keys_values_times_and_processes_do_not_matter(scale, key, process, value):
    other = 100 + value
    operations = (
        write(0, 10 * scale, value, 1, key=key),
        write(20 * scale, 30 * scale, other, 2, key=key),
        read(40 * scale, 50 * scale, value, 1, process=process + 5, key=key),
    )
    assert found(*operations) == STALE


def test_other_operations_and_other_rules_are_other_bugs():
    stale_cas = found(write(0, 10, 5, 1), write(20, 30, 6, 2), mismatch(40, 50, 5, 1))
    forked = found(write(0, 10, 5, 1), read(20, 30, 6, 1))
    assert len({STALE, stale_cas, forked}) == 3
    assert forked.rule == "two values under one version"
    assert stale_cas.shape == "cas mismatch"


def test_what_has_no_window_is_told_by_its_reason_without_its_numbers():
    reason = "liveness: the cluster was not healthy {} s after the last fault was healed: no answer from {}"
    first, second = (signature_of("recovery", reason.format(*words), "") for words in (("60", "n1, n4"), ("30", "n2")))
    assert first == second
    assert first.checker == "recovery"
    assert "not healthy" in first.rule


def test_what_is_left_out_of_a_reason():
    assert without_chance("key 5: 3 keys were not served: 'abc' (12 of 13), n4") == "keys were not served"


def test_a_signature_is_one_line_for_people():
    assert str(STALE) == "linearizable: a version goes back (read)"
