"""A grudge as input for iptables-restore.

Lives here: pure text. Must not live here: running anything.

All rules are in a chain of our own, so that installing, replacing and healing touch nobody else's. With `--noflush`,
naming the chain in the input empties it, and the whole input is one transaction: no packet meets half a grudge.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.environments.base import Grudge, Node

CHAIN = "SPLITBRAIN"
COMMAND = ("iptables-restore", "--wait", "5", "--noflush")
"""What reads the texts below on its standard input. It waits for the tables' lock instead of failing."""


def installation() -> str:
    """Create the empty chain and send all incoming packets through it; once for each network namespace."""
    return _transaction([f"-I INPUT 1 -j {CHAIN}"])


def removal() -> str:
    """Undo `installation`, rules and all."""
    return f"*filter\n-D INPUT -j {CHAIN}\n-F {CHAIN}\n-X {CHAIN}\nCOMMIT\n"


def replacement(grudge: Grudge, addresses: Mapping[Node, str]) -> str:
    """Make `grudge` the only one in force. An empty grudge heals.

    One rule a destination, as in Jepsen (`-s a,b -j DROP`), which it names too: nodes may share a namespace.
    """
    rules = []
    for destination, sources in sorted(grudge.items()):
        if sources:
            dropped = ",".join(addresses[source] for source in sorted(sources))
            rules.append(f"-A {CHAIN} -s {dropped} -d {addresses[destination]} -j DROP")
    return _transaction(rules)


def _transaction(rules: list[str]) -> str:
    return "\n".join(["*filter", f":{CHAIN} - [0:0]", *rules, "COMMIT", ""])
