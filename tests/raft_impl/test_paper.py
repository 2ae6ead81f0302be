"""The Raft paper, section by section: each test is named after the sentence that it checks."""

import pytest

from raft_impl.types import (
    AppendEntries,
    AppendReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    RequestVote,
    VoteReply,
)


def kinds(sent):
    return [type(message).__name__ for _, message in sent]


def lead(make_core, terms=(), term=1, size=3):
    """A bench whose core has just become leader of `term`, and what it sent on that occasion."""
    bench = make_core(terms=terms, term=term - 1, size=size)
    bench.time_out()
    voters = [f"n{number}" for number in range(2, size // 2 + 2)]
    for voter in voters:
        bench.step(voter, PreVoteReply(term, True))
    for voter in voters:
        out = bench.step(voter, VoteReply(term, True))
    assert bench.core.role == "leader"
    return bench, out


REQUESTS_OF_TERM_3 = [
    AppendEntries(3, 0, 0, (), 0),
    Heartbeat(3, 0, 1),
    RequestVote(3, 9, 9),
    AppendReply(3, True, 0),
    HeartbeatReply(3, 1),
    VoteReply(3, False),
    PreVoteReply(3, False),
]


class TestSection51Basics:
    @pytest.mark.parametrize("message", REQUESTS_OF_TERM_3, ids=lambda message: type(message).__name__)
    def test_a_smaller_current_term_is_updated_to_the_larger_value(self, make_core, message):
        bench = make_core(term=2)
        bench.step("n2", message)
        assert bench.core.term == 3

    @pytest.mark.parametrize("message", REQUESTS_OF_TERM_3, ids=lambda message: type(message).__name__)
    def test_a_candidate_whose_term_is_out_of_date_reverts_to_follower(self, make_core, message):
        bench = make_core(term=1)
        bench.time_out()
        bench.step("n2", PreVoteReply(2, True))
        assert (bench.core.role, bench.core.term) == ("candidate", 2)
        bench.step("n3", message)
        assert (bench.core.role, bench.core.term) == ("follower", 3)

    def test_a_leader_whose_term_is_out_of_date_reverts_to_follower(self, make_core):
        bench, _ = lead(make_core)
        bench.step("n2", AppendReply(2, False, 0))
        assert (bench.core.role, bench.core.term) == ("follower", 2)
        assert bench.readies[-1].deposed

    @pytest.mark.parametrize(
        ("message", "answer"),
        [
            (AppendEntries(1, 0, 0, (Entry(1, 1, b"a"),), 0), AppendReply(2, False, 0)),
            (Heartbeat(1, 0, 5), HeartbeatReply(2, 0)),
            (RequestVote(1, 9, 9), VoteReply(2, False)),
            (PreVote(1, 9, 9), PreVoteReply(2, False)),
        ],
        ids=["AppendEntries", "Heartbeat", "RequestVote", "PreVote"],
    )
    def test_a_request_with_a_stale_term_is_rejected(self, make_core, message, answer):
        bench = make_core(term=2)
        assert bench.step("n2", message) == [("n2", answer)]
        assert bench.core.log.last_index == 0

    def test_an_answer_with_a_stale_term_is_ignored(self, make_core):
        bench, _ = lead(make_core, term=3)
        assert bench.step("n2", AppendReply(2, True, 1)) == []
        assert bench.core.commit == 0

    def test_messages_of_strangers_are_ignored(self, make_core):
        bench = make_core(term=1)
        assert bench.step("n9", Heartbeat(5, 0, 1)) == []
        assert bench.core.term == 1

    def test_requests_are_retried(self, make_core):
        bench, _ = lead(make_core)
        for _ in range(2):
            bench.step("n2", HeartbeatReply(1, 1))
            retried = bench.tick(2)
        assert ("n2", AppendEntries(1, 0, 0, (Entry(1, 1, b""),), 0)) in retried

    def test_requests_are_sent_in_parallel(self, make_core):
        bench, _ = lead(make_core, size=5)
        for peer in ("n2", "n3", "n4", "n5"):
            bench.step(peer, AppendReply(1, True, 1))
        bench.core.propose(b"x")
        assert [peer for peer, _ in bench.drain()] == ["n2", "n3", "n4", "n5"]


class TestSection52Election:
    def test_servers_start_as_followers(self, make_core):
        assert make_core().core.role == "follower"

    def test_a_follower_remains_one_while_it_hears_a_leader(self, make_core):
        bench = make_core()
        for _ in range(30):
            bench.tick(5)
            bench.step("n2", Heartbeat(1, 0, 1))
        assert (bench.core.role, bench.core.term) == ("follower", 1)

    def test_no_communication_for_an_election_timeout_starts_an_election(self, make_core):
        bench = make_core()
        assert bench.time_out() == [("n2", PreVote(1, 0, 0)), ("n3", PreVote(1, 0, 0))]

    def test_election_timeouts_are_randomised_and_lie_between_one_and_two(self, make_core):
        bench = make_core()
        timeouts = {bench.core._random_timeout() for _ in range(500)}
        assert timeouts == set(range(10, 20))

    def test_a_candidate_increments_its_term_votes_for_itself_and_asks_all_others(self, make_core):
        bench = make_core(term=4)
        bench.time_out()
        assert bench.core.term == 4, "PreVote disturbs nobody's term"
        sent = bench.step("n2", PreVoteReply(5, True))
        assert (bench.core.term, bench.core.vote) == (5, "n1")
        assert sent == [("n2", RequestVote(5, 0, 0)), ("n3", RequestVote(5, 0, 0))]

    def test_a_candidates_own_vote_counts_only_once_it_is_durable(self, make_core):
        bench = make_core(size=3)
        bench.time_out()
        bench.core.step("n2", PreVoteReply(1, True))
        bench.drain(persist=False)
        bench.core.step("n2", VoteReply(1, True))
        assert bench.core.role == "candidate"
        bench.core.persisted(1, 0, 0)
        assert bench.core.role == "leader"

    @pytest.mark.parametrize(
        ("size", "votes", "role"),
        [
            (3, {"n2": True}, "leader"),
            (3, {"n2": False, "n3": False}, "follower"),
            (3, {"n2": False}, "candidate"),
            (5, {"n2": True, "n3": True}, "leader"),
            (5, {"n2": True, "n3": False}, "candidate"),
            (5, {"n2": True, "n3": False, "n4": False, "n5": False}, "follower"),
        ],
    )
    def test_a_majority_of_the_full_cluster_elects(self, make_core, size, votes, role):
        bench = make_core(size=size)
        bench.time_out()
        for number in range(2, size // 2 + 2):
            bench.step(f"n{number}", PreVoteReply(1, True))
        for voter, granted in votes.items():
            bench.step(voter, VoteReply(1, granted))
        assert bench.core.role == role

    def test_a_vote_that_comes_twice_counts_once(self, make_core):
        bench = make_core(size=5)
        bench.time_out()
        for voter in ("n2", "n3"):
            bench.step(voter, PreVoteReply(1, True))
        for _ in range(3):
            bench.step("n2", VoteReply(1, True))
        assert bench.core.role == "candidate"

    def test_votes_are_given_first_come_first_served_one_a_term(self, make_core):
        bench = make_core()
        assert bench.step("n2", RequestVote(1, 0, 0)) == [("n2", VoteReply(1, True))]
        assert bench.step("n3", RequestVote(1, 0, 0)) == [("n3", VoteReply(1, False))]
        assert bench.step("n2", RequestVote(1, 0, 0)) == [("n2", VoteReply(1, True))]

    def test_a_vote_survives_a_restart(self, make_core):
        bench = make_core(term=1, vote="n2")
        assert bench.step("n3", RequestVote(1, 0, 0)) == [("n3", VoteReply(1, False))]

    def test_a_vote_is_a_promise(self, make_core):
        bench = make_core()
        bench.core.step("n2", RequestVote(1, 0, 0))
        assert bench.drain(persist=False) == []
        assert bench.readies[-1].promises == [("n2", VoteReply(1, True))]
        assert bench.readies[-1].hard_state is not None

    def test_a_candidate_that_hears_a_leader_of_its_term_follows(self, make_core):
        bench = make_core()
        bench.time_out()
        bench.step("n2", PreVoteReply(1, True))
        bench.step("n3", Heartbeat(1, 0, 1))
        assert (bench.core.role, bench.core.leader, bench.core.vote) == ("follower", "n3", "n1")

    def test_a_new_leader_asserts_itself_at_once(self, make_core):
        _, sent = lead(make_core)
        assert kinds(sent) == ["AppendEntries", "AppendEntries"]

    def test_a_split_vote_ends_the_term_without_a_leader_and_the_next_election_follows(self, make_core):
        bench = make_core(size=3)
        bench.time_out()
        bench.step("n2", PreVoteReply(1, True))
        bench.time_out()
        bench.step("n2", PreVoteReply(2, True))
        assert (bench.core.role, bench.core.term) == ("candidate", 2)

    def test_who_cannot_win_a_pre_vote_disturbs_nobody(self, make_cluster):
        cluster = make_cluster()
        leader = cluster.elect("n1")
        cluster.isolate("n3")
        cluster.run(100)
        term = leader.core.term
        cluster.heal()
        cluster.run(5)
        assert (leader.core.role, leader.core.term) == ("leader", term)

    def test_a_follower_that_hears_a_leader_ignores_candidates(self, make_core):
        bench = make_core()
        bench.step("n2", Heartbeat(1, 0, 1))
        assert bench.step("n3", RequestVote(7, 9, 9)) == []
        assert bench.core.term == 1

    def test_a_leader_that_hears_no_quorum_steps_down(self, make_cluster):
        cluster = make_cluster()
        leader = cluster.elect("n1")
        cluster.isolate("n1")
        cluster.run(25)
        assert leader.core.role != "leader"


class TestSection53Replication:
    def test_a_proposal_is_appended_and_sent_without_waiting_for_a_tick(self, make_core):
        bench, _ = lead(make_core)
        bench.step("n2", AppendReply(1, True, 1))
        bench.core.propose(b"x")
        assert bench.drain() == [("n2", AppendEntries(1, 1, 1, (Entry(1, 2, b"x"),), 1))]

    def test_requests_are_pipelined(self, make_core):
        bench, _ = lead(make_core)
        bench.step("n2", AppendReply(1, True, 1))
        for data in (b"x", b"y"):
            bench.core.propose(data)
            bench.drain()
        assert bench.core._peers["n2"].next_index == 4

    def test_an_entry_is_committed_once_a_majority_has_it(self, make_core):
        bench, _ = lead(make_core, size=5)
        bench.step("n2", AppendReply(1, True, 1))
        assert bench.core.commit == 0
        bench.step("n3", AppendReply(1, True, 1))
        assert bench.core.commit == 1

    def test_the_leaders_own_copy_counts_only_once_it_is_durable(self, make_core):
        bench, _ = lead(make_core)
        bench.core.propose(b"x")
        bench.drain(persist=False)
        bench.core.step("n2", AppendReply(1, True, 2))
        assert bench.core.commit == 1
        bench.core.persisted(1, 2, 1)
        assert bench.core.commit == 2

    def test_an_acknowledgement_of_an_older_term_from_storage_is_ignored(self, make_core):
        bench, _ = lead(make_core, term=2)
        bench.core.propose(b"x")
        bench.drain(persist=False)
        bench.core.step("n2", AppendReply(2, True, 2))
        bench.core.persisted(1, 2, 2)
        assert bench.core.commit == 1

    def test_what_was_replaced_and_put_back_since_a_save_is_not_durable(self, make_core):
        bench = make_core()
        bench.core.step("n2", AppendEntries(2, 0, 0, (Entry(1, 1, b"a"), Entry(2, 2, b"b")), 0))
        bench.drain(persist=False)  # the save of both begins
        bench.core.step("n3", AppendEntries(3, 1, 1, (Entry(3, 2, b"c"),), 0))
        bench.core.step("n2", AppendEntries(4, 1, 1, (Entry(2, 2, b"b"),), 0))
        bench.drain(persist=False)
        bench.core.persisted(2, 2, 2)
        assert bench.core.log.persisted == 0
        bench.core.persisted(4, 2, 2)
        assert bench.core.log.persisted == 2

    def test_a_follower_learns_the_commit_index_and_applies_in_order(self, make_core):
        bench = make_core(terms=(1, 1))
        bench.step("n2", AppendEntries(1, 2, 1, (Entry(1, 3, b"3"),), 2))
        assert [entry.index for entry in bench.readies[-1].committed] == [1, 2]
        bench.step("n2", Heartbeat(1, 3, 1))
        assert [entry.index for entry in bench.readies[-1].committed] == [3]

    def test_the_commit_index_never_exceeds_what_is_known_to_match(self, make_core):
        bench = make_core(terms=(1, 1, 1))
        bench.step("n2", AppendEntries(2, 1, 1, (), 3))
        assert bench.core.commit == 1

    def test_the_consistency_check_refuses_what_does_not_fit(self, make_core):
        bench = make_core(terms=(1, 1, 2))
        ((_, reply),) = bench.step("n2", AppendEntries(3, 3, 3, (Entry(3, 4, b"x"),), 0))
        assert not reply.success
        assert bench.terms() == [1, 1, 2]

    def test_an_acknowledgement_is_a_promise(self, make_core):
        bench = make_core()
        bench.core.step("n2", AppendEntries(1, 0, 0, (Entry(1, 1, b"x"),), 0))
        assert bench.drain(persist=False) == []
        assert bench.readies[-1].promises == [("n2", AppendReply(1, True, 1))]

    def test_conflicting_entries_are_deleted_with_all_that_follow(self, make_core):
        bench = make_core(terms=(1, 2, 2, 2), term=2)
        bench.step("n2", AppendEntries(3, 1, 1, (Entry(3, 2, b"x"),), 0))
        assert bench.terms() == [1, 3]
        assert bench.readies[-1].entries == (Entry(3, 2, b"x"),)

    def test_an_old_request_removes_nothing(self, make_core):
        bench = make_core(terms=(1, 1, 1))
        bench.step("n2", AppendEntries(1, 0, 0, (Entry(1, 1, b"1"),), 0))
        assert bench.terms() == [1, 1, 1]

    # Figure 7 of the paper: what a leader of term 8 may meet.
    @pytest.mark.parametrize(
        "follower",
        [
            (1, 1, 1, 4, 4, 5, 5, 6, 6),
            (1, 1, 1, 4),
            (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
            (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
            (1, 1, 1, 4, 4, 4, 4),
            (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
        ],
        ids="abcdef",
    )
    def test_the_leader_brings_every_follower_to_its_own_log(self, make_core, follower):
        terms = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
        leader, out = lead(make_core, terms=terms, term=8)
        other = make_core(terms=follower, term=7)
        requests = [message for peer, message in out if peer == "n2"]
        exchanges = 0
        while requests:
            exchanges += 1
            answers = [reply for request in requests for _, reply in other.step("n2", request)]
            requests = [m for answer in answers for peer, m in leader.step("n2", answer) if peer == "n2"]
        assert other.terms() == [*terms, 8]
        assert exchanges <= 4, "whole terms are skipped at a time"

    def test_backtracking_skips_whole_terms_from_both_sides(self, make_core):
        leader, out = lead(make_core, terms=(1,) * 3 + (5,) * 200, term=6)
        other = make_core(terms=(1,) * 3 + (2,) * 200, term=5)
        requests = [message for peer, message in out if peer == "n2"]
        exchanges = 0
        while requests:
            exchanges += 1
            answers = [reply for request in requests for _, reply in other.step("n2", request)]
            requests = [m for answer in answers for peer, m in leader.step("n2", answer) if peer == "n2"]
        assert other.terms() == leader.terms()
        assert exchanges <= 3


class TestSection541ElectionRestriction:
    @pytest.mark.parametrize("request_of", [RequestVote, PreVote])
    @pytest.mark.parametrize(
        ("own", "last_index", "last_term", "granted"),
        [
            ((1, 1), 2, 1, True),
            ((1, 1), 1, 2, True),
            ((1, 1), 3, 1, True),
            ((1, 2), 5, 1, False),
            ((1, 1), 1, 1, False),
            ((), 0, 0, True),
            ((1,), 0, 0, False),
        ],
    )
    def test_a_voter_denies_its_vote_if_its_own_log_is_more_up_to_date(
        self, make_core, request_of, own, last_index, last_term, granted
    ):
        bench = make_core(terms=own, term=2)
        ((_, reply),) = bench.step("n2", request_of(3, last_index, last_term))
        assert reply.granted is granted


class TestSection542EntriesOfEarlierTerms:
    def test_only_entries_of_the_own_term_are_committed_by_counting(self, make_core):
        """Figure 8: the leader of term 4 has spread an entry of term 2 to a majority, and may not commit it yet."""
        bench, _ = lead(make_core, terms=(1, 2), term=4)
        bench.step("n2", AppendReply(4, True, 2))
        assert bench.core.commit == 0
        bench.step("n2", AppendReply(4, True, 3))
        assert bench.core.commit == 3

    def test_a_no_op_opens_every_term_so_that_older_entries_commit(self, make_core):
        bench, _ = lead(make_core, terms=(1, 2), term=4)
        assert bench.core.log.between(3, 3) == (Entry(4, 3, b""),)


class TestSection543Safety:
    def test_a_leader_has_every_committed_entry(self, make_cluster):
        cluster = make_cluster()
        cluster.elect("n1")
        cluster.isolate("n3")
        assert cluster.ask("n1", "write", value=1).ok
        cluster.crash("n1")
        cluster.heal()
        for _ in range(100):
            cluster.tick("n3")
            cluster.settle()
        assert cluster.nodes["n3"].core.role != "leader", "its log lacks a committed entry"
        cluster.run(60)
        assert cluster.leader() is cluster.nodes["n2"]
        assert cluster.ask("n2", "read").value == 1

    def test_no_server_applies_another_entry_at_the_same_index(self, make_cluster):
        cluster = make_cluster()
        cluster.elect("n1")
        cluster.isolate("n1")
        lost = cluster.request("n1", "write", value="lost")
        cluster.settle()
        cluster.elect("n2")
        assert cluster.ask("n2", "write", value="kept").ok
        cluster.heal()
        cluster.run(30)
        assert cluster.replies[lost].error == "leadership_lost"
        assert {node.register.read("x") for node in cluster.nodes.values()} == {("kept", 1)}


class TestReadIndex:
    """Ongaro's dissertation 6.4."""

    def test_a_read_waits_for_an_entry_of_the_own_term(self, make_core):
        bench, _ = lead(make_core, terms=(1,), term=2)
        bench.core.read_index(7)
        bench.tick(2)
        bench.step("n2", HeartbeatReply(2, 1))
        assert not any(ready.reads for ready in bench.readies)
        bench.step("n2", AppendReply(2, True, 2))
        bench.step("n2", HeartbeatReply(2, 2))
        assert [(read.context, read.index) for read in bench.readies[-1].reads] == [(7, 2)]

    def test_only_a_later_round_confirms_a_read(self, make_core):
        bench, _ = lead(make_core)
        bench.step("n2", AppendReply(1, True, 1))
        bench.tick(2)  # round 1 leaves before the read arrives
        bench.core.read_index(7)
        bench.drain()
        bench.step("n2", HeartbeatReply(1, 1))
        assert not any(ready.reads for ready in bench.readies)
        bench.step("n2", HeartbeatReply(1, 2))
        assert [read.context for read in bench.readies[-1].reads] == [7]

    def test_reads_that_arrive_during_a_round_share_the_next(self, make_core):
        bench, _ = lead(make_core)
        bench.step("n2", AppendReply(1, True, 1))
        bench.core.read_index(1)
        assert kinds(bench.drain()) == ["Heartbeat", "Heartbeat"]
        bench.core.read_index(2)
        bench.core.read_index(3)
        assert bench.drain() == []
        assert kinds(bench.step("n2", HeartbeatReply(1, 1))) == ["Heartbeat", "Heartbeat"]
        bench.step("n3", HeartbeatReply(1, 2))
        assert [read.context for read in bench.readies[-1].reads] == [2, 3]

    def test_a_deposed_leader_confirms_nothing(self, make_cluster):
        cluster = make_cluster()
        cluster.elect("n1")
        cluster.isolate("n1")
        read = cluster.request("n1", "read")
        cluster.settle()
        cluster.elect("n2")
        assert cluster.ask("n2", "write", value=1).ok
        cluster.heal()
        cluster.run(30)
        assert cluster.replies[read].error == "read_interrupted"
