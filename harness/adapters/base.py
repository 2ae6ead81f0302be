"""What the harness must know of a system under test: how a node is started, and how to talk to it.

Lives here: where a node's things are (`Place`), what its clients can do (`RegisterClient`), what an adapter is. Must
not live here: how an environment starts processes, or what one particular system says on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.environments.base import Environment, Node


@dataclass(frozen=True, slots=True)
class Place:
    """Where one node lives, in the terms of its own environment (paths inside the container, say)."""

    address: str
    port: int
    directory: str

    @property
    def probe_port(self) -> int:
        """Where the node's agent hears whose packets reach the node."""
        return self.port + 1

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

    @property
    def disk(self) -> str:
        """A JSON file, `{"sync_error": true}` for instance, that is replaced when the node's disk is set."""
        return f"{self.directory}/disk.json"


class Definite(Exception):  # noqa: N818 - an outcome, not a malfunction
    """The operation certainly did not happen; the message is a short code, as in the system's own table of errors."""


class Indefinite(Exception):  # noqa: N818
    """The operation may have happened, may yet happen, or may not."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A cas that did not act, because the register held `actual` at `version`."""

    actual: object
    version: int | None


class RegisterClient(Protocol):
    """A client of named registers, bound to one node. Every method raises `Definite` or `Indefinite`, nothing else."""

    async def open(self) -> None: ...

    async def read(self, key: int) -> tuple[object, int | None]:
        """The value, and the register's version if the system has one."""

    async def write(self, key: int, value: object) -> int | None:
        """The version that the write made."""

    async def cas(self, key: int, old: object, new: object) -> int | Mismatch | None:
        """The version that the cas made, or why it did not act."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Status:
    """What a node says of itself: does it lead, in which term, who it thinks leads, how much of the log it has, and
    what its clock showed when the harness' showed `time_ns`, within `error_ns` either way.
    """

    leads: bool
    term: int
    leader: Node | None
    last: int
    clock_ns: int
    time_ns: int
    error_ns: int


class Adapter(Protocol):
    """A system under test."""

    @property
    def name(self) -> str: ...

    def command(self, python: str, node: Node, places: Mapping[Node, Place]) -> list[str]:
        """The command line that runs `node` in the foreground; `python` is an interpreter of the environment."""

    def client(self, environment: Environment, node: Node, timeout_s: float) -> RegisterClient:
        """A new, unopened client whose every operation ends within `timeout_s`."""

    async def status(self, environment: Environment, node: Node, timeout_s: float) -> Status | None:
        """What the node answers, or None if it does not."""

    def leader_changes(self, directory: Path) -> int | None:
        """How often leadership was won, from the traces fetched to `directory/<node>`; None if they do not tell."""
