"""Rules of the packet queue as text, and that iptables takes them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent.rules import loss_rules, marks, queue_rules

PEERS = ["10.0.0.1", "10.0.0.3"]


def test_packets_of_the_peers_to_this_node_go_through_the_queue_once() -> None:
    assert queue_rules("SB-n2-delay", PEERS, "10.0.0.2", 9) == [
        "-A SB-n2-delay -d 10.0.0.2 -m mark --mark 0x40000/0x40000 -j RETURN",
        "-A SB-n2-delay -d 10.0.0.2 -m mark --mark 0x80000/0x80000 -j MARK --set-xmark 0x40000/0x40000",
        "-A SB-n2-delay -d 10.0.0.2 -m mark --mark 0x80000/0x80000 -j TEE --gateway 10.0.0.2",
        "-A SB-n2-delay -d 10.0.0.2 -m mark --mark 0x80000/0x80000 -j RETURN",
        "-A SB-n2-delay -s 10.0.0.1,10.0.0.3 -d 10.0.0.2 -j NFQUEUE --queue-num 9 --queue-bypass",
    ]


def test_who_duplicates_nothing_needs_no_tee() -> None:
    assert queue_rules("SB-n2-delay", PEERS, "10.0.0.2", 9, duplicates=False) == [
        "-A SB-n2-delay -d 10.0.0.2 -m mark ! --mark 0x0/0xc0000 -j RETURN",
        "-A SB-n2-delay -s 10.0.0.1,10.0.0.3 -d 10.0.0.2 -j NFQUEUE --queue-num 9 --queue-bypass",
    ]


def test_loss_is_a_rule() -> None:
    assert loss_rules("SB-n2-loss", PEERS, "10.0.0.2", 0.2) == [
        "-A SB-n2-loss -s 10.0.0.1,10.0.0.3 -d 10.0.0.2 -m statistic --mode random --probability 0.200000000 -j DROP"
    ]


def test_nobody_named_is_nobody_held_up() -> None:
    assert queue_rules("SB", [], "10.0.0.2", 9) == loss_rules("SB", [], "10.0.0.2", 0.2) == []


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_queues_that_differ_modulo_eight_share_no_bit(first: int, second: int) -> None:
    bits = [*marks(first), *marks(second)]
    assert all(0 < bit < 1 << 32 and bit.bit_count() == 1 for bit in bits)
    assert len(set(bits)) == (4 if first % 8 != second % 8 else 2)


@pytest.mark.local
def test_iptables_takes_them_and_tells_the_same_ones() -> None:
    rules = [*queue_rules("SB-rules", PEERS, "10.0.0.2", 9), *loss_rules("SB-rules", PEERS, "10.0.0.2", 0.2)]
    restore(":SB-rules - [0:0]", *rules)
    listed = subprocess.run(["iptables", "-w", "-S", "SB-rules"], capture_output=True, text=True, check=True).stdout
    restore("-F SB-rules", "-X SB-rules")
    assert "NFQUEUE --queue-num 9 --queue-bypass" in listed
    assert "TEE --gateway 10.0.0.2" in listed
    assert listed.count("-m statistic --mode random --probability 0.2") == len(PEERS)


def restore(*lines: str) -> None:
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    subprocess.run(["iptables-restore", "--wait", "5", "--noflush"], input=text, text=True, check=True)
