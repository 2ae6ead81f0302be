"""Who made a thing that outlives its maker, and whether the maker is still there.

Lives here: the identity of a harness process, written as labels. Must not live here: what is labelled, or its removal.

A process id alone says little: ids are reused, start again at each boot, and are others in each namespace of
processes, such as a container's. The time at which the process started, the namespace and the boot make it unique on
its host. Whoever is in another namespace cannot see it, and must not take it for gone: that its run has ended is then
known by its ledger alone, which nobody can lock while it lives (`harness.ledger`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

LABEL = "splitbrain"
RUN = f"{LABEL}.run"


@dataclass(frozen=True, slots=True)
class Owner:
    """A harness process."""

    host: str
    boot: str
    namespace: str
    pid: str
    started: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = str(os.getpid())
        return cls(os.uname().nodename, _boot(), _namespace(), pid, _started(pid) or "")

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Owner:
        """The owner that `labels` names; a missing label is an empty one, and matches no host."""
        return cls(*(labels.get(f"{LABEL}.{field.name}", "") for field in fields(cls)))

    def labels(self) -> dict[str, str]:
        return {f"{LABEL}.{name}": value for name, value in asdict(self).items()}

    def gone(self) -> bool:
        """Whether the process certainly exists no more. That cannot be known of one elsewhere, out of our sight."""
        if self.host != os.uname().nodename:
            return False
        if self.boot != _boot():
            return True
        return self.namespace == _namespace() and _started(self.pid) != self.started


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    """In which process ids mean what they mean here."""
    return os.readlink("/proc/self/ns/pid")


def _started(pid: str) -> str | None:
    """When the process started, in clock ticks since the boot (proc(5), field 22 of stat); None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything, so fields are counted behind it.
    return stat.rpartition(")")[2].split()[19]
