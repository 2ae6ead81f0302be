"""What the control group of this process says of its processor time (cgroups(7), version 1 or 2).

Lives here: reading the quota and how long it was held up for it. Must not live here: setting one, which only the
outside of a container may.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PERIOD_MS = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """`allowed_ms` in each tenth of a second, 0 if there is no limit; `throttled_ms` so far, over all processors."""

    allowed_ms: float
    throttled_ms: int


def quota(root: Path = ROOT) -> Quota | None:
    """The quota of the group that is mounted there; None if the kernel keeps none."""
    try:
        if (root / "cpu.max").exists():
            allowed, period = _line(root / "cpu.max").replace("max", "-1").split()
            throttled_ms = _statistics(root)["throttled_usec"] // 1000
        else:
            allowed, period = (_line(root / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
            throttled_ms = _statistics(root / "cpu")["throttled_time"] // 1_000_000
    except (OSError, ValueError, KeyError):
        return None
    return Quota(max(0, int(allowed)) / int(period) * _PERIOD_MS, throttled_ms)


def _statistics(group: Path) -> dict[str, int]:
    words = (group / "cpu.stat").read_text(encoding="ascii").split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def _line(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
