"""The workloads, by name."""

from __future__ import annotations

from collections.abc import Mapping

from harness.workloads.base import Workload
from harness.workloads.register import Register

WORKLOADS: Mapping[str, Workload] = {workload.name: workload for workload in (Register(),)}
