"""The settings of faults that are set rather than done: how packets travel, what a clock shows, how a disk fails.

Lives here: plain values, the same for every environment. Must not live here: how an environment brings them about.
The value without arguments is the sound one; setting it undoes the fault.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Traffic:
    """What happens to each packet on its way to a node; shares are from 0 to 1. Raises ValueError outside its range."""

    delay_ms: float = 0.0
    """Each packet arrives that much later."""
    jitter_ms: float = 0.0
    """Up to so much more or less, evenly; never earlier than without the fault."""
    loss: float = 0.0
    """The share that never arrives."""
    duplicate: float = 0.0
    """The share that arrives twice."""
    reorder: float = 0.0
    """The share that comes out of order: not delayed while others are or, in the simulator, held back behind others."""
    rate_kbit: float = 0.0
    """Kilobits (1000 bits) a second, packet headers included; 0 is without limit."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            most = 1.0 if field.name in ("loss", "duplicate", "reorder") else float("inf")
            if not 0 <= value <= most or value == float("inf"):
                raise ValueError(f"{field.name} {value}: must be {f'from 0 to {most:g}' if most == 1 else '0 or more'}")

    @property
    def is_sound(self) -> bool:
        """Whether packets travel as they would without it."""
        return self == Traffic()


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
