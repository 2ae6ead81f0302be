"""Targets: only nodes that are up are hit, as many as the name says, and those whom the name means."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.environments.base import Sight
from harness.nemesis.fault import NothingToHit, Observation, View
from harness.nemesis.targets import MEANING, WEIGHTS, choose
from synthetic import FIVE, calm, names, seeds, status, views, with_sights

SIZES = {"one", "minority-third", "minority", "majority", "all"}


@given(views, st.sampled_from(sorted(WEIGHTS)), seeds)
def test_only_nodes_that_are_up_are_hit_once_each_and_in_the_order_of_the_cluster(view, target, seed):
    if not view.up:
        with pytest.raises(NothingToHit, match="no node is up"):
            choose(target, view, Random(seed))
        return
    chosen = choose(target, view, Random(seed))
    assert chosen
    assert set(chosen) <= set(view.up)
    assert list(chosen) == sorted(set(chosen), key=view.nodes.index)


@given(views)
def test_up_are_those_that_live_run_and_are_in_no_other_hands(view):
    for node in view.nodes:
        sight = view.now.sights[node]
        assert (node in view.up) == (sight.pid is not None and not sight.paused and node not in view.held)
    assert set(view.answering.up) == {node for node in view.up if node in view.now.statuses}


@given(views)
def test_following_are_those_that_name_a_leader_who_says_so_himself_in_the_same_term(view):
    statuses = view.now.statuses
    for node in view.up:
        leader = statuses.get(statuses[node].leader) if node in statuses else None
        follows = leader is not None and leader.leads and leader.term == statuses[node].term
        assert (node in view.following.up) == follows


@given(views, seeds)
def test_hearing_are_those_whom_a_peer_that_is_at_work_is_not_cut_off_from(view, seed):
    random = Random(seed)
    cut = frozenset(pair for pair in permutations(view.nodes, 2) if random.random() < 0.5)
    at_work = [node for node, sight in view.now.sights.items() if sight.pid is not None and not sight.paused]
    for node in view.up:
        peers = [peer for peer in at_work if peer != node]
        reached = any((peer, node) not in cut for peer in peers)
        assert (node in replace(view, cut=cut).hearing.up) == reached
        assert (node in view.hearing.up) == bool(peers)


@given(views, st.sampled_from(sorted(SIZES)), seeds)
def test_as_many_are_hit_as_the_name_says_of_the_whole_cluster_if_so_many_are_up(view, target, seed):
    count = len(view.nodes)
    sizes = {"one": 1, "minority-third": (count - 1) // 3, "minority": (count - 1) // 2}
    wanted = max(1, {**sizes, "majority": count // 2 + 1, "all": count}[target])
    if view.up:
        assert len(choose(target, view, Random(seed))) == min(wanted, len(view.up))


@given(views, seeds)
def test_leaders_are_hit_that_are_up_and_without_any_somebody(view, seed):
    if view.up:
        chosen = set(choose("leader", view, Random(seed)))
        leading = set(view.now.leaders) & set(view.up)
        assert chosen == leading if leading else len(chosen) == 1


@given(views, seeds)
def test_the_edge_is_as_many_followers_as_may_fail(view, seed):
    followers = set(view.up) - set(view.now.leaders)
    if view.up:
        chosen = set(choose("edge", view, Random(seed)))
        assert len(chosen) == (min(len(followers), max(1, (len(view.nodes) - 1) // 2)) or 1)
        assert chosen <= (followers or set(view.up))


@given(views, seeds)
def test_behind_is_who_has_the_shortest_log_of_those_that_say_it(view, seed):
    if view.up:
        (chosen,) = choose("behind", view, Random(seed))
        lengths = {node: view.now.statuses[node].last for node in view.up if node in view.now.statuses}
        assert not lengths or lengths[chosen] == min(lengths.values())


def test_the_former_leader_is_who_led_before_and_leads_no_more():
    now = calm(leader="n1")
    assert choose("former-leader", View(FIVE, now, former="n4"), Random(1)) == ("n4",)
    chosen = {choose("former-leader", View(FIVE, now, former="n1"), Random(seed)) for seed in range(100)}
    assert len(chosen) == 5, "it leads again, so anybody may be meant"


def test_a_leader_that_cannot_be_asked_is_whom_the_others_follow_in_the_highest_term():
    statuses = {node: status("n2", node, term=7) for node in ("n1", "n3")}
    statuses["n4"] = status("n5", "n4", term=6)
    seen = Observation(0, calm().sights, statuses)
    assert seen.leaders == ("n2",)
    assert seen.term == 7


def test_two_may_lead_after_a_cut_and_both_are_hit():
    statuses = {node: status("n1" if node in ("n1", "n2") else "n4", node, term=3) for node in FIVE}
    seen = Observation(0, calm().sights, statuses)
    assert seen.leaders == ("n1", "n4")
    assert choose("leader", View(FIVE, seen), Random(1)) == ("n1", "n4")


def test_a_leader_that_is_dead_already_is_not_killed_again():
    dead = with_sights(calm(leader="n1"), {"n1": Sight(pid=None)})
    assert "n1" not in {node for seed in range(50) for node in choose("leader", View(FIVE, dead), Random(seed))}


def test_every_node_may_be_hit():
    assert {choose("one", View(FIVE, calm()), Random(seed))[0] for seed in range(100)} == set(names(5))


def test_every_target_is_explained_and_drawn():
    assert set(MEANING) == set(WEIGHTS)
    assert min(WEIGHTS.values()) > 0
