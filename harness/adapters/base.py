"""What the harness must know of a system under test in order to run it on real nodes.

Lives here: where a node's things are (`Place`) and the contract of an adapter. Must not live here: how an environment starts
processes, or what one particular system says on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.environments.base import Node


@dataclass(frozen=True, slots=True)
class Place:
    """Where one node lives, in the terms of its own environment (paths inside the container, say)."""

    address: str
    port: int
    directory: str

    @property
    def data(self) -> str:
        """The directory that must survive a restart of the node."""
        return f"{self.directory}/data"

    @property
    def trace(self) -> str:
        return f"{self.directory}/trace.jsonl"

    @property
    def log(self) -> str:
        return f"{self.directory}/node.log"

    @property
    def clock(self) -> str:
        """A JSON file, `{"offset_ms": 0, "rate": 1.0}`, that is replaced by rename when the node's clock is set."""
        return f"{self.directory}/clock.json"


class Adapter(Protocol):
    """A system under test: how one of its nodes is started."""

    name: str

    def command(self, python: str, node: Node, places: Mapping[Node, Place]) -> list[str]:
        """The command line that runs `node` in the foreground; `python` is an interpreter of the environment."""
