"""The bytes that the packet queue says to the kernel and hears from it, against messages written out by hand."""

from __future__ import annotations

import errno
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent.netlink import (
    ACCEPT,
    REPEAT,
    Packet,
    QueueSocket,
    Verdict,
    configuration,
    error_code,
    parse_packet,
    verdict_message,
)

pytestmark = pytest.mark.skipif(
    sys.byteorder != "little", reason="the messages are written out for a little-endian one"
)


def message(*parts: str) -> bytes:
    return bytes.fromhex("".join(parts))


def test_a_queue_is_configured_by_one_message() -> None:
    assert configuration(7, 65536) == message(
        "40000000 0203 0500 00000000 00000000",  # 64 bytes, CONFIG of subsystem 3, request and acknowledge
        "00 00 0007",  # nfgenmsg: queue 7
        "0800 0100 01 00 0002",  # bind, AF_INET
        "0900 0200 00000001 02 000000",  # copy one byte, mode packet
        "0800 0300 00010000",  # at most 65536 packets
        "0800 0400 00000001 0800 0500 00000001",  # mask and flags: fail open
    )


def test_a_verdict_carries_a_mark() -> None:
    assert verdict_message(7, Verdict(258, REPEAT, 0x10000)) == message(
        "28000000 0103 0100 00000000 00000000", "00 00 0007", "0c00 0200 00000004 00000102", "0800 0300 00010000"
    )


PACKET = (
    "00000000 0003 0000 00000000 00000000 02 00 0007",
    "0b00 0100 00000102 0800 01 00",  # packet 258, IPv4, LOCAL_IN
    "0800 0500 00000001",  # came through device 1
    "0800 0300 00020000",  # mark
    "0800 0d00 00000404",  # 1028 bytes
    "0500 0a00 45 000000",  # the one that was copied
)


def test_a_packet_is_parsed() -> None:
    assert parse_packet(message(*PACKET)) == Packet(id=258, size=1028, mark=0x20000)


def test_a_packet_that_was_copied_whole_has_the_size_of_its_payload() -> None:
    assert parse_packet(message(*PACKET[:2], "0500 0a00 45 000000")) == Packet(id=258, size=1, mark=0)


def test_the_kernels_answers_are_told_apart() -> None:
    acknowledged = message("24000000 0200 0000 00000000 00000000", "00000000", "00" * 16)
    refused = message("24000000 0200 0000 00000000 00000000", "f0ffffff", "00" * 16)
    assert error_code(acknowledged) == 0
    assert error_code(refused) == errno.EBUSY
    assert error_code(message(*PACKET)) == errno.ENOMSG
    assert parse_packet(refused) is None


@given(st.binary(max_size=200))
def test_attributes_that_make_no_sense_do_no_harm(attributes: bytes) -> None:
    parsed = parse_packet(message(PACKET[0]) + attributes.ljust(8, b"\0"))
    assert parsed is None or parsed.size >= 0


@pytest.mark.local
def test_a_queue_has_one_owner() -> None:
    first = QueueSocket(3, 10)
    with pytest.raises(OSError, match="packet queue 3: ") as refusal:
        QueueSocket(3, 10)
    assert refusal.value.errno in (errno.EPERM, errno.EBUSY)
    first.close()
    QueueSocket(3, 10).close()


@pytest.mark.local
def test_a_verdict_for_a_packet_that_is_not_there_is_no_failure() -> None:
    queue = QueueSocket(3, 10)
    queue.give([Verdict(99, ACCEPT, 0)])
    assert list(queue.receive(10)) == []
    queue.close()
