"""Containers and networks of one run, and what dead harnesses left of theirs.

Lives here: blocking calls of the Docker SDK, each given a client. Must not live here: threads, deadlines, or what a run
does with them.

Everything made here carries the run's label and its owner's, and is found by label only.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from harness.environments.owner import RUN, Owner
from harness.environments.subnet import free_subnets, routed_networks
from harness.errors import UsageError

if TYPE_CHECKING:
    from docker import DockerClient

VOLUME = "/var/lib/splitbrain"
"""Where a container's volume is mounted. Node data is on it: a container's own file system may be slow to sync."""

_STDOUT = 1
_PERIOD_US = 100_000
_SUBNET_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Container:
    """One node's container, as it is to be made."""

    name: str
    hostname: str
    image: str
    network: str
    address: str
    labels: Mapping[str, str]
    disks: Mapping[str, int] = field(default_factory=dict)
    """What is a tmpfs of its own in it, and how many bytes large each is."""
    published_port: int | None = None


def labels(run: str) -> dict[str, str]:
    """What marks all that belongs to `run`."""
    return Owner.current().labels() | {RUN: run}


def create_network(client: DockerClient, run: str, wanted: IPv4Network | None, internal: bool) -> IPv4Network:
    """The subnet of a new network that is named like the run; `wanted`, or one that nothing here uses."""
    from docker.errors import APIError
    from docker.types import IPAMConfig, IPAMPool

    candidates = [wanted] if wanted else _free_subnets(client)
    for subnet in candidates:
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))])
        try:
            client.networks.create(run, driver="bridge", internal=internal, labels=labels(run), ipam=ipam)
        except APIError as error:
            if "overlaps" not in str(error):
                raise
        else:
            return subnet
    tried = ", ".join(map(str, candidates))
    raise UsageError(f"no free subnet for the nodes ({tried} overlap networks that Docker has): name one")


def _free_subnets(client: DockerClient) -> list[IPv4Network]:
    """The first few: another harness may take one of them first."""
    taken = routed_networks(Path("/proc/net/route").read_text(encoding="ascii"))
    for network in client.networks.list():
        for pool in (network.attrs["IPAM"] or {}).get("Config") or []:
            if ":" not in pool.get("Subnet", ":"):
                taken.append(IPv4Network(pool["Subnet"]))
    free = free_subnets(taken)
    return [subnet for subnet, _ in zip(free, range(_SUBNET_ATTEMPTS), strict=False)]


def create_container(client: DockerClient, wanted: Container) -> None:
    """Create and start it, with NET_ADMIN and no other capability: enough to drop packets in its own namespace."""
    from docker.types import Mount

    volume = Mount(target=VOLUME, source=None, labels=dict(wanted.labels))
    disks = [Mount(path, source=None, type="tmpfs", tmpfs_size=size) for path, size in wanted.disks.items()]
    client.containers.create(
        wanted.image,
        name=wanted.name,
        hostname=wanted.hostname,
        labels=dict(wanted.labels),
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        security_opt=["no-new-privileges"],
        network=wanted.network,
        networking_config={wanted.network: client.api.create_endpoint_config(ipv4_address=wanted.address)},
        ports={f"{wanted.published_port}/tcp": ("127.0.0.1", 0)} if wanted.published_port else None,
        mounts=[volume, *disks],
    ).start()


def limit_processor(client: DockerClient, container: str, quota_us: int) -> None:
    """Let the container use a processor for so long in each tenth of a second; -1 is without limit."""
    client.api.update_container(container, cpu_period=_PERIOD_US, cpu_quota=quota_us)


def published_port(client: DockerClient, container: str, port: int) -> int:
    """The port of 127.0.0.1 that leads to `port` of the container."""
    return int(client.containers.get(container).attrs["NetworkSettings"]["Ports"][f"{port}/tcp"][0]["HostPort"])


class ExecChannel:
    """A program started beside a container's main process, reached through its standard input and output."""

    def __init__(self, client: DockerClient, container: str, command: Iterable[str]) -> None:
        from docker.utils.socket import frames_iter

        execution = client.api.exec_create(container, list(command), stdin=True)["Id"]
        self._client = client
        self._stream = client.api.exec_start(execution, socket=True)
        self._socket: socket.socket = getattr(self._stream, "_sock", None) or self._stream  # type: ignore[assignment]
        self._socket.settimeout(None)
        self._frames: Iterator[tuple[int, bytes]] = frames_iter(self._stream, tty=False)  # type: ignore[no-untyped-call]
        self._said = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        try:
            for stream, data in self._frames:
                if stream == _STDOUT:
                    return bytes(data)
                self._said = bytes(data)
        except ValueError as error:  # closed meanwhile
            raise ConnectionResetError(str(error)) from error
        if self._said:
            raise ConnectionResetError(self._said.decode(errors="replace").strip().splitlines()[-1])
        return b""

    def close(self) -> None:
        with suppress(OSError):  # the other end is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._client.close()


def containers_of(client: DockerClient, run: str) -> list[str]:
    """The ids of the run's containers, running or not."""
    return [found["Id"] for found in client.api.containers(all=True, filters=_of(run))]


def networks_of(client: DockerClient, run: str) -> list[str]:
    """The ids of the run's networks."""
    return [found["Id"] for found in client.api.networks(filters=_of(run))]


def volumes_of(client: DockerClient, run: str) -> list[str]:
    """The names of the run's volumes."""
    return [found["Name"] for found in client.api.volumes(filters=_of(run))["Volumes"] or []]


def remove_container(client: DockerClient, name: str) -> None:
    """Remove it with its volume, whatever its state; fine if somebody else has removed it, or is about to."""
    from docker.errors import APIError, NotFound

    try:
        client.api.remove_container(name, v=True, force=True)
    except NotFound:
        return
    except APIError as error:
        if "already in progress" not in str(error):
            raise
        with suppress(NotFound):
            client.api.wait(name, condition="removed")


def remove_network(client: DockerClient, name: str) -> None:
    """Remove it; its containers must be gone."""
    from docker.errors import NotFound

    with suppress(NotFound):
        client.api.remove_network(name)


def remove_volume(client: DockerClient, name: str) -> None:
    """Remove it; nobody may use it any more."""
    from docker.errors import NotFound

    with suppress(NotFound):
        client.api.remove_volume(name)


KINDS = (
    ("container", containers_of, remove_container),
    ("network", networks_of, remove_network),
    ("volume", volumes_of, remove_volume),
)
"""All that a run has, in the order in which it can be removed: how it is found, and how one of it is removed."""


def abandoned_runs(client: DockerClient) -> dict[str, Owner]:
    """The runs whose harness is gone, each with its owner; those of the living are left out."""
    filters = {"label": RUN}
    found = [*client.api.containers(all=True, filters=filters), *client.api.networks(filters=filters)]
    found += client.api.volumes(filters=filters)["Volumes"] or []
    owners = {thing["Labels"][RUN]: Owner.of(thing["Labels"]) for thing in found}
    return {run: owner for run, owner in sorted(owners.items()) if owner.gone()}


def _of(run: str) -> dict[str, str]:
    return {"label": f"{RUN}={run}"}
