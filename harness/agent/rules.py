"""Rules that drop packets, some of them, or send them into a packet queue, as lines for iptables-restore.

Lives here: pure text. Must not live here: running anything, or chains: the caller makes a chain of its own and jumps to
it from INPUT of the filter table.

A rule matches what comes FROM the addresses named TO the node's own address, and nothing else: whoever is not named,
such as the harness, is never held up.

The way of a packet through the rules of one queue:

    INPUT ── chain ── NFQUEUE ── (held) ── verdict NF_REPEAT, marked RELEASED ── INPUT ── chain returns ── other rules
                                           or marked TWICE: ── INPUT ── chain: TEE, returns ── other rules
                                                                                └─ copy ── INPUT ── chain returns ── ...

Released packets meet the whole of INPUT again. So other rules of the machine still judge them (a plain accept would
pass them by), several queues work one after the other, and a cut made while packets are held drops them. It follows
that a chain that counts on seeing each packet once, such as random loss, belongs behind the chains of queues.

A verdict cannot send a packet twice; the copy is made by TEE (xt_TEE, in the kernel since 2.6.35). It needs NET_ADMIN
alone, no raw socket. Its gateway is the node itself, so the copy comes in once more, through `lo` and untracked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_QUEUES_IN_MARK = 8
_FIRST_BIT = 16


class Marks(NamedTuple):
    """The bits of the firewall mark that the packets of one queue get."""

    released: int
    twice: int


def marks(number: int) -> Marks:
    """The bits of queue `number`. Queues that the same packets go through must differ in the number modulo 8."""
    released = 1 << (_FIRST_BIT + 2 * (number % _QUEUES_IN_MARK))
    return Marks(released, released << 1)


def drop_rules(chain: str, sources: Sequence[str], destination: str) -> list[str]:
    """What drops all packets from `sources`: one rule a destination, as in Jepsen (`-s a,b -j DROP`)."""
    return [f"-A {chain} -s {','.join(sources)} -d {destination} -j DROP"] if sources else []


def client_rules(chain: str, peers: Sequence[str], destination: str, port: int) -> list[str]:
    """What drops whatever comes to the service from anybody but the peers. No other port is cut."""
    return [f"-A {chain} -s {','.join(peers)} -j RETURN", f"-A {chain} -d {destination} -p tcp --dport {port} -j DROP"]


def queue_rules(
    chain: str, sources: Sequence[str], destination: str, number: int, duplicates: bool = True
) -> list[str]:
    """What sends packets from `sources` to `destination` through queue `number`; no rule where there is no source.

    A queue that nobody owns lets them through. Without `duplicates` a packet is never sent twice, and the rules do
    without xt_TEE.
    """
    if not sources:
        return []
    to_us = f"-A {chain} -d {destination}"
    back = _copying(to_us, destination, marks(number)) if duplicates else [_returning(to_us, marks(number))]
    queue = f"-A {chain} -s {','.join(sources)} -d {destination} -j NFQUEUE --queue-num {number} --queue-bypass"
    return [*back, queue]


def _returning(to_us: str, bits: Marks) -> str:
    """Let pass what has one of the marks, that is, has been released."""
    return f"{to_us} -m mark ! --mark 0x0/{bits.released | bits.twice:#x} -j RETURN"


def _copying(to_us: str, destination: str, bits: Marks) -> list[str]:
    """The same, and send once more what is to be sent twice."""
    released, twice = (f"{to_us} -m mark --mark {bit:#x}/{bit:#x}" for bit in bits)
    return [
        f"{released} -j RETURN",
        # The copy takes over the mark, and must be known as one when it comes in.
        f"{twice} -j MARK --set-xmark {bits.released:#x}/{bits.released:#x}",
        f"{twice} -j TEE --gateway {destination}",
        f"{twice} -j RETURN",
    ]


def loss_rules(chain: str, sources: Sequence[str], destination: str, loss: float) -> list[str]:
    """What drops that fraction of the packets from `sources` to `destination` (xt_statistic, no queue)."""
    if not sources:
        return []
    which = f"-s {','.join(sources)} -d {destination} -m statistic --mode random --probability {loss:.9f}"
    return [f"-A {chain} {which} -j DROP"]
