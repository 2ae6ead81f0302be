"""What `--nemesis` asks for: lists are read and written, a bad item says what would be right, and what cannot be done
here is refused or skipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.environments.base import Capability
from harness.environments.docker import DockerEnvironment
from harness.environments.local import LocalEnvironment
from harness.environments.sim.environment import SimEnvironment
from harness.environments.ssh import SshEnvironment
from harness.errors import UsageError
from harness.nemesis import FAULTS
from harness.nemesis.specs import NemesisSpec, format_nemesis, parse_nemesis, possible

EVERYTHING = frozenset(Capability)


@st.composite
def items(draw, fault):
    """An item as a user may write it: some of the words, some of the numbers that go with them, in any order."""
    said = {
        question: draw(st.sampled_from(list(words))) for question, words in fault.choices.items() if draw(st.booleans())
    }
    words = list(said.values())
    kind = said.get("kind")
    for name, parameter in fault.parameters.items():
        if draw(st.booleans()) and (fault.name == "packets" or fault.kind_of.get(name) in (None, kind)):
            low, high = max(parameter.least, -1e9), min(parameter.most, 1e9)
            high = 0 if name == "jitter" else high
            words.append(f"{name}={parameter.write(draw(st.floats(low, high, allow_nan=False)))}")
    if draw(st.booleans()):
        words.append(f"interval={draw(st.floats(0.001, 1e7))!r}")
    return ":".join([fault.name, *draw(st.permutations(words))])


@st.composite
def lists(draw):
    chosen = draw(st.lists(st.sampled_from(list(FAULTS.values())), unique_by=lambda fault: fault.name))
    return ",".join(draw(items(fault)) for fault in chosen) or "none"


@given(lists(), st.floats(0.001, 1e7))
def test_what_is_written_is_read_back(text, interval_s):
    specs = parse_nemesis(text, interval_s)
    assert parse_nemesis(format_nemesis(specs), 1.0) == specs


@given(st.floats(0.001, 1e7))
def test_all_is_written_as_all_and_read_back(interval_s):
    specs = parse_nemesis("all", interval_s)
    assert [spec.name for spec in specs] == list(FAULTS)
    assert not any(spec.named for spec in specs)
    assert format_nemesis(specs).startswith("all:interval=")
    assert parse_nemesis(format_nemesis(specs), 1.0) == specs


def test_a_list_is_read():
    assert parse_nemesis("partition:majorities-ring, clock:offset=2s,kill:leader:interval=20,slow", 5.0) == (
        NemesisSpec("partition", {"shape": "majorities-ring"}, 5.0),
        NemesisSpec("clock", {"kind": "offset", "offset": 2000.0}, 5.0),
        NemesisSpec("kill", {"target": "leader"}, 20.0),
        NemesisSpec("slow", {}, 5.0),
    )
    assert parse_nemesis("none", 5.0) == parse_nemesis("", 5.0) == ()
    assert format_nemesis(()) == "none"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gremlins", ["gremlins", "no such fault", *FAULTS, "all", "none"]),
        ("kill:often", ["kill:often", "often", "leader", "majority", "interval=SECONDS"]),
        ("kill:leader=1", ["leader is no parameter", "kill takes"]),
        ("partition:diagonal", ["diagonal", "one-way", "bridge"]),
        ("clock:offset=soon", ["clock:offset=soon", "soon", "2s"]),
        ("packets:loss=120%", ["120%", "20%"]),
        ("packets:rate=1", ["1mbit"]),
        ("kill:leader:all", ["kill:leader:all", "target is said twice"]),
        ("clock:offset=1s:offset=2s", ["offset is said twice"]),
        ("clock:rate:offset=2s", ["offset is a number of clock:offset, not of rate"]),
        ("disk:full:delay=3s", ["delay is a number of disk:slow"]),
        ("slow:quota:share=50%", ["share is a number of slow:duty"]),
        ("clock:offset=99999999999s", ["out of range"]),
        ("packets:delay=1ms:jitter=500ms", ["jitter is at most the delay, which is 1 ms"]),
        ("kill:interval=0", ["kill:interval=0", "greater than 0"]),
        ("kill:interval=inf", ["interval=inf", "greater than 0"]),
        ("kill:interval=", ["interval=", "greater than 0"]),
        ("all:leader", ["all:leader", "interval=SECONDS"]),
        ("all:interval=0", ["all", "interval=SECONDS"]),
        ("kill,kill:leader", ["kill", "named twice"]),
        ("kill,all", ["kill", "named twice"]),
    ],
)
def test_a_bad_item_is_one_line_that_says_what_would_be_right(text, words):
    with pytest.raises(UsageError) as problem:
        parse_nemesis(text, 5.0)
    said = str(problem.value)
    assert "\n" not in said
    assert all(word in said for word in words), said


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(UsageError, match=r"gremlins.*; .*often.*; .*pause: named twice"):
        parse_nemesis("gremlins,kill:often,pause,pause", 5.0)


def test_a_fault_of_a_list_keeps_its_pace_and_one_of_all_rests_longer():
    (alone,) = parse_nemesis("kill", 4.0)
    of_all = next(spec for spec in parse_nemesis("all", 4.0) if spec.name == "kill")
    assert (alone.aim().interval_s, alone.aim().rarity) == (4.0, 1.0)
    assert of_all.aim().interval_s == 4.0
    assert of_all.aim().rarity == len(FAULTS) / 4


def test_where_everything_can_be_done_nothing_is_skipped():
    aims, skipped = possible(parse_nemesis("all", 5.0), EVERYTHING, "docker")
    assert [aim.fault.name for aim in aims] == list(FAULTS)
    assert skipped == {}
    assert all(aim.kinds == tuple(aim.fault.choices.get("kind", ("",))) for aim in aims)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_what_cannot_be_done_is_refused_when_named_and_skipped_when_not(fault):
    kinds = fault.choices.get("kind", ("",))
    without = EVERYTHING - {fault.needs.get(kind, fault.capability) for kind in kinds}
    with pytest.raises(
        UsageError, match=rf"--nemesis {fault.name}:interval=5: local cannot .* lacks {fault.capability}"
    ):
        possible(parse_nemesis(fault.name, 5.0), without, "local")
    aims, skipped = possible(parse_nemesis("all", 5.0), without, "local")
    assert fault.name not in [aim.fault.name for aim in aims]
    mine = {f"{fault.name}:{kind}" if kind else fault.name for kind in kinds}
    assert mine <= set(skipped)
    assert all(reason.startswith("local lacks ") for reason in skipped.values())


def test_a_fault_of_several_kinds_is_narrowed_to_those_that_can_be_done():
    without = EVERYTHING - {Capability.PACKET_QUEUE, Capability.CLOCK_RATE}
    (packets, clock), skipped = possible(parse_nemesis("packets,clock", 5.0), without, "local")
    assert packets.kinds == ("loss", "duplicate")
    assert clock.kinds == ("offset", "step")
    assert set(skipped) == {"packets:delay", "packets:reorder", "packets:rate", "clock:rate", "clock:strobe"}
    with pytest.raises(UsageError, match=r"packets:delay:.*lacks packet-queue"):
        possible(parse_nemesis("packets:delay", 5.0), without, "local")


def test_numbers_choose_a_kind_and_those_of_several_go_together_only_for_packets():
    (packets, slow) = parse_nemesis("packets:delay=80ms:loss=20%,slow:share=50%", 5.0)
    assert packets.given == {"kind": "delay", "delay": 80.0, "loss": 0.2}
    assert slow.given == {"kind": "duty", "share": 0.5}
    with pytest.raises(UsageError, match="lacks packet-duplicate"):
        possible(
            parse_nemesis("packets:delay=80ms:duplicate=10%", 5.0), EVERYTHING - {Capability.PACKET_DUPLICATE}, "local"
        )


def test_a_quota_is_for_containers():
    (slow,), skipped = possible(parse_nemesis("slow", 5.0), LocalEnvironment.capabilities, "local")
    assert (slow.kinds, skipped) == (("duty",), {"slow:quota": "local lacks cpu-quota here"})
    (slow,), skipped = possible(parse_nemesis("slow:quota=3ms", 5.0), DockerEnvironment.capabilities, "docker")
    assert (slow.given, slow.kinds, skipped) == ({"kind": "quota", "quota": 3.0}, ("quota",), {})
    for environment in (LocalEnvironment, SshEnvironment, SimEnvironment):
        with pytest.raises(UsageError, match=r"slow:quota:.*lacks cpu-quota"):
            possible(parse_nemesis("slow:quota", 5.0), environment.capabilities, environment.name)
