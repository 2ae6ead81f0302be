"""Choosing a subnet that nothing uses."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from harness.environments.subnet import free_subnets, routed_networks

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_routes_are_read_without_the_default_one() -> None:
    assert routed_networks(ROUTES) == [IPv4Network("172.17.0.0/16"), IPv4Network("192.0.2.0/24")]


def test_the_first_choice_is_always_the_same() -> None:
    assert next(free_subnets([])) == IPv4Network("10.213.0.0/24")


def test_a_taken_pool_leads_to_the_next() -> None:
    assert next(free_subnets([IPv4Network("10.0.0.0/8")])) == IPv4Network("172.28.0.0/24")


def test_nothing_is_free_where_everything_is_taken() -> None:
    assert list(free_subnets([IPv4Network("0.0.0.0/0")])) == []


networks = st.builds(
    lambda address, bits: IPv4Network((address, bits), strict=False), st.integers(0, 2**32 - 1), st.integers(8, 32)
)


@given(st.lists(networks | st.sampled_from(list(IPv4Network("10.213.0.0/16").subnets(new_prefix=24))), max_size=20))
def test_a_free_subnet_overlaps_nothing_taken(taken: list[IPv4Network]) -> None:
    for subnet in islice(free_subnets(taken), 5):
        assert subnet.is_private
        assert not any(subnet.overlaps(network) for network in taken)
