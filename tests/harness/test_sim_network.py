"""The simulated network: what an unbroken one does stays as it is, and faults do what their settings say."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent.traffic import Traffic
from harness.environments.faults import DiskSetting
from harness.environments.sim.loop import Loop
from harness.environments.sim.network import Network
from harness.environments.sim.shaping import PacketCounts, ShapedLink

MS = 1_000_000
LINKS = (("n1", "n2"), ("n2", "n1"), ("n3", "n1"))
PACKET_BYTES = 100


class Wire:
    """A network on which each of `LINKS` carries a packet a millisecond, and the clients ask n1 as often."""

    def __init__(self, seed=7):
        self.loop = Loop()
        self.network = Network(self.loop, seed, lambda packet: PACKET_BYTES)
        self.arrived = []

    def carry(self, count, changes=None):
        """Send `count` packets on each link, after `changes[number](network)`; return all arrivals."""
        changes = changes or {}

        async def main():
            for number in range(count):
                changes.get(number, lambda network: None)(self.network)
                for source, destination in LINKS:
                    self.network.send(source, destination, self._arrive, (source, number))
                self.network.ask("n1", self._arrive, number)
                await self.loop.sleep(0.001)
            await self.loop.sleep(5)

        self.loop.run(main)
        return self.arrived

    def _arrive(self, packet):
        self.arrived.append((self.loop.now_ns, packet))

    def from_n2(self):
        return [
            (time_ns, packet[1]) for time_ns, packet in self.arrived if isinstance(packet, tuple) and packet[0] == "n2"
        ]

    def others(self):
        return [arrival for arrival in self.arrived if not (isinstance(arrival[1], tuple) and arrival[1][0] == "n2")]


def carried(traffic, count=3000):
    wire = Wire()
    wire.carry(count, {0: lambda network: network.shape("n1", ["n2"], traffic)})
    return wire


def test_an_old_seed_keeps_its_packets():
    """The digest is that of the network before it could shape traffic: a fault that is not there draws nothing."""
    cuts = {1000: lambda network: network.cut({"n1": frozenset(["n2"])}), 2000: lambda network: network.cut({})}
    arrived = Wire().carry(3000, cuts)
    assert (len(arrived), crc32(repr(arrived).encode())) == (11012, 1500637086)


@pytest.mark.parametrize(
    "traffic",
    [
        Traffic(delay_ms=50, jitter_ms=10),
        Traffic(loss=0.5),
        Traffic(duplicate=0.5),
        Traffic(reorder=0.5),
        Traffic(rate_kbit=9),
    ],
)
def test_a_shaped_link_changes_no_other_and_lifted_it_was_never_there(traffic):
    plain = Wire()
    plain.carry(1000)
    shaped = Wire()
    shaped.carry(1000, {300: lambda n: n.shape("n1", ["n2"], traffic), 600: lambda n: n.shape("n1", ["n2"], Traffic())})
    assert shaped.others() == plain.others()

    def sent_outside(wire):
        return [arrival for arrival in wire.from_n2() if not 250 <= arrival[1] < 600]

    assert sent_outside(shaped) == sent_outside(plain)
    assert shaped.from_n2() != plain.from_n2()


def delays_ms(traffic):
    """By how much each packet from n2 (but for doubled ones) came later than without the fault; and the wire."""
    plain, shaped = Wire(), carried(traffic)
    plain.carry(3000)
    before = {number: time_ns for time_ns, number in plain.from_n2()}
    numbers = Counter(number for _, number in plain.from_n2())
    return {
        number: (time_ns - before[number]) / MS for time_ns, number in shaped.from_n2() if numbers[number] == 1
    }, shaped


def test_delay_and_jitter():
    late, wire = delays_ms(Traffic(delay_ms=50, jitter_ms=10))
    assert 40 <= min(late.values()) < 41
    assert 59 < max(late.values()) <= 60
    assert sum(late.values()) / len(late) == pytest.approx(50, abs=0.5)
    counts = wire.network.counts["n1"]
    assert counts.shaped == counts.delayed == len(wire.from_n2())
    assert counts.reordered > 0, "packets do not wait for each other"


def test_jitter_makes_nothing_earlier():
    late, _ = delays_ms(Traffic(delay_ms=10, jitter_ms=10))
    assert 0 <= min(late.values()) < 1
    assert 19 < max(late.values()) <= 20


def test_loss():
    wire = carried(Traffic(loss=0.2))
    lost = wire.network.counts["n1"].lost
    assert lost / 3000 == pytest.approx(0.2, abs=0.02)
    assert lost + len(wire.from_n2()) == len(carried(Traffic()).from_n2())


def test_duplicates():
    wire = carried(Traffic(duplicate=0.1))
    doubled = wire.network.counts["n1"].duplicated
    assert doubled / 3000 == pytest.approx(0.1, abs=0.02)
    assert len(wire.from_n2()) - doubled == len(carried(Traffic()).from_n2())


def test_reordering():
    late, wire = delays_ms(Traffic(reorder=0.25))
    assert set(late.values()) == {0, 10}
    at_once = sum(value == 0 for value in late.values())
    assert at_once / len(late) == pytest.approx(0.25, abs=0.02)
    assert wire.network.counts["n1"].reordered == pytest.approx(at_once, abs=10)
    order = [number for _, number in wire.from_n2()]
    overtaken = sum(later > number for later, number in pairwise(order))
    assert overtaken > 500


def test_a_rate_spaces_packets_and_a_full_queue_drops_them():
    """A packet of 800 bits a millisecond is 800 kbit/s; at half of that every second one finds no place."""
    wire = carried(Traffic(rate_kbit=400), count=6000)
    times_ns = [time_ns for time_ns, _ in wire.from_n2()]
    assert min(later - time for time, later in pairwise(times_ns)) == 2 * MS
    lost = wire.network.counts["n1"].lost
    assert lost == pytest.approx(3000 - 500, rel=0.05), "half of all, but for a second's worth that waits"
    enough = carried(Traffic(rate_kbit=8000))
    assert enough.network.counts["n1"].lost == 0


def test_packets_on_their_way_feel_a_fault():
    wire = Wire()
    wire.network.send("n2", "n1", wire._arrive, "early")
    wire.network.shape("n1", ["n2"], Traffic(loss=1))

    async def main():
        await wire.loop.sleep(1)

    wire.loop.run(main)
    assert wire.arrived == []


def test_a_cut_is_counted_where_packets_would_have_arrived():
    wire = Wire()
    wire.carry(1000, {0: lambda network: network.cut({"n1": frozenset(["n2", "n3"])})})
    assert {packet[0] for _, packet in wire.arrived if isinstance(packet, tuple)} == {"n1"}
    assert wire.network.counts["n1"].dropped == pytest.approx(2000, abs=10)
    assert wire.network.counts["n2"].dropped == 0


FAULTS = {
    "partition": (
        lambda network: network.cut({"n1": frozenset(["n2"])}),
        lambda network: network.cut({}),
    ),
    "clients": (lambda network: network.cut_clients(["n1"]), lambda network: network.cut_clients([])),
    "packets": (
        lambda network: network.shape("n1", ["n2"], Traffic(loss=1)),
        lambda network: network.shape("n1", ["n2"], Traffic()),
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_a_fault_caught_is_counted_anew_each_time_it_comes_into_force(kind):
    """Else the packets of an earlier window would be evidence of a later one."""
    begin, end = FAULTS[kind]
    wire, counts = Wire(), []

    def look(network):
        counts.append(network.caught("n1"))

    def begin_and_look(network):
        begin(network)
        look(network)

    wire.carry(500, {100: begin_and_look, 200: look, 300: end, 301: look, 400: begin_and_look, 450: look})
    assert counts[0] == counts[3] == {kind: 0}
    assert counts[2] == {}
    assert counts[1][kind] > counts[4][kind] > 0


def test_what_is_set_again_while_it_is_in_force_goes_on_counting():
    wire, counts = Wire(), []

    def again(network):
        network.cut({"n1": frozenset(["n2"]), "n3": frozenset(["n1"])})
        counts.append(network.caught("n1"))

    wire.carry(300, {100: lambda network: network.cut({"n1": frozenset(["n2"])}), 200: again})
    assert counts[0]["partition"] > 90


def test_a_node_cut_off_from_clients_hears_none_and_lifted_all():
    wire = Wire()
    wire.carry(300, {100: lambda network: network.cut_clients(["n1"]), 200: lambda network: network.cut_clients([])})
    heard = {packet for _, packet in wire.arrived if isinstance(packet, int)}
    assert heard == {*range(99), *range(200, 300)} | (heard & {99, 199})
    assert wire.network.counts["n1"].refused == 300 - len(heard)


shares = st.one_of(st.just(0.0), st.floats(0, 1))


@given(
    st.builds(
        lambda delay_ms, jitter, *rest: Traffic(delay_ms, delay_ms * jitter, *rest),
        st.floats(0, 500),
        shares,
        shares,
        shares,
        shares,
        st.one_of(st.just(0.0), st.floats(1, 1e6)),
    ),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 2000)), max_size=30),
    st.integers(),
)
def test_every_packet_is_accounted_for(traffic, packets, seed):
    """Lost or not, doubled or not, never early."""
    counts = PacketCounts()
    link, now_ns, came = ShapedLink(traffic, Random(seed), counts), 0, 0
    for pause_ns, size in packets:
        now_ns += pause_ns
        delays = link.delays_ns(now_ns, size)
        assert all(delay >= 0 for delay in delays)
        came += len(delays)
    assert came == len(packets) - counts.lost + counts.duplicated
    assert counts.dropped == 0


def test_a_disk_that_is_early_is_refused():
    with pytest.raises(ValueError, match="sync_delay_ms -1"):
        DiskSetting(sync_delay_ms=-1)


def test_what_is_sound():
    assert Traffic().is_sound
    assert DiskSetting().is_sound
    assert not Traffic(duplicate=0.1).is_sound
    assert not DiskSetting(volatile=True).is_sound
