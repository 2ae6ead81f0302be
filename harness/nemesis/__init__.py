"""The faults, by name."""

from __future__ import annotations

from collections.abc import Mapping

from harness.nemesis.clients import Clients
from harness.nemesis.clock import Clock
from harness.nemesis.disk import Disk
from harness.nemesis.fault import Fault
from harness.nemesis.kill import Kill
from harness.nemesis.memory import Memory
from harness.nemesis.packets import Packets
from harness.nemesis.partition import Partition
from harness.nemesis.pause import Pause
from harness.nemesis.slow import Slow

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (Partition(), Clients(), Packets(), Clock(), Kill(), Pause(), Slow(), Memory(), Disk())
}
