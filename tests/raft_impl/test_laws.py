"""Clever code against obvious code: quorums, the log, flow control, frames, clocks."""

import os
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.clock import NodeClock, Ticker
from raft_impl.clockfile import ClockFile
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


TRUE_NS = st.integers(0, 10**18)
OFFSET_MS = st.integers(-300_000, 300_000)


@settings(deadline=None)
@given(TRUE_NS, OFFSET_MS, st.integers(1, 5000), st.integers(0, 10**12))
def test_a_clock_is_off_by_its_offset_and_drifts_by_its_rate_exactly(since_ns, offset_ms, rate_permille, elapsed_ns):
    clock = NodeClock()
    assert clock.read(since_ns) == since_ns
    clock.set(since_ns, offset_ms, rate_permille / 1000)
    wanted_ns = since_ns + offset_ms * 10**6 + elapsed_ns * rate_permille // 1000
    assert clock.read(since_ns + elapsed_ns) == wanted_ns
    clock.set(since_ns + elapsed_ns)
    assert clock.read(since_ns + elapsed_ns) == since_ns + elapsed_ns


@settings(deadline=None)
@given(TRUE_NS, OFFSET_MS, st.integers(1, 10_000), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_strobe_is_wrong_and_true_by_turns(since_ns, offset_ms, strobe_ms, turn, part):
    clock = NodeClock()
    clock.set(since_ns, offset_ms, strobe_ms=strobe_ms)
    now_ns = since_ns + turn * strobe_ms * 10**6 + int(part * strobe_ms * 10**6)
    assert clock.read(now_ns) - now_ns == (0 if turn % 2 else offset_ms * 10**6)


def test_a_strobe_neither_stops_a_node_nor_drives_it():
    """Half a minute of a clock that leaps an hour ahead and back each 200 ms: at most a time-out's worth each leap."""
    clock, ticker = NodeClock(), Ticker(10**7, limit=40)
    clock.set(0, offset_ms=3_600_000, strobe_ms=200)
    due = [ticker.due(clock.read(now_ns)) for now_ns in range(0, 30 * 10**9, 10**7)]
    assert max(due) == 40
    leaps, turns = due.count(40), 30_000 // 200
    assert leaps == turns // 2 - 1, "each leap ahead but the first, from which it starts"
    assert sum(due) - 40 * leaps == len(due) - turns


@pytest.mark.parametrize("late_s", [0, 100])
def test_a_clock_files_setting_holds_since_it_was_written(tmp_path, late_s):
    """So a node that is started late, or again, reads what it would have read had it run all the time."""
    path, true_ns = tmp_path / "clock", 10**15
    path.write_text('{"offset_ms": -500, "rate": 3}')
    written_ns = time.time_ns() - late_s * 10**9
    os.utime(path, ns=(written_ns, written_ns))
    readings = []
    for _ in range(2):
        clock = NodeClock()
        assert "rate 3" in (ClockFile(path, clock).poll(true_ns) or "")
        readings.append(clock.read(true_ns) - true_ns)
    assert readings == [pytest.approx((2 * late_s - 0.5) * 1e9, abs=10**9)] * 2


def test_a_senseless_clock_file_changes_nothing_and_no_file_is_a_right_clock(tmp_path):
    path, clock = tmp_path / "clock", NodeClock()
    file = ClockFile(path, clock)
    assert file.poll(0) is None
    path.write_text('{"offset_ms": 500}')
    assert file.poll(0) == "offset_ms 500.0, rate 1.0, strobe_ms 0.0"
    assert file.poll(0) is None
    path.write_text('{"offset": 7, "padding": "so that the file is another"}')
    assert str(path) in (file.poll(10**9) or "")
    assert clock.read(10**9) == 10**9 + 500 * 10**6
    path.unlink()
    assert "right again" in (file.poll(10**9) or "")
    assert clock.read(10**9) == 10**9


def test_ticks_keep_the_rest_and_survive_leaps():
    ticker = Ticker(10, limit=40)
    assert [ticker.due(now) for now in (1000, 1009, 1010, 1035, 1040)] == [0, 0, 1, 2, 1]
    assert ticker.due(10**9) == 40
    assert ticker.due(10**9 + 10) == 1
    assert ticker.due(500) == 0
    assert ticker.due(520) == 2
