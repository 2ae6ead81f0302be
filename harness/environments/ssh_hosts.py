"""The machines that a user named, as read from `--hosts`.

Lives here: pure text, read into values. Must not live here: connections, or what ~/.ssh/config adds.

    --hosts n1=admin@10.0.0.1,n2=admin@10.0.0.2:2222          or a file with one of these a line; # begins a comment
    n1=admin@gateway.example:2201/10.0.0.1                    ssh goes to the gateway, other nodes to 10.0.0.1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from harness import untrusted
from harness.environments.base import Node
from harness.errors import UsageError
from harness.untrusted import BadRecord

EXAMPLE = "n1=admin@10.0.0.1:22"

_MOST_BYTES = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MACHINE = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:/\[\]\s]+)"
    r"(?::(?P<port>[0-9]+))?"
    r"(?:/(?P<address>[^/\s]+))?"
)


@dataclass(frozen=True, slots=True)
class SshHost:
    """One machine. What is None was not said, and follows from ~/.ssh/config or from the host's name."""

    node: Node
    host: str
    user: str | None = None
    port: int | None = None
    address: str | None = None
    """The IPv4 address under which the other nodes reach it, where that is not the one that ssh goes to."""


def ssh_hosts(option: str) -> tuple[SshHost, ...]:
    """The hosts that the option names: a list where it has an equals sign, else a file with one a line.

    Raises `UsageError`, which tells all mistakes in one line.
    """
    hosts: list[SshHost] = []
    mistakes: list[str] = []
    for where, text in _entries(option):
        try:
            hosts.append(_host(text))
        except ValueError as error:
            mistakes.append(f"{where}{error}")
    mistakes += _repeated("name", [host.node for host in hosts])
    mistakes += _repeated("address", [host.address or host.host for host in hosts])
    if not hosts and not mistakes:
        mistakes.append("no host is named")
    if mistakes:
        raise UsageError(f"--hosts: {'; '.join(mistakes)}; such as {EXAMPLE} would be right")
    return tuple(hosts)


def require_host(host: SshHost) -> None:
    """Raises ValueError for a host that no `--hosts` could have named: one that was read from a ledger."""
    user = "" if host.user is None else f"{host.user}@"
    name = f"[{host.host}]" if ":" in host.host else host.host
    port = "" if host.port is None else f":{host.port}"
    address = "" if host.address is None else f"/{host.address}"
    if _host(f"{host.node}={user}{name}{port}{address}") != host:
        raise ValueError(f"{host.node!r} is no host")


def _entries(option: str) -> Iterable[tuple[str, str]]:
    """What names one host each, with where it stands."""
    if not option.strip():
        return []  # which Path would take for the directory we are in
    if "=" in option:
        return [("", entry.strip()) for entry in option.split(",") if entry.strip()]
    try:
        lines = untrusted.read(Path(option), most=_MOST_BYTES, follow=True).decode().splitlines()
    except (BadRecord, ValueError) as error:
        reason = error.reason if isinstance(error, BadRecord) else error
        raise UsageError(f"--hosts {option}: {reason}; a file, or a list such as {EXAMPLE} would be right") from error
    stripped = [line.partition("#")[0].strip() for line in lines]
    return [(f"line {number}: ", line) for number, line in enumerate(stripped, 1) if line]


def _host(text: str) -> SshHost:
    """The one host. Raises ValueError with what is wrong."""
    name, separator, machine = (part.strip() for part in text.partition("="))
    if not separator:
        raise ValueError(f"{text!r} has no name, NAME=USER@HOST:PORT")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a node: letters, digits, - and _")
    found = _MACHINE.fullmatch(machine)
    if found is None:
        raise ValueError(f"{name}: {machine!r} is not USER@HOST:PORT")
    return SshHost(name, found["host"].strip("[]"), found["user"], _port(name, found["port"]), _address(name, found))


def _port(name: str, digits: str | None) -> int | None:
    if digits is None:
        return None
    if not 0 < int(digits[:6]) < 65536:
        raise ValueError(f"{name}: {digits} is no port, 1 to 65535")
    return int(digits)


def _address(name: str, found: re.Match[str]) -> str | None:
    if found["address"] is None:
        return None
    try:
        return str(IPv4Address(found["address"]))
    except ValueError:
        raise ValueError(f"{name}: {found['address']!r} is no IPv4 address") from None


def _repeated(what: str, values: Sequence[str]) -> list[str]:
    return [f"the {what} {value} is there twice" for value in dict.fromkeys(values) if values.count(value) > 1]
