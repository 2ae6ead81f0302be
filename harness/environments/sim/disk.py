"""A simulated disk: what it holds, how long a sync takes, and what is wrong with it.

Lives here: a disk's time and its faults, over several lives of its node. Must not live here: what is written, or who
waits for it. What the faults do to writes is done by raft_impl's own faulty layer, the one that real nodes have.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from harness.environments.faults import DiskSetting
from harness.environments.sim.loop import Loop
from raft_impl.storage import faulty
from raft_impl.storage.memory import MemoryFiles

_SYNC_NS = 200_000
_SYNC_JITTER_NS = 400_000
_SLOW_SYNC = 0.01
_SLOW_SYNC_NS = 20_000_000


class Disk:
    """One node's disk. `seen` counts what was done to writes, as the file `*.seen` of a real node does."""

    def __init__(self, loop: Loop, random: Random) -> None:
        self.seen = faulty.DiskSeen()
        self._loop = loop
        self._random = random
        self._below = MemoryFiles()
        self._in_force = faulty.DiskSetting()
        self._delay_ns = 0
        self._sync: tuple[int, Callable[[Any], None], Any] | None = None

    def files(self) -> faulty.FaultyFiles:
        """The disk's files, for a new life of the node; what the last life left unwritten is gone."""
        faults = faulty.DiskFaults(lambda: self._in_force, _no_wait, self.seen, _no_report)
        return faulty.FaultyFiles(self._below, faults)

    def set(self, setting: DiskSetting) -> None:
        """Fail like that from now on. A sync that is under way takes as long as it would have under this setting."""
        # The delay passes in virtual time, before the sync; the layer below has none to add.
        self._in_force = faulty.DiskSetting(0.0, setting.sync_error, setting.full, setting.volatile)
        self._delay_ns = int(setting.sync_delay_ms * 1e6)
        if self._sync is not None:
            self._loop.at(max(self._loop.now_ns, self._sync[0] + self._delay_ns), self._end, self._sync)

    def after_sync(self, action: Callable[[Any], None], argument: object) -> None:
        """Call `action(argument)` when a sync that begins now is over. An earlier one that is not is forgotten."""
        self.seen.delayed += self._delay_ns > 0
        duration_ns = self._duration_ns()
        self._sync = (self._loop.now_ns + duration_ns, action, argument)
        self._loop.after(duration_ns + self._delay_ns, self._end, self._sync)

    def lose_power(self) -> None:
        """Lose what was not synced, or a part of it, and tear what was being written. The node must be dead."""
        self.seen.lost_bytes += self._below.power_loss(self._random)

    def _end(self, sync: tuple[int, Callable[[Any], None], Any]) -> None:
        due_ns, action, argument = sync
        if sync is self._sync and self._loop.now_ns >= due_ns + self._delay_ns:
            self._sync = None
            action(argument)

    def _duration_ns(self) -> int:
        chance = self._random.random
        if chance() < _SLOW_SYNC:
            return int(chance() * _SLOW_SYNC_NS)
        return _SYNC_NS + int(chance() * _SYNC_JITTER_NS)


def _no_wait(delay_ms: Callable[[], float]) -> None:
    """No time passes while the simulator computes."""


def _no_report() -> None:
    """The counters are looked at where they are."""
