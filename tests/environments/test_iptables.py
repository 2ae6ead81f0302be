"""A grudge as text for iptables-restore."""

from __future__ import annotations

from harness.environments import iptables

ADDRESSES = {"n1": "127.0.1.1", "n2": "127.0.1.2", "n3": "127.0.1.3"}


def test_a_grudge_is_one_rule_a_destination_in_our_own_chain() -> None:
    grudge = {"n2": frozenset({"n3", "n1"}), "n1": frozenset({"n2"})}
    assert iptables.replacement(grudge, ADDRESSES) == (
        "*filter\n"
        ":SPLITBRAIN - [0:0]\n"
        "-A SPLITBRAIN -s 127.0.1.2 -d 127.0.1.1 -j DROP\n"
        "-A SPLITBRAIN -s 127.0.1.1,127.0.1.3 -d 127.0.1.2 -j DROP\n"
        "COMMIT\n"
    )


def test_the_empty_grudge_empties_the_chain_and_nothing_else() -> None:
    empty = "*filter\n:SPLITBRAIN - [0:0]\nCOMMIT\n"
    assert iptables.replacement({}, ADDRESSES) == empty
    assert iptables.replacement({"n1": frozenset()}, ADDRESSES) == empty


def test_only_installation_and_removal_touch_the_built_in_chain() -> None:
    assert "INPUT" in iptables.installation()
    assert "INPUT" in iptables.removal()
    assert "INPUT" not in iptables.replacement({"n1": frozenset({"n2"})}, ADDRESSES)


def test_the_tables_of_others_are_not_flushed() -> None:
    assert "--noflush" in iptables.COMMAND
