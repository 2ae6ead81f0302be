"""Packet filters: chains of our own in front of a node, one for each kind of fault.

Lives here: putting a chain into INPUT, taking it out, and counting what it caught. Must not live here: which packets.

A chain is named PREFIX-KIND, where the prefix names the run and the node; nothing else is ever touched, so that what a
machine filtered before stays as it was. With `--noflush`, naming a chain in the input of iptables-restore empties it,
and the whole input is one transaction: no packet meets half of a fault.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_CATCHES = {"DROP", "NFQUEUE"}
_COPIES = {"TEE"}
_LONGEST_WAIT_S = 1.0
_DEADLINE_S = 10.0


class FilterError(Exception):
    """iptables refused; the message is its own, on one line."""


@dataclass(slots=True)
class Counts:
    """What the rules of each chain in force did, by its kind: packets dropped or queued, and packets sent twice."""

    caught: dict[str, int] = field(default_factory=dict)
    copied: dict[str, int] = field(default_factory=dict)


class Filters:
    """The chains that begin with `prefix`. What goes to or from `control_port`, if it is not 0, passes all of them."""

    def __init__(self, prefix: str, control_port: int = 0) -> None:
        self._prefix = prefix
        self._control_port = control_port

    def chain(self, kind: str) -> str:
        """The name of the chain of that kind."""
        return f"{self._prefix}-{kind}"

    def install(self, kind: str, rules: Sequence[str], at_ns: int | None = None) -> None:
        """Let the chain hold just these rules (lines such as `-A CHAIN ... -j DROP`), and INPUT begin with it.

        `at_ns`: when, on this machine's clock (nanoseconds since 1970), so that several nodes do it at one moment; a
        time that has passed, or is far off since clocks differ, means now.
        """
        chain = self.chain(kind)
        jump = [] if kind in self.caught() else [f"-I INPUT 1 -j {chain}"]
        control = [f"-A {chain} -p tcp --{end}port {self._control_port} -j RETURN" for end in ("d", "s")]
        first = control if self._control_port else []
        lines = ["*filter", f":{chain} - [0:0]", *first, *rules, *jump, "COMMIT", ""]
        _restore("\n".join(lines), at_ns)

    def remove(self, kind: str) -> bool:
        """Take the chain out; whether it was there."""
        if kind not in self.caught():
            return False
        chain = self.chain(kind)
        _restore(f"*filter\n-D INPUT -j {chain}\n-F {chain}\n-X {chain}\nCOMMIT\n")
        return True

    def caught(self) -> dict[str, int]:
        """Packets dropped or queued by the rules of each chain that is in force, by its kind."""
        return self.counts().caught

    def counts(self) -> Counts:
        """What the kernel has counted for each chain that is in force."""
        counts = Counts()
        for line in _run(["iptables-save", "-c", "-t", "filter"]).splitlines():
            if line.startswith(f":{self._prefix}-"):
                kind = line[len(self._prefix) + 2 :].split()[0]
                counts.caught[kind] = counts.copied[kind] = 0
            elif f" -A {self._prefix}-" in line:  # [packets:bytes] -A CHAIN ...
                counter, _, chain, *words = line.split()
                kind, packets = chain[len(self._prefix) + 1 :], int(counter[1:].split(":")[0])
                counts.caught[kind] += packets if _CATCHES & set(words) else 0
                counts.copied[kind] += packets if _COPIES & set(words) else 0
        return counts

    def accepts(self, rules: Sequence[str]) -> bool:
        """Whether this kernel and its iptables know such rules (of the chain "try"). No packet ever meets them."""
        chain = self.chain("try")
        try:
            _restore("\n".join(["*filter", f":{chain} - [0:0]", *rules, "COMMIT", ""]))
        except FilterError:
            return False
        _restore(f"*filter\n-F {chain}\n-X {chain}\nCOMMIT\n")
        return True


def _restore(script: str, at_ns: int | None = None) -> None:
    """Hand the script to iptables-restore, which is started first: only reading it is left for the moment itself."""
    _run(["iptables-restore", "--wait", "5", "--noflush"], script, at_ns)


def _run(command: list[str], script: str = "", at_ns: int | None = None) -> str:
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    except OSError as error:
        raise FilterError(f"{command[0]} cannot be run: {error.strerror}") from error
    with process:
        try:
            if at_ns is not None:
                wait_s = (at_ns - time.time_ns()) / 1e9
                time.sleep(wait_s if 0 < wait_s < _LONGEST_WAIT_S else 0)
            output, said = process.communicate(script, timeout=_DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise FilterError(f"{command[0]} did not end within {_DEADLINE_S:.0f} s") from error
    if process.returncode != 0:
        raise FilterError(f"{command[0]}: {_gist(said)}")
    return output


def _gist(said: str) -> str:
    """What a program complains of, on one line, without where its help is to be found."""
    return " ".join(line.strip() for line in said.splitlines() if not line.startswith("Try ")) or "it says nothing"
