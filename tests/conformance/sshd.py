"""Machines with an OpenSSH server, made for tests: in network namespaces, without root, and in containers.

Lives here: making them, with keys of their own, and ending them. Must not live here: the project's own way to reach and
prepare machines, which they are to check.

In a namespace: a machine has user, network, mount and process namespaces of its own, and a virtual cable to a bridge in
the private namespace of the tests marked `local`. sshd runs there as long as it is not root, which it would want to
give up (setgroups is forbidden where only one user is mapped): so the user is `admin`, who has the namespace's
capabilities from the start, and a `sudo` that has nothing to add. In a container accounts and sudo are real.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from harness.environments import containers, namespace
from harness.environments.base import Node
from harness.environments.base_image import base_image, image_id
from harness.environments.engine import Engine
from harness.environments.node_image import archive, digest
from harness.environments.owner import RUN
from harness.environments.ssh_access import SshAccess
from harness.environments.ssh_hosts import SshHost
from waiting import eventually

if TYPE_CHECKING:
    from docker import DockerClient

DEADLINE_S = 30.0
_BUILD_DEADLINE_S = 600.0
_SUBNET = IPv4Network("10.214.0.0/24")
_FIRST_HOST = 11
_BRIDGE = "sshd0"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_CONTAINER_KEYS = "/etc/ssh/keys"


@dataclass(frozen=True, slots=True)
class Keys:
    """A user's key, which may log in to all machines of one test, and a server's own, which `known_hosts` has."""

    directory: Path

    @classmethod
    def made(cls, directory: Path) -> Keys:
        directory.mkdir(parents=True)
        keys = cls(directory)
        if not keys.identity.exists():
            generate_key(keys.identity)
        shutil.copy(keys.identity.with_suffix(".pub"), directory)
        generate_key(keys.host)
        return keys

    @property
    def identity(self) -> Path:
        return self.directory.parent / "user"

    @property
    def host(self) -> Path:
        return self.directory / "host"

    @property
    def known_hosts(self) -> Path:
        return self.directory.parent / "known_hosts"

    def know(self, address: str) -> None:
        with self.known_hosts.open("a") as file:
            file.write(f"{address} {self.host.with_suffix('.pub').read_text()}")


def generate_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=DEADLINE_S)


@dataclass(frozen=True)
class Machine:
    """A machine that answers ssh on port 22 of its address."""

    node: Node
    address: str
    keys: Keys
    root: str
    """A user who is root, or who may use sudo without a password."""
    container: str = ""
    """The container that it is; a machine in a namespace is none."""

    def host(self, user: str | None = None) -> SshHost:
        return SshHost(self.node, self.address, user or self.root)

    def access(self) -> SshAccess:
        return SshAccess(self.keys.identity, self.keys.known_hosts)

    def execute(self, script: str) -> str:
        """What the shell script prints; OpenSSH's own client brings it there."""
        options = ("-o", f"UserKnownHostsFile={self.keys.known_hosts}", "-o", "BatchMode=yes", "-F", "none")
        command = ["ssh", *options, "-i", str(self.keys.identity), f"{self.root}@{self.address}", script]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout

    def options(self) -> list[str]:
        """What the command needs to reach it, beside --hosts."""
        return ["--identity", str(self.keys.identity), "--known-hosts", str(self.keys.known_hosts)]


def hosts_option(machines: Mapping[Node, Machine], user: str | None = None) -> str:
    """The machines as --hosts names them."""
    return ",".join(f"{node}={user or machine.root}@{machine.address}" for node, machine in machines.items())


def _configuration(keys: str, variables: Mapping[str, str]) -> str:
    """The text of sshd_config; `keys` is the directory of the keys on the machine."""
    set_variables = f"SetEnv {shlex.join(f'{name}={value}' for name, value in variables.items())}" if variables else ""
    return f"""\
HostKey {keys}/host
AuthorizedKeysFile {keys}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
MaxStartups 100
Subsystem sftp /usr/lib/openssh/sftp-server
{set_variables}
"""


# -- in namespaces -----------------------------------------------------------------------------------------------------

_SERVER = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

_UID = "1000"
_FIRST_STAGE = f"""
mount --bind passwd /etc/passwd
exec unshare --user --map-user={_UID} --map-group={_UID} --net --keep-caps sh -eu ./second
"""
_SECOND_STAGE = """
ip link set lo up
: >unplugged
until ip link show eth0 >/dev/null 2>&1; do sleep 0.01; done
ip address add "$ADDRESS" dev eth0
ip link set eth0 up
exec unshare --pid --fork --kill-child --mount --mount-proc "$SERVER" -D -e -f "$PWD/sshd_config"
"""


@cache
def no_namespaces() -> str | None:
    """Why there can be no machines in namespaces, in one line; None if there can."""
    if _SERVER is None:
        return "sshd is not installed: install the package openssh-server"
    if (reason := namespace.unavailable()) is not None:
        return reason
    stages = ("unshare", "--mount", "unshare", "--user", f"--map-user={_UID}", f"--map-group={_UID}", "--net")
    probe = [*stages, "--keep-caps", "unshare", "--pid", "--fork", "--mount", "--mount-proc", "true"]
    outside = () if namespace.inside() else ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork")
    try:
        subprocess.run([*outside, *probe], check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    except subprocess.CalledProcessError as error:
        return f"no machine in namespaces: {str(error.stderr).strip().splitlines()[-1]}"
    return None


@contextmanager
def namespace_machines(nodes: tuple[Node, ...], directory: Path) -> Iterator[dict[Node, Machine]]:
    """A machine a node. To be called inside the private namespace; everything ends with the context."""
    _ip("link", "add", _BRIDGE, "type", "bridge")
    machines: dict[Node, Machine] = {}
    try:
        _ip("address", "add", f"{_SUBNET[1]}/{_SUBNET.prefixlen}", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        with ExitStack() as stack:
            for index, node in enumerate(nodes, _FIRST_HOST):
                machine = Machine(node, str(_SUBNET[index]), Keys.made(directory / node), "admin")
                stack.enter_context(_running(machine))
                machines[node] = machine
            yield machines
    finally:
        _ip("link", "delete", _BRIDGE)


@contextmanager
def _running(machine: Machine) -> Iterator[None]:
    directory = machine.keys.directory
    _furnish(machine, directory)
    cable = f"to{machine.address.rpartition('.')[2]}"
    with (directory / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", _FIRST_STAGE],
            cwd=directory,
            env={"PATH": _PATH, "ADDRESS": f"{machine.address}/{_SUBNET.prefixlen}", "SERVER": str(_SERVER)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually("it has a network of its own", (directory / "unplugged").exists, DEADLINE_S)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
        _ip("link", "set", cable, "master", _BRIDGE, "up")
        eventually("sshd listens", lambda: answers(machine.address), DEADLINE_S)
        yield
    finally:
        process.kill()  # the machine's first process dies with it, and so do all the others
        process.wait(DEADLINE_S)
        # The kernel takes the cable away with the namespace, but in its own time; the next machine has the same name.
        subprocess.run(["ip", "link", "delete", cable], capture_output=True, timeout=DEADLINE_S, check=False)


def _furnish(machine: Machine, directory: Path) -> None:
    """Put there what the machine has of its own."""
    for folder in ("bin", "tmp"):
        (directory / folder).mkdir()
    variables = {
        "PATH": f"{directory}/bin:{Path(sys.base_prefix, 'bin')}:{_PATH}",
        "TMPDIR": f"{directory}/tmp",
        "XTABLES_LOCKFILE": "/dev/null",
    }
    accounts = [line for line in Path("/etc/passwd").read_text().splitlines() if line.split(":")[2] != _UID]
    texts = {
        "passwd": "\n".join([*accounts, f"{machine.root}:x:{_UID}:{_UID}::{directory}:/bin/sh", ""]),
        "sshd_config": _configuration(str(directory), variables),
        "bin/sudo": '#!/bin/sh\nshift\nexec "$@"\n',
        "second": _SECOND_STAGE,
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    (directory / "bin" / "sudo").chmod(0o755)
    machine.keys.know(machine.address)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=DEADLINE_S)


# -- in containers -----------------------------------------------------------------------------------------------------

_DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
LABEL splitbrain.image=sshd
RUN apt-get update \\
 && apt-get install -y --no-install-recommends openssh-server sudo python3 iptables iproute2 \\
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* && mkdir -p /run/sshd {_CONTAINER_KEYS} \\
 && useradd -m -s /bin/sh -p '*' admin && useradd -m -s /bin/sh -p '*' guest \\
 && echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
"""
_SERVER_COMMAND = f"/usr/sbin/sshd -D -e -f {_CONTAINER_KEYS}/sshd_config"
_FIRST_PROCESS = f"""
trap 'exit 0' TERM
{_SERVER_COMMAND} &
while :; do
    sleep 3600 &
    wait $!
done
"""
"""Reaps what loses its parent, and outlives the server."""

_CAPABILITIES = ["NET_ADMIN", "SYS_CHROOT", "SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL"]
"""NET_ADMIN for packet filters; the others for sshd and sudo."""


@contextmanager
def container_machines(nodes: tuple[Node, ...], directory: Path) -> Iterator[dict[Node, Machine]]:
    """A container a node, on a network of their own; labelled as all that the harness makes."""
    run = f"splitbrain-{secrets.token_hex(4)}"
    image = asyncio.run(_image())
    import docker

    with closing(docker.from_env()) as client:
        try:
            subnet = containers.create_network(client, run, None, internal=True)
            machines = {}
            for index, node in enumerate(nodes, _FIRST_HOST):
                keys = Keys.made(directory / node)
                machines[node] = machine = Machine(node, str(subnet[index]), keys, "root", f"{run}-{node}")
                machine.keys.know(machine.address)
                _start_container(client, run, image, machine)
            for machine in machines.values():
                eventually("sshd listens", partial(answers, machine.address), DEADLINE_S)
            yield machines
        finally:
            for container in containers.containers_of(client, run):
                containers.remove_container(client, container)
            for network in containers.networks_of(client, run):
                containers.remove_network(client, network)


def _start_container(client: DockerClient, run: str, image: str, machine: Machine) -> None:
    container = client.containers.create(
        image,
        ["sh", "-c", _FIRST_PROCESS],
        name=machine.container,
        hostname=machine.node,
        labels={RUN: run},  # nobody's, so that no harness takes them for its own
        cap_drop=["ALL"],
        cap_add=_CAPABILITIES,
        network=run,
        networking_config={run: client.api.create_endpoint_config(ipv4_address=machine.address)},
    )
    directory = machine.keys.directory
    (directory / "sshd_config").write_text(_configuration(_CONTAINER_KEYS, {}))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("sshd_config", "host", "user.pub"):
            tar.add(directory / name, arcname=name, filter=_of_root)
    container.put_archive(_CONTAINER_KEYS, packed.getvalue())
    container.start()


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member


async def _image() -> str:
    """The tag of an image with sshd, which is built if the engine does not have it."""
    engine = Engine()
    base = await base_image(engine, print, None)
    context = {"Dockerfile": _DOCKERFILE.encode()}
    tag = f"splitbrain-sshd:{digest(context, str(await image_id(engine, base)))}"
    if not await image_id(engine, tag):

        def build(client: DockerClient) -> None:
            file = io.BytesIO(archive(context))
            client.images.build(fileobj=file, custom_context=True, buildargs={"BASE_IMAGE": base}, tag=tag, rm=True)

        await engine.call(f"build {tag}", build, _BUILD_DEADLINE_S)
    return tag


_RULES = """
PATH=$PATH:/usr/sbin:/sbin
iptables -N KEEP
iptables -A INPUT -s 192.0.2.7/32 -j KEEP
iptables -A KEEP -m comment --comment "not ours -j SB-00000000-partition" -j DROP
iptables -A INPUT -s 192.0.2.8/32 -j DROP
"""


def have_rules(machines: Mapping[Node, Machine]) -> None:
    """Give each machine packet filters of its keeper's own, which are no business of ours."""
    for machine in machines.values():
        machine.execute(_RULES)


# -- what befalls a machine --------------------------------------------------------------------------------------------

_KILL_SERVERS = """
for file in /proc/[0-9]*/cmdline; do
    case $(tr '\\0' ' ' <"$file" 2>/dev/null) in
    PATTERN) pid=${file#/proc/} && kill -9 "${pid%/cmdline}" ;;
    esac
done
"""
_LISTENER = "sshd*listener*"
_SESSIONS = "sshd*@* | sshd*\\[priv\\]*"
_DROP = "INPUT -p tcp --dport 22 -j DROP"


def from_outside(machine: Machine, script: str) -> str:
    """What the shell script prints, brought into the container by the engine: it needs no server there."""
    import docker

    with closing(docker.from_env()) as client:
        code, output = client.containers.get(machine.container).exec_run(["sh", "-euc", script])
    assert code == 0, output.decode()
    return str(output.decode())


def cut_sessions(machine: Machine) -> None:
    """Kill the server's processes of every session; the server itself lives on."""
    from_outside(machine, _KILL_SERVERS.replace("PATTERN", _SESSIONS))


def stop_server(machine: Machine) -> None:
    """Kill the server and all its sessions, for good."""
    from_outside(machine, _KILL_SERVERS.replace("PATTERN", f"{_LISTENER} | {_SESSIONS}"))
    assert not answers(machine.address)


def start_server(machine: Machine) -> None:
    """Have a server again."""
    from_outside(machine, f"{_SERVER_COMMAND} >/dev/null 2>&1 &")
    eventually("sshd listens", partial(answers, machine.address), DEADLINE_S)


@contextmanager
def unreachable(machine: Machine) -> Iterator[None]:
    """Meanwhile, whatever comes to its server is dropped on the way, and nobody is told."""
    from_outside(machine, f"iptables -I {_DROP}")
    try:
        yield
    finally:
        from_outside(machine, f"iptables -D {_DROP}")


# -- waiting -----------------------------------------------------------------------------------------------------------


def answers(address: str) -> bool:
    """Whether something that listens there says that it is an ssh server."""
    with suppress(OSError), closing(socket.create_connection((address, 22), 1.0)) as connection:
        return connection.recv(4) == b"SSH-"
    return False
