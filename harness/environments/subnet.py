"""A subnet that nothing here uses yet.

Lives here: the choice, as pure functions of what is taken. Must not live here: reading routes or asking an engine.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

_POOLS = tuple(map(IPv4Network, ("10.213.0.0/16", "172.28.0.0/14", "192.168.128.0/17")))
_PREFIX_BITS = 24


def free_subnets(taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """The private /24 networks that overlap none of `taken`, in a fixed order."""
    used = tuple(taken)
    for pool in _POOLS:
        for subnet in pool.subnets(new_prefix=_PREFIX_BITS):
            if not any(subnet.overlaps(network) for network in used):
                yield subnet


def routed_networks(table: str) -> list[IPv4Network]:
    """The networks this machine has a route to, out of the text of /proc/net/route; the default route is left out."""
    networks = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        network = IPv4Network((_address(fields[1]), _address(fields[7])), strict=False)
        if network.prefixlen > 0:
            networks.append(network)
    return networks


def _address(hexadecimal: str) -> str:
    """The kernel prints an address as the number that its bytes make in the machine's own order."""
    return socket.inet_ntoa(struct.pack("=L", int(hexadecimal, 16)))
