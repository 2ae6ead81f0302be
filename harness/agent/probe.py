"""Probes: datagrams by which it is seen whether one node's packets reach another.

Lives here: sending them, and remembering whose were heard. Must not live here: what ought to be heard.
"""

from __future__ import annotations

import errno
import socket
from collections import defaultdict
from contextlib import suppress

_REMEMBERED = 64
_COPIES = 2
"""A datagram may get lost by itself; two seldom do."""


class Probe:
    """A socket at the node's own address. A token names one question, so that late datagrams answer no other."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            self._socket.bind(("", port))  # behind a translated address
        self._heard: defaultdict[str, set[str]] = defaultdict(set)

    def send(self, token: str, targets: list[tuple[str, int]]) -> None:
        """Send the token to each address. What cannot be sent is not heard, which is all that is asked."""
        for address, port in targets * _COPIES:
            with suppress(OSError):
                self._socket.sendto(token.encode(), (address, port))

    def heard(self, token: str) -> list[str]:
        """The addresses from which the token has come so far."""
        with suppress(BlockingIOError):
            while True:
                data, (address, _) = self._socket.recvfrom(256)
                self._heard[data.decode(errors="replace")].add(address)
        while len(self._heard) > _REMEMBERED:
            del self._heard[next(iter(self._heard))]
        return sorted(self._heard.get(token, ()))
