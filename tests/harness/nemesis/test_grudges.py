"""The shapes of partitions, as laws."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.nemesis.grudges import (
    SHAPES,
    bisect,
    bridge,
    complete_grudge,
    describe,
    majorities_ring,
    one_way,
    split_one,
)


def names(count):
    return tuple(f"n{number}" for number in range(1, count + 1))


def heard(grudge, nodes):
    """Whom each node hears, itself included."""
    return {node: frozenset(nodes) - grudge.get(node, frozenset()) for node in nodes}


clusters = st.integers(1, 9).map(names)
randoms = st.integers(0, 10_000).map(Random)


@st.composite
def situations(draw):
    """A cluster, who leads (perhaps nobody, perhaps two), and randomness."""
    nodes = draw(clusters)
    leaders = draw(st.lists(st.sampled_from(nodes), max_size=2, unique=True))
    return nodes, tuple(leaders), draw(randoms)


@given(st.sampled_from(sorted(SHAPES)), situations())
@settings(max_examples=200, deadline=None)
def test_every_shape_names_only_nodes_drops_nobody_from_himself_and_has_no_empty_set(shape, situation):
    nodes, leaders, random = situation
    grudge = SHAPES[shape](nodes, leaders, random)
    for destination, sources in grudge.items():
        assert sources
        assert destination not in sources
        assert {destination, *sources} <= set(nodes)


@given(st.sampled_from(sorted(SHAPES)), situations())
@settings(max_examples=200, deadline=None)
def test_every_shape_cuts_something_wherever_it_can(shape, situation):
    nodes, leaders, random = situation
    # Two nodes: a majority is both of them, and a bridge between two halves is one of them.
    if len(nodes) >= (3 if shape in ("bridge", "majorities-ring", "leader-in-majority") else 2):
        assert SHAPES[shape](nodes, leaders, random)


@given(st.lists(st.lists(st.integers(0, 99).map(str), max_size=4), max_size=4).filter(bool))
def test_a_complete_grudge_is_symmetric_and_cuts_just_what_is_between_components(parts):
    flat = [node for part in parts for node in part]
    if len(set(flat)) < len(flat):
        parts = [[f"{index}/{number}" for number, _ in enumerate(part)] for index, part in enumerate(parts)]
    grudge = complete_grudge(parts)
    of = {node: index for index, part in enumerate(parts) for node in part}
    for one in of:
        for other in of:
            assert (other in grudge.get(one, ())) == (of[one] != of[other])


@given(clusters)
def test_bisect_keeps_everybody_and_has_the_smaller_half_first(nodes):
    small, large = bisect(nodes)
    assert (*small, *large) == nodes
    assert len(large) - len(small) in (0, 1)


@given(clusters, st.data())
def test_split_one_separates_one_from_all_others(nodes, data):
    loner = data.draw(st.sampled_from(nodes))
    alone, others = split_one(nodes, loner)
    assert (alone, sorted([*alone, *others])) == ([loner], sorted(nodes))


@given(st.integers(3, 9).map(names))
def test_a_bridge_hears_all_and_is_heard_by_all_while_the_halves_do_not_hear_each_other(nodes):
    grudge = bridge(nodes)
    left, right = bisect(nodes)
    middle, *rest = right
    hears = heard(grudge, nodes)
    assert hears[middle] == set(nodes)
    assert all(hears[node] == {*left, middle} for node in left)
    assert all(hears[node] == {*rest, middle} for node in rest)


@given(clusters, randoms)
def test_in_a_majorities_ring_every_node_hears_a_majority_itself_included(nodes, random):
    majority = len(nodes) // 2 + 1
    for node, hears in heard(majorities_ring(nodes, random), nodes).items():
        assert node in hears
        assert len(hears) >= majority


@given(st.integers(3, 9).map(names), randoms)
def test_in_a_majorities_ring_nobody_hears_everybody(nodes, random):
    assert all(len(hears) < len(nodes) for hears in heard(majorities_ring(nodes, random), nodes).values())


@given(st.integers(3, 5).map(names), randoms)
def test_in_a_ring_of_up_to_five_each_hears_just_a_majority_of_its_own(nodes, random):
    majorities = list(heard(majorities_ring(nodes, random), nodes).values())
    assert {len(majority) for majority in majorities} == {len(nodes) // 2 + 1}
    assert len(set(majorities)) == len(nodes)


@given(st.integers(6, 9).map(names), randoms)
def test_in_a_greater_ring_whom_one_hears_hears_one(nodes, random):
    hears = heard(majorities_ring(nodes, random), nodes)
    assert all(one in hears[other] for one in nodes for other in hears[one])


@given(st.integers(2, 9).map(names), st.data())
def test_one_way_the_mute_hear_the_others_who_do_not_hear_them(nodes, data):
    mute = data.draw(st.sampled_from(nodes))
    hears = heard(one_way(split_one(nodes, mute)), nodes)
    assert hears[mute] == set(nodes)
    assert all(hears[node] == set(nodes) - {mute} for node in nodes if node != mute)


@given(st.integers(2, 9).map(names), st.data(), randoms)
def test_every_leader_is_alone_and_the_others_are_together(nodes, data, random):
    leaders = data.draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3, unique=True))
    hears = heard(SHAPES["leader"](nodes, tuple(leaders), random), nodes)
    others = set(nodes) - set(leaders)
    assert all(hears[leader] == {leader} for leader in leaders)
    assert all(hears[node] == others for node in others)


@given(st.integers(2, 9).map(names), randoms)
def test_without_a_leader_somebody_is_alone(nodes, random):
    hears = heard(SHAPES["leader"](nodes, (), random), nodes)
    assert min(map(len, hears.values())) == 1


@pytest.mark.parametrize(("count", "third"), [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 2), (9, 2), (10, 3)])
def test_a_minority_third_is_less_than_a_third_but_somebody(count, third):
    nodes = names(count)
    sizes = Counter(map(len, heard(SHAPES["minority-third"](nodes, (), Random(1)), nodes).values()))
    assert sizes == Counter([third] * third) + Counter([count - third] * (count - third))


@given(st.sampled_from(["leader-in-minority", "leader-in-majority"]), st.integers(3, 9).map(names), st.data(), randoms)
def test_a_leader_is_on_the_side_that_its_name_says(shape, nodes, data, random):
    leader = data.draw(st.sampled_from(nodes))
    majority = len(nodes) // 2 + 1
    hears = heard(SHAPES[shape](nodes, (leader,), random), nodes)
    assert (len(hears[leader]) >= majority) == (shape == "leader-in-majority")
    assert set(hears.values()) == {hears[leader], frozenset(nodes) - hears[leader]}


@given(st.integers(3, 9).map(names), randoms)
def test_where_one_link_is_cut_every_other_node_hears_all(nodes, random):
    hears = heard(SHAPES["one-link"](nodes, (), random), nodes)
    deaf = [node for node in nodes if hears[node] != set(nodes)]
    assert len(deaf) == 2
    assert all(hears[one] == set(nodes) - {other} for one, other in (deaf, deaf[::-1]))


def read_back(text):
    """The grudge that a description says."""
    grudge = {}
    for part in text.split("; "):
        mutual = " from " in part
        left, right = (set(side.split(", ")) for side in part.split(" from " if mutual else " deaf to "))
        for hears_not, unheard in [(left, right), (right, left)] if mutual else [(left, right)]:
            for node in hears_not:
                assert not grudge.get(node, set()) & unheard, f"{text}: a link is told twice"
                grudge[node] = grudge.get(node, set()) | unheard
    return grudge


@given(st.sampled_from(sorted(SHAPES)), situations())
@settings(max_examples=200, deadline=None)
def test_a_description_says_the_whole_grudge_and_each_link_once(shape, situation):
    grudge = SHAPES[shape](*situation)
    assert not grudge or read_back(describe(grudge)) == grudge


def test_a_description_is_as_short_as_a_person_would_put_it():
    nodes = ["n1", "n2", "n3", "n4", "n5"]
    assert describe(complete_grudge([["n3"], ["n1", "n2", "n4", "n5"]])) == "n3 from n1, n2, n4, n5"
    assert describe(complete_grudge([["n1", "n4"], ["n2", "n3", "n5"]])) == "n1, n4 from n2, n3, n5"
    assert describe(one_way(split_one(nodes, "n2"))) == "n1, n3, n4, n5 deaf to n2"
    assert describe({"n1": frozenset({"n2", "n3"}), "n2": frozenset({"n1"})}) == "n1 from n2; n1 deaf to n3"
