"""Who made a thing that outlives its maker, and whether the maker is still there.

Lives here: the identity of a harness process, written as labels. Must not live here: what is labelled, or its removal.

A process id alone says little: ids are reused, and start again at each boot. The time at which the process started and
the identity of the boot make it unique on its host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

LABEL = "splitbrain"
RUN = f"{LABEL}.run"


@dataclass(frozen=True, slots=True)
class Owner:
    """A harness process."""

    host: str
    boot: str
    pid: str
    started: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = str(os.getpid())
        return cls(os.uname().nodename, _boot(), pid, _started(pid) or "")

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Owner:
        """The owner that `labels` names; a missing label is an empty one, and matches no host."""
        return cls(*(labels.get(f"{LABEL}.{name}", "") for name in ("host", "boot", "pid", "started")))

    def labels(self) -> dict[str, str]:
        return {f"{LABEL}.{name}": value for name, value in asdict(self).items()}

    def gone(self) -> bool:
        """Whether the process certainly exists no more. That cannot be known of one on another host."""
        if self.host != os.uname().nodename:
            return False
        return self.boot != _boot() or _started(self.pid) != self.started


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _started(pid: str) -> str | None:
    """When the process started, in clock ticks since the boot (proc(5), field 22 of stat); None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything, so fields are counted behind it.
    return stat.rpartition(")")[2].split()[19]
