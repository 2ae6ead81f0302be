"""How a machine is logged in to: whose keys, which host keys, and what ~/.ssh/config says.

Lives here: what is known before a connection is made, and the client that has it. Must not live here: retries,
commands, files.

Host keys are always checked. One that differs from the known one is refused whatever the options say; one that is not
known is refused unless the user gave a file that has it, or said that it may be taken unseen.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.environments.ssh_hosts import SshHost
from harness.errors import UsageError

if TYPE_CHECKING:
    from paramiko import SSHClient

_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("~/.ssh/known_hosts"))
_CONFIG = Path("~/.ssh/config")
_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class SshAccess:
    """The user's options, for all hosts alike."""

    identity: Path | None = None
    """A private key, beside those of the agent; without it, those in ~/.ssh are tried."""
    known_hosts: Path | None = None
    """A file of host keys, beside the system's and the user's own."""
    accept_unknown_hosts: bool = False

    @classmethod
    def of(cls, identity: str | None, known_hosts: str | None, accept_unknown_hosts: bool) -> SshAccess:
        """From names of files, as a definition and a ledger have them."""
        key, hosts = (None if name is None else Path(name) for name in (identity, known_hosts))
        return cls(key, hosts, accept_unknown_hosts)

    def __post_init__(self) -> None:
        for option, path in (("--identity", self.identity), ("--known-hosts", self.known_hosts)):
            if path is not None and not os.access(path, os.R_OK):
                raise UsageError(f"{option} {path}: there is no such file, or it may not be read")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where ssh goes, as whom, and with which private keys."""

    user: str
    host: str
    port: int
    identities: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def endpoint(host: SshHost, access: SshAccess) -> Endpoint:
    """Where `host` is, with what ~/.ssh/config adds (HostName, Port, User, IdentityFile; no proxies: clients of the
    nodes must reach them too). What the user said to us comes first."""
    from paramiko import SSHConfig, SSHException

    path = _CONFIG.expanduser()
    try:
        said = (SSHConfig.from_path(str(path)) if path.exists() else SSHConfig()).lookup(host.host)
    except (SSHException, OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    named = [str(access.identity)] if access.identity else [os.path.expanduser(f) for f in said.get("identityfile", [])]
    return Endpoint(
        user=host.user or said.get("user") or getpass.getuser(),
        host=said["hostname"],
        port=host.port or int(said.get("port", _SSH_PORT)),
        identities=tuple(name for name in named if Path(name).exists()),
    )


def node_address(host: SshHost, reached: Endpoint) -> str:
    """The IPv4 address under which other nodes reach the host. Raises `UsageError`. Blocks: it asks the resolver."""
    if host.address:
        return host.address
    with suppress(OSError):
        return socket.gethostbyname(reached.host)
    raise UsageError(f"{host.node}: {reached.host} has no IPv4 address for the other nodes: name it after a slash")


def new_client(host: SshHost, access: SshAccess, say: Callable[[str], None]) -> SSHClient:
    """A client that knows the host keys. It may connect more than once; a key once accepted must stay the same."""
    from paramiko import MissingHostKeyPolicy, PKey, SSHClient

    # What goes wrong is an exception, which is told once; paramiko would print a traceback of it besides.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())

    class Unknown(MissingHostKeyPolicy):
        def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
            seen = f"{host.node}: the host key of {hostname}, {key.get_name()} {key.fingerprint},"
            if not access.accept_unknown_hosts:
                raise UsageError(
                    f"{seen} is not known: give a file that has it, --known-hosts FILE, "
                    "or take it unseen, --accept-unknown-hosts"
                )
            say(f"{seen} is not known: taken unseen")
            client.get_host_keys().add(hostname, key.get_name(), key)

    client = SSHClient()
    # As system keys, all of them: paramiko writes others back.
    for path in (*_KNOWN_HOSTS, *filter(None, [access.known_hosts])):
        if path.expanduser().exists():
            client.load_system_host_keys(str(path.expanduser()))
    client.set_missing_host_key_policy(Unknown())
    return client
