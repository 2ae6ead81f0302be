"""The known-bad variants: each is small, found by its id, and really does what it says."""

import inspect

import msgspec
import pytest

from raft_impl.mutants import MUTANTS, UnknownMutantError, find
from raft_impl.parts import Parts, parts_of


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_overrides_one_method_of_one_part(mutant):
    sound = msgspec.structs.asdict(Parts())
    changed = {name: part for name, part in msgspec.structs.asdict(mutant.parts).items() if part is not sound[name]}
    ((name, part),) = changed.items()
    methods = [one for one in vars(part) if inspect.isfunction(vars(part)[one])]
    assert len(methods) == 1
    assert hasattr(sound[name], methods[0]), "an override of nothing"


def test_no_mutant_is_on_by_default():
    assert parts_of(None) == Parts()


def test_an_unknown_id_lists_those_that_exist():
    with pytest.raises(UnknownMutantError, match=r"unknown mutant 'X9'; known are E1, .*Q1"):
        find("X9")


def stale_read(make_cluster, mutant):
    """A leader cut off from the others, after these have elected another and written: what does it answer to a read?"""
    cluster = make_cluster(mutant=mutant, check=False)
    cluster.elect("n1")
    cluster.ask("n1", "write", value="old")
    cluster.isolate("n1")
    cluster.elect("n2")
    cluster.ask("n2", "write", value="new")
    read = cluster.request("n1", "read")
    cluster.run(30)
    return cluster.replies[read]


def test_q1_answers_a_stale_read_and_the_sound_build_does_not(make_cluster):
    assert stale_read(make_cluster, "Q1").value == "old"
    assert stale_read(make_cluster, None).error == "read_interrupted"


def lost_write(make_cluster, mutant):
    """A write to a leader that is cut off from the others."""
    cluster = make_cluster(mutant=mutant, check=False)
    cluster.elect("n1")
    cluster.isolate("n1")
    write = cluster.request("n1", "write", value="lost")
    cluster.run(30)
    return cluster.replies[write]


def test_c1_acknowledges_a_write_that_is_lost_and_the_sound_build_does_not(make_cluster):
    assert lost_write(make_cluster, "C1").ok
    assert not lost_write(make_cluster, None).ok


def test_c3_calls_an_uncertain_write_certain(make_cluster):
    assert lost_write(make_cluster, "C3").definite is True
    assert lost_write(make_cluster, None).definite is False


@pytest.mark.parametrize(("mutant", "vote"), [("E1", None), (None, "n1")])
def test_e1_forgets_its_vote(make_cluster, mutant, vote):
    cluster = make_cluster(mutant=mutant, check=False)
    cluster.elect("n1")
    cluster.crash("n2")
    assert cluster.start("n2").core.vote == vote


@pytest.mark.parametrize(("mutant", "survives"), [("D1", False), (None, True)])
def test_d1_loses_an_acknowledged_write_when_the_power_fails(make_cluster, mutant, survives):
    cluster = make_cluster(mutant=mutant, check=False)
    cluster.elect("n1")
    cluster.hold_syncs = True
    write = cluster.request("n1", "write", value=1)
    cluster.sync("n1")
    cluster.network = [one for one in cluster.network if one[1] != "n3"]
    cluster.settle()
    if mutant is None:
        assert write not in cluster.replies, "no answer before a majority is durable"
        cluster.sync("n2")
        cluster.settle()
    assert cluster.replies[write].ok
    cluster.crash("n1")
    cluster.nodes.pop("n2")
    cluster.unsynced.discard("n2")
    cluster.files["n2"].power_loss(cluster.rng, tear=False)
    node = cluster.start("n2")
    assert (node.core.log.last_index == 2) is survives
