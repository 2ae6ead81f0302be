"""The settings of faults that are set rather than done: what a clock shows, how a disk fails.

Lives here: plain values, the same for every environment. Must not live here: how an environment brings them about,
or `Traffic`, which the agent has, since it carries that out by itself.
The value without arguments is the sound one; setting it undoes the fault.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """How a node's clock departs from the true one: an offset in milliseconds now, and a rate from now on."""

    offset_ms: float = 0.0
    rate: float = 1.0
    strobe_ms: float = 0.0
    """If not 0, the clock is wrong and right by turns, for so long each (Jepsen's strobe)."""


@dataclass(frozen=True, slots=True)
class DiskSetting:
    """How a node's disk fails. Raises ValueError for a negative delay."""

    sync_delay_ms: float = 0.0
    """Each sync takes that much longer."""
    sync_error: bool = False
    """Each sync fails and makes nothing durable."""
    full: bool = False
    """Each append fails and writes nothing."""
    volatile: bool = False
    """What is not synced dies with the process, as with the power."""

    def __post_init__(self) -> None:
        if not 0 <= self.sync_delay_ms < float("inf"):
            raise ValueError(f"sync_delay_ms {self.sync_delay_ms}: must be 0 or more")

    @property
    def is_sound(self) -> bool:
        """Whether the disk does its duty."""
        return self == DiskSetting()
