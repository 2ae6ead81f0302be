"""Clever code against obvious code: quorums, the log, flow control, frames, clocks."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.clock import NodeClock, Ticker
from raft_impl.codec import MAX_FRAME_BYTES, FrameError, FrameReader, decode_message, encode, frame
from raft_impl.log import Log
from raft_impl.progress import Progress
from raft_impl.quorum import Decision, Majority
from raft_impl.types import AppendEntries, Entry

VOTERS = tuple("abcdefg")
voters = st.integers(1, 7).map(lambda size: VOTERS[:size])


@settings(deadline=None)
@given(voters, st.dictionaries(st.sampled_from(VOTERS), st.integers(0, 9)))
def test_reached_is_the_largest_number_that_more_than_half_have_reached(names, positions):
    def reached(number):
        return sum(positions.get(name, 0) >= number for name in names) * 2 > len(names)

    assert Majority(names).reached(positions) == max(number for number in range(10) if reached(number))


@settings(deadline=None)
@given(voters, st.dictionaries(st.sampled_from(VOTERS), st.booleans()))
def test_a_vote_is_decided_when_no_missing_answer_can_change_it(names, votes):
    missing = [name for name in names if name not in votes]
    most = sum(votes.get(name, False) for name in names) + len(missing)
    least = most - len(missing)
    half = len(names) / 2
    expected = Decision.WON if least > half else Decision.LOST if most <= half else Decision.PENDING
    assert Majority(names).decide(votes) is expected


@settings(deadline=None)
@given(voters, st.sets(st.sampled_from(VOTERS)))
def test_any_two_quorums_share_a_voter(names, some):
    quorum = Majority(names)
    others = set(names) - some
    assert not (quorum.includes(some) and quorum.includes(others))


def log_of(terms):
    return Log([Entry(term, index, b"") for index, term in enumerate(terms, 1)])


terms = st.lists(st.integers(1, 5), max_size=12).map(sorted)


@settings(deadline=None)
@given(terms, terms)
def test_the_hint_is_the_last_place_where_the_logs_can_agree(mine, theirs):
    """Seen from a follower that refused (prev_index, prev_term): nothing after the hint can match."""
    log, leader = log_of(mine), log_of(theirs)
    for prev_index in range(1, len(theirs) + 1):
        prev_term = theirs[prev_index - 1]
        if log.term_at(prev_index) == prev_term:
            continue
        hint_index, hint_term = log.last_possible_match(prev_index, prev_term)
        retry_index, _ = leader.last_possible_match(hint_index, hint_term)
        agree = [i for i in range(1, min(len(mine), prev_index) + 1) if mine[i - 1] == theirs[i - 1]]
        assert max(agree, default=0) <= retry_index < prev_index


@settings(deadline=None)
@given(terms, st.integers(0, 12), terms)
def test_the_first_difference_is_where_a_plain_comparison_finds_it(mine, prev_index, theirs):
    prev_index = min(prev_index, len(mine))
    entries = [Entry(term, prev_index + number, b"") for number, term in enumerate(theirs, 1)]
    expected = 0
    while expected < len(theirs) and mine[prev_index + expected : prev_index + expected + 1] == [theirs[expected]]:
        expected += 1
    assert log_of(mine).first_difference(entries) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["append", "truncate", "take"]), st.integers(0, 20)), max_size=30))
def test_what_is_taken_for_saving_adds_up_to_the_log(steps):
    log, saved, term = Log(), [], 1
    for step, number in steps:
        if step == "append":
            log.append([Entry(term, log.last_index + 1, b"%d" % number)])
        elif step == "truncate" and 1 <= number <= log.last_index:
            log.truncate_from(number)
            term += 1
        elif step == "take":
            taken = log.take_unsaved()
            if taken:
                saved = saved[: taken[0].index - 1] + list(taken)
            assert tuple(saved[: log.last_index]) == log.between(1, log.last_index)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(0, 60))
def test_between_respects_its_limit_but_never_stands_still(datas, limit):
    log = Log([Entry(1, index, data) for index, data in enumerate(datas, 1)])
    entries = log.between(1, log.last_index, limit)
    assert entries == log.between(1, len(entries))
    assert len(entries) <= 1 or sum(len(entry.data) for entry in entries) <= limit
    assert bool(entries) == bool(datas)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_progress_never_loses_match_and_never_skips(seed):
    """Against a follower that really holds a prefix: next never passes beyond what was sent, match never falls."""
    rng = random.Random(seed)
    last, held = 20, rng.randint(0, 20)
    progress = Progress(last + 1, window=3)
    for _ in range(60):
        match = progress.match
        action = rng.choice(["send", "ack", "reject", "heartbeat"])
        if action == "send" and progress.may_send(last):
            progress.sent(min(last, progress.next_index - 1 + rng.randint(0, 4)))
        elif action == "ack":
            progress.acknowledged(rng.randint(0, held))
        elif action == "reject":
            progress.rejected(rng.randint(1, last), rng.randint(0, last))
        else:
            progress.check_stalled(last)
        assert match <= progress.match < progress.next_index <= last + 1


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 2**32))
def test_frames_come_out_whole_however_the_stream_is_cut(bodies, seed):
    rng = random.Random(seed)
    stream = b"".join(frame(body) for body in bodies)
    reader, out = FrameReader(), []
    while stream:
        size = rng.randint(1, 50)
        out += reader.feed(stream[:size])
        stream = stream[size:]
    assert out == [encode(body) for body in bodies]


def test_a_frame_that_is_too_large_is_refused_before_it_is_stored():
    with pytest.raises(FrameError, match="at most"):
        FrameReader().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_frame_error(body):
    try:
        message = decode_message(body)
    except FrameError:
        return
    assert isinstance(message.term, int)


def test_messages_survive_the_wire():
    message = AppendEntries(3, 7, 2, (Entry(3, 8, b"x"), Entry(3, 9, b"")), 7)
    assert decode_message(encode(message)) == message


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(0.1, 4.0)), max_size=8))
def test_a_change_of_rate_makes_no_step(changes):
    clock, now_ns = NodeClock(), 10**15
    for pause_ns, rate in changes:
        now_ns += pause_ns
        before_ns = clock.read(now_ns)
        clock.set(now_ns, rate=rate)
        assert clock.read(now_ns) == before_ns
        assert abs(clock.read(now_ns + 10**9) - before_ns - rate * 10**9) < 10


def test_an_offset_is_relative_to_the_true_time():
    clock = NodeClock()
    assert clock.read(123) == 123
    clock.set(10**9, offset_ms=250, rate=2.0)
    clock.set(2 * 10**9, offset_ms=-5, rate=1.0)
    assert clock.read(3 * 10**9) == 3 * 10**9 - 5_000_000


def test_ticks_keep_the_rest_and_survive_leaps():
    ticker = Ticker(10, limit=40)
    assert [ticker.due(now) for now in (1000, 1009, 1010, 1035, 1040)] == [0, 0, 1, 2, 1]
    assert ticker.due(10**9) == 40
    assert ticker.due(10**9 + 10) == 1
    assert ticker.due(500) == 0
    assert ticker.due(520) == 2
