"""The nemesis packages, by name."""

from __future__ import annotations

from collections.abc import Mapping

from harness.nemesis.base import Package
from harness.nemesis.clock import CLOCK
from harness.nemesis.kill import KILL
from harness.nemesis.partition import PARTITION
from harness.nemesis.pause import PAUSE

PACKAGES: Mapping[str, Package] = {package.name: package for package in (PARTITION, CLOCK, KILL, PAUSE)}
