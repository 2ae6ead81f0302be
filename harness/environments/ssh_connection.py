"""One machine reached by SSH: a connection that is tried again, and what is done over it.

Lives here: connecting, commands, files and channels, each with a deadline, and the translation of paramiko's
exceptions. Must not live here: who may log in (ssh_access.py), or what a machine is prepared with (ssh_machine.py).

paramiko blocks, so every call has a thread (blocking.py); one connection carries them all. What the network does to a
connection is worth another try; a refused key or a host key that is not the right one is not.
"""

from __future__ import annotations

import asyncio
import math
import shlex
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from harness.environments.blocking import in_thread
from harness.environments.ssh_access import SshAccess, endpoint, new_client
from harness.environments.ssh_hosts import SshHost
from harness.errors import EnvironmentFailure, UsageError

if TYPE_CHECKING:
    import paramiko

T = TypeVar("T")

PAUSES_S = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Before each of the five attempts that follow a first one that failed (five, as in Jepsen)."""

_TRYING_S = 30.0
"""How long a machine is looked for: no attempt begins later. One at which all is silent takes five seconds."""

_DIAL_TIMEOUT_S = 5.0
_LOGIN_TIMEOUT_S = 10.0
_CONNECT_DEADLINE_S = 30.0  # three stages: the connection, the handshake, the keys
_DEADLINE_S = 15.0
_FILES_DEADLINE_S = 120.0
_AUTHENTICATION_TIMEOUT = "Authentication timeout."
"""What paramiko says then; it has no exception of its own for it."""

_GRACE_S = 1
_KEEPALIVE_S = 5
_SILENCE_MS = 20_000
"""How long the kernel waits for an acknowledgement; then the connection is lost. paramiko asks for no answer itself."""

_CHUNK_BYTES = 1 << 16


class _Unreachable(Exception):  # noqa: N818
    """The network failed; another try may succeed."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a command ended."""

    status: int
    """-1 if a signal ended it."""
    output: bytes
    complaints: bytes

    def last_line(self) -> str:
        """Its last words."""
        said = self.complaints.strip() or self.output.strip() or b"it says nothing"
        return said.decode(errors="replace").splitlines()[-1]


class SshChannel:
    """Bytes to and from a command that runs on the machine. The methods block; see agent_link.Channel."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._closed = False

    def send(self, data: bytes) -> None:
        """Send all of it. Raises OSError when the channel is lost."""
        try:
            self._channel.sendall(data)
        except EOFError as error:
            raise ConnectionResetError("the connection was lost") from error

    def receive(self) -> bytes:
        """Some bytes; none at the end. Raises OSError when the channel is lost, or the command failed."""
        data = self._channel.recv(_CHUNK_BYTES)
        if data or self._closed:
            return data
        if not self._channel.eof_received:
            raise ConnectionResetError("the connection was lost")
        ended = _Ended(self._channel.recv_exit_status(), b"", _complaints(self._channel))
        if ended.status == 0:
            return b""
        raise ConnectionResetError(f"it ended with {ended.status}: {ended.last_line()}")

    def close(self) -> None:
        """Close it, which ends a `receive` that waits in another thread. Safe to call twice."""
        self._closed = True
        self._channel.close()


class SshConnection:
    """The machine of one node. `connect` first; after a loss, `connect` again."""

    def __init__(
        self,
        host: SshHost,
        access: SshAccess,
        say: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Raises `UsageError` if ~/.ssh/config cannot be read."""
        self.host = host
        self.endpoint = endpoint(host, access)
        self._client = new_client(host, access, say)
        self._search = access.identity is None
        self._sleep = sleep
        self._connecting = asyncio.Lock()
        self._given_up = False
        self._as_root: tuple[str, ...] = ()

    # -- the connection ------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether a connection is there, as far as is known."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_authenticated()

    async def connect(self) -> None:
        """Have a connection: the one that is there, else a new one, which is tried six times in half a minute at most.

        Once all of that was in vain, it is tried only once each time, until somebody answers there: whoever asks again
        knows that there was nobody. Raises `UsageError` if the machine or we refuse the other's key,
        `EnvironmentFailure` if there is no way to it.
        """
        async with self._connecting:
            if not self.connected:
                await self._try(() if self._given_up else PAUSES_S)

    async def _try(self, pauses_s: Sequence[float]) -> None:
        """Connect, with so many more attempts as there are pauses."""
        end_s = time.monotonic() + _TRYING_S
        attempts = 0
        for pause_s in (*pauses_s, None):
            attempts += 1
            try:
                await self._in_thread("connect", self._connect, _CONNECT_DEADLINE_S)
            except _Unreachable as error:
                trouble = error
            else:
                self._given_up = False
                return
            if pause_s is None or time.monotonic() + pause_s > end_s:
                break
            await self._sleep(pause_s)
        self._given_up = True
        tried = f"tried {attempts} times" if attempts > 1 else "tried once"
        raise self._failure(f"no connection to {self.endpoint}, {tried}: {trouble}") from trouble

    def _connect(self) -> None:
        try:
            self._log_in(self._dial())
        except BaseException:
            self._client.close()  # else half a connection stays open
            raise

    def _log_in(self, dialled: socket.socket) -> None:
        from paramiko import BadHostKeyException, SSHException

        try:
            self._authenticate(dialled)
        except BadHostKeyException as error:
            raise UsageError(self._changed(error)) from error
        except (SSHException, EOFError) as error:
            if (trouble := self._trouble(error)) is not None:
                raise _Unreachable(trouble) from error
            raise UsageError(self._refused(error)) from error
        except OSError as error:
            raise _Unreachable(error.strerror or str(error)) from error

    def _trouble(self, error: Exception) -> str | None:
        """What the network or the server did; None if the server is well, and it is the key that it does not want."""
        transport = self._client.get_transport()
        if transport is not None and transport.is_active():
            silent = not transport.initial_kex_done or str(error) == _AUTHENTICATION_TIMEOUT
            return "it accepts the connection and keeps silent" if silent else None
        if transport is not None and transport.initial_kex_done:
            return "it hung up while keys were tried; if those were too many, name the right one, --identity FILE"
        return str(error) or "it closed the connection"

    def _dial(self) -> socket.socket:
        try:
            dialled = socket.create_connection((self.endpoint.host, self.endpoint.port), _DIAL_TIMEOUT_S)
        except OSError as error:
            raise _Unreachable(error.strerror or str(error)) from error
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
        return dialled

    def _authenticate(self, dialled: socket.socket) -> None:
        where = self.endpoint
        self._client.connect(
            where.host,
            where.port,
            where.user,
            sock=dialled,
            key_filename=list(where.identities),  # type: ignore[arg-type]  # its documentation allows a list
            look_for_keys=self._search,
            timeout=_LOGIN_TIMEOUT_S,
            banner_timeout=_LOGIN_TIMEOUT_S,
            auth_timeout=_LOGIN_TIMEOUT_S,
        )
        transport = self._client.get_transport()
        assert transport is not None
        transport.set_keepalive(_KEEPALIVE_S)

    def _changed(self, error: paramiko.BadHostKeyException) -> str:
        where = self.endpoint.host if self.endpoint.port == 22 else f"[{self.endpoint.host}]:{self.endpoint.port}"
        there, known = error.key.fingerprint, error.expected_key.fingerprint
        return (
            f"{self.host.node}: the host key of {where} is {there}, and {known} is known: another machine answers; "
            f"if that is right, forget the old key by ssh-keygen -R '{where}'"
        )

    def _refused(self, error: Exception) -> str:
        return f"{self.host.node}: none of our keys lets us in as {self.endpoint} ({error}): name one, --identity FILE"

    async def close(self) -> None:
        """End the connection, and with it what waits on its channels. Safe to call twice."""
        with suppress(EnvironmentFailure):  # whatever hangs there, it is nobody's business any more
            await self._in_thread("close", self._client.close, _DEADLINE_S)

    # -- commands ------------------------------------------------------------------------------------------------------

    async def gain_root(self) -> None:
        """See that commands can be run as root. Raises `UsageError` if the user is not, and sudo wants a password."""
        if await self.run("id", "-u") == "0":
            return
        ended = await self._execute(("sudo", "-n", "true"), _DEADLINE_S)
        if ended.status != 0:
            raise UsageError(
                f"{self.host.node}: {self.endpoint.user} is not root on {self.endpoint.host}, "
                f"and `sudo -n true` fails there ({ended.last_line()}): allow it without a password, or log in as root"
            )
        self._as_root = ("sudo", "-n")

    async def server_port(self) -> int:
        """Where our connection arrives at the machine: not where we began it, if somebody forwards that there."""
        said = (await self.run("sh", "-c", 'echo "$SSH_CONNECTION"')).split()
        return int(said[3]) if len(said) == 4 else self.endpoint.port

    async def run(
        self, *command: str, deadline_s: float = _DEADLINE_S, stdin: bytes = b"", as_root: bool = False
    ) -> str:
        """What the command wrote to its standard output. `as_root` needs `gain_root` before.

        What it wrote to the other stream is no answer: sudo complains there of this and that, and works. Raises
        `EnvironmentFailure`, with its last line, if it fails or misses the deadline. After that it does not run on; its
        children do not either, if they stay in its process group.
        """
        whole = (*(self._as_root if as_root else ()), "timeout", "-s", "KILL", _limit(deadline_s), *command)
        ended = await self._execute(whole, deadline_s, stdin)
        if ended.status != 0:
            raise self._failure(f"{command[0]} failed ({_meaning(ended.status)}): {ended.last_line()}")
        return ended.output.decode(errors="replace").strip()

    async def _execute(self, command: Sequence[str], deadline_s: float, stdin: bytes = b"") -> _Ended:
        def execute() -> _Ended:
            with closing(self._session(command)) as channel:
                channel.settimeout(deadline_s + _GRACE_S)
                return _exchange(channel, stdin)

        return await self._in_thread(shlex.join(command), execute, deadline_s)

    async def open_channel(self, *command: str, as_root: bool = False) -> SshChannel:
        """Start the command, and return the way to it. It gets no signal when the channel is closed, only the end."""
        whole = (*(self._as_root if as_root else ()), *command)
        return await self._in_thread(shlex.join(whole), lambda: SshChannel(self._session(whole)), _DEADLINE_S)

    def _session(self, command: Sequence[str]) -> paramiko.Channel:
        channel = self._transport().open_session(timeout=_DEADLINE_S)
        channel.exec_command(shlex.join(command))
        return channel

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise ConnectionResetError("the connection is lost")
        return transport

    # -- files ---------------------------------------------------------------------------------------------------------

    async def upload(self, files: Mapping[str, bytes], directory: str) -> None:
        """Write the files (path below `directory` -> content); directories are made."""
        folders = sorted({str(folder) for path in files for folder in PurePosixPath(path).parents})

        def write(sftp: paramiko.SFTPClient) -> None:
            for folder in folders:
                _make_directory(sftp, f"{directory}/{folder}")
            for path, content in files.items():
                with sftp.open(f"{directory}/{path}", "wb") as file:
                    file.write(content)  # not pipelined: then paramiko drops what the server says of the last writes

        await self._with_sftp(f"write to {directory}", write)

    async def _with_sftp(self, what: str, work: Callable[[paramiko.SFTPClient], T]) -> T:
        def transfer() -> T:
            from paramiko import SFTPClient

            sftp = SFTPClient.from_transport(self._transport())
            assert sftp is not None
            with closing(sftp):
                channel = sftp.get_channel()
                assert channel is not None
                channel.settimeout(_FILES_DEADLINE_S)
                return work(sftp)

        return await self._in_thread(what, transfer, _FILES_DEADLINE_S)

    # -- threads and exceptions ----------------------------------------------------------------------------------------

    async def _in_thread(self, what: str, work: Callable[[], T], deadline_s: float) -> T:
        from paramiko import SSHException

        try:
            return await in_thread("ssh", work, deadline_s)
        except TimeoutError as error:
            raise self._failure(f"{what}: no end within {deadline_s:g} s") from error
        except (SSHException, OSError, EOFError) as error:
            raise self._failure(f"{what}: {error or type(error).__name__}") from error

    def _failure(self, what: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"{self.host.node}: {what}")


def _exchange(channel: paramiko.Channel, stdin: bytes) -> _Ended:
    """How the command ended. Input is sent meanwhile: it may answer before it has read all of it."""

    def feed() -> None:
        with suppress(OSError, EOFError):  # it has ended, and did not want the rest
            channel.sendall(stdin)
            channel.shutdown_write()

    feeding = threading.Thread(target=feed, name="ssh", daemon=True)
    feeding.start()
    output = b"".join(iter(lambda: channel.recv(_CHUNK_BYTES), b""))
    if not channel.eof_received:
        raise ConnectionResetError("the connection was lost")
    return _Ended(channel.recv_exit_status(), output, _complaints(channel))


def _complaints(channel: paramiko.Channel) -> bytes:
    """What came on standard error before the end. paramiko keeps up to two megabytes until somebody asks."""
    return b"".join(iter(lambda: channel.recv_stderr(_CHUNK_BYTES), b""))


def _make_directory(sftp: paramiko.SFTPClient, path: str) -> None:
    try:
        sftp.mkdir(path)
    except OSError:
        sftp.stat(path)  # it was there; if it was not, this says why


def _limit(deadline_s: float) -> str:
    """When the machine itself ends a command that nobody waits for any more."""
    return str(math.ceil(deadline_s) + _GRACE_S)


def _meaning(status: int) -> str:
    return f"exit status {status}" if status >= 0 else "ended by a signal"
