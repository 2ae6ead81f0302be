"""What clients see: registers, versions, sessions, redirects, and which errors are certain."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.codec import encode
from raft_impl.errors import ERRORS
from raft_impl.register import Register
from raft_impl.types import Cas, Entry, OpenSession, Write


@pytest.fixture
def cluster(make_cluster):
    cluster = make_cluster()
    cluster.elect("n1")
    return cluster


def apply(register, *commands):
    """Return the outcome of the last command."""
    for command in commands:
        outcome = register.apply(Entry(1, register.applied + 1, encode(command)))
    return outcome


def test_a_register_starts_as_nothing_at_version_0(cluster):
    reply = cluster.ask("n1", "read")
    assert (reply.ok, reply.value, reply.version) == (True, None, 0)


def test_each_change_adds_one_to_the_version(cluster):
    assert cluster.ask("n1", "write", value=1).version == 1
    assert cluster.ask("n1", "cas", old=1, new=2).version == 2
    assert cluster.ask("n1", "write", key="y", value=1).version == 1
    reply = cluster.ask("n1", "read")
    assert (reply.value, reply.version) == (2, 2)


def test_a_failed_cas_says_what_it_found_and_changes_nothing(cluster):
    cluster.ask("n1", "write", value=1)
    reply = cluster.ask("n1", "cas", old=5, new=6)
    assert (reply.ok, reply.error, reply.definite, reply.value, reply.version) == (False, "mismatch", True, 1, 1)
    assert cluster.ask("n1", "read").value == 1


@pytest.mark.parametrize("lookalike", [True, 1.0, "1", b"1", [1]])
def test_cas_takes_only_the_same_value_of_the_same_type(lookalike):
    assert apply(Register(), Write("x", 1), Cas("x", lookalike, 2)).error == "mismatch"


def test_a_follower_redirects_to_the_leader(cluster):
    cluster.run(2)
    for op in ("read", "write", "cas", "open_session"):
        reply = cluster.ask("n2", op)
        assert (reply.error, reply.definite, reply.leader) == ("not_leader", True, "n1")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "increment"}, "unknown op 'increment'; known are open_session, read, write, cas"),
        ({"op": "write", "key": None}, "write needs a key"),
        ({"op": "read", "key": None}, "read needs a key"),
        ({"op": "write", "session": 4}, "session and sequence belong together: give both or neither"),
        ({"op": "write", "session": 4, "sequence": 0}, "sequence numbers start at 1"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(cluster, fields, message):
    reply = cluster.ask("n1", **fields)
    assert (reply.error, reply.definite, reply.message) == ("bad_request", True, message)


def test_a_command_that_is_too_large_is_refused(cluster):
    assert cluster.ask("n1", "write", value="x" * 2**20).error == "too_large"


def test_stepping_down_leaves_proposals_uncertain_and_reads_without_effect(cluster):
    cluster.isolate("n1")
    write, read = cluster.request("n1", "write", value=1), cluster.request("n1", "read")
    cluster.run(30)
    assert cluster.replies[write].definite is False
    assert cluster.replies[read].definite is True


def test_an_orderly_stop_answers_everybody(cluster):
    cluster.isolate("n1")
    waiting = [cluster.request("n1", "write", value=1), cluster.request("n1", "read")]
    cluster.nodes["n1"].stop()
    cluster.poll("n1")
    assert [cluster.replies[one].error for one in waiting] == ["stopping", "stopping"]


def test_a_waiter_is_not_answered_by_another_command_at_its_index(cluster):
    cluster.isolate("n1")
    lost = cluster.request("n1", "write", value="lost")
    cluster.settle()
    cluster.elect("n2")
    for number in range(4):
        assert cluster.ask("n2", "write", value=number).ok
    cluster.heal()
    cluster.run(30)
    assert not cluster.replies[lost].ok


def test_many_requests_share_one_save(cluster):
    cluster.hold_syncs = True
    node = cluster.nodes["n1"]
    for number in range(50):
        cluster.request("n1", "write", value=number)
    cluster.sync("n1")
    assert node.core.log.persisted < node.core.log.last_index, "the first save covers what was there when it began"
    cluster.sync("n1")
    assert node.core.log.persisted == node.core.log.last_index


class TestSessions:
    def test_a_retry_is_executed_once_and_gets_the_same_answer(self, cluster):
        session = cluster.ask("n1", "open_session", key=None).session
        first = cluster.ask("n1", "write", value=1, session=session, sequence=1)
        cluster.ask("n1", "write", value=2)
        again = cluster.ask("n1", "write", value=1, session=session, sequence=1)
        assert again.version == first.version
        assert cluster.ask("n1", "read").value == 2

    def test_a_retry_at_the_next_leader_is_executed_once(self, cluster):
        session = cluster.ask("n1", "open_session", key=None).session
        cluster.ask("n1", "cas", old=None, new=1, session=session, sequence=1)
        cluster.crash("n1", power=True)
        cluster.elect("n2")
        again = cluster.ask("n2", "cas", old=None, new=1, session=session, sequence=1)
        assert (again.ok, again.version) == (True, 1)

    def test_a_mismatch_is_remembered_too(self):
        register = Register()
        first = apply(register, OpenSession(), Cas("x", 1, 2, 1, 1))
        again = apply(register, Write("x", 1), Cas("x", 1, 2, 1, 1))
        assert first == again
        assert register.read("x") == (1, 1)

    def test_an_older_sequence_is_not_executed_and_not_called_certain(self):
        outcome = apply(Register(), OpenSession(), Write("x", 1, 1, 1), Write("x", 2, 1, 2), Write("x", 1, 1, 1))
        assert outcome.error == "stale_sequence"
        assert not ERRORS["stale_sequence"].definite

    def test_an_unknown_session_is_refused(self, cluster):
        reply = cluster.ask("n1", "write", value=1, session=77, sequence=1)
        assert (reply.error, reply.definite) == ("session_expired", False)
        assert cluster.ask("n1", "read").version == 0

    def test_the_least_recently_used_session_goes_first(self):
        register = Register(max_sessions=2)
        apply(register, OpenSession(), OpenSession(), Write("x", 1, 1, 1), OpenSession())
        assert apply(register, Write("x", 2, 1, 2)).error is None
        assert apply(register, Write("x", 3, 2, 1)).error == "session_expired"

    @settings(deadline=None)
    @given(st.integers(0, 2**32))
    def test_every_numbered_command_happens_at_most_once(self, seed):
        """Clients resend at random; whatever the order, a command's first execution is its only one."""
        rng = random.Random(seed)
        register = Register(max_sessions=3)
        sent = {}
        executed = {}
        for _ in range(60):
            session = rng.randint(1, 5)
            if rng.random() < 0.2:
                opened = apply(register, OpenSession()).session
                sent[opened] = 0
            elif session in sent:
                sent[session] += rng.random() < 0.6
                sequence = max(1, sent[session] - (rng.random() < 0.2))
                before = register.read("x")[1]
                apply(register, Write("x", [session, sequence], session, sequence))
                executed[session, sequence] = executed.get((session, sequence), 0) + register.read("x")[1] - before
        assert all(count <= 1 for count in executed.values())

    @settings(deadline=None)
    @given(st.integers(0, 2**32))
    def test_the_state_is_a_function_of_the_log(self, seed):
        def run():
            rng = random.Random(seed)
            register = Register(max_sessions=3)
            for _ in range(40):
                session, sequence = rng.choice([(None, None), (rng.randint(1, 9), rng.randint(1, 3))])
                command = rng.choice(
                    [OpenSession(), Write("x", 1, session, sequence), Cas("x", 1, rng.randint(1, 2), session, sequence)]
                )
                apply(register, command)
            return register.digest, register.read("x")

        assert run() == run()
