"""A private user, network and process namespace, entered by running a command again inside it.

Lives here: `reexecute` (outside), the small supervisor that is process 1 (inside), and the pipe between them. Must not
live here: nodes, iptables rules, or an import from this project, since process 1 runs this file as a script.

    reexecute ── unshare ── supervisor (process 1) ── the command
        └───────── pipe ────────┘

The pipe is the lifeline. A byte in it is the number of a signal for the command; its end means that `reexecute` is
gone, however it died. Process 1 then exits, and the kernel kills whatever is left in the namespace: nothing can stay
behind. Signals go through the pipe because `unshare --fork` blocks SIGINT and SIGTERM.

No root is needed: the caller is mapped to root inside, which is enough for a loopback device and a packet filter.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

_MARK = "SPLITBRAIN_NAMESPACE"
_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc")
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PROBE_TIMEOUT_S = 5.0

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_INTERFACE_REQUEST = struct.Struct("16sh14x")  # struct ifreq of <net/if.h>, with its flags


def inside() -> bool:
    """Whether this process is in a namespace that `reexecute` made.

    The mark names the namespace itself: a variable that leaked elsewhere must not let us filter a host's packets.
    """
    return os.environ.get(_MARK) == _network_namespace()


def unavailable() -> str | None:
    """Why such a namespace cannot be had on this machine, in one line with the next step; None if it can."""
    environment = _environment()
    for program, package in (("unshare", "util-linux"), ("iptables", "iptables")):
        if shutil.which(program, path=environment["PATH"]) is None:
            return f"{program} is not installed: install the package {package}"
    probe = ["iptables", "-w", "-S"] if inside() else [*_UNSHARE, "iptables", "-w", "-S"]
    try:
        subprocess.run(probe, env=environment, check=True, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        reason = (str(error.stderr).strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        return f"no private network namespace ({reason}): allow unprivileged user namespaces, or run as root"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no private network namespace ({error}): see whether `{' '.join(_UNSHARE)} true` works"
    return None


def reexecute(argv: Sequence[str]) -> int:
    """The exit code of `argv`, run inside a new namespace; 128+n if signal n ended it. Call it from the main thread.

    SIGINT, SIGTERM and SIGHUP are passed on to the command, which alone decides how to end.
    """
    read_end, write_end = os.pipe()
    command = [*_UNSHARE, sys.executable, "-P", __file__, str(read_end), *argv]
    try:
        # A session of its own: a terminal's Ctrl-C would otherwise reach the command twice, directly and forwarded.
        with (
            _forwarding(write_end),
            subprocess.Popen(command, env=_environment(), pass_fds=[read_end], start_new_session=True) as unshare,
        ):
            os.close(read_end)
            return _shell_code(unshare.wait())
    finally:
        os.close(write_end)


def _environment() -> Mapping[str, str]:
    """Our variables, changed so that an unprivileged user finds iptables and needs no lock file of root's.

    No lock is needed at all: the tables are private to the namespace.
    """
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{path}:/usr/sbin:/sbin", "XTABLES_LOCKFILE": "/dev/null"}


@contextmanager
def _forwarding(write_end: int) -> Iterator[None]:
    """While it lasts, the forwarded signals become bytes in the pipe."""

    def forward(number: int, _frame: object) -> None:
        with suppress(BrokenPipeError):  # the command has just ended
            os.write(write_end, bytes([number]))

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # by nohup, and so it stays for the command
    forwarded = [number for number in _FORWARDED if number is not signal.SIGHUP or not ignored]
    previous = {number: signal.signal(number, forward) for number in forwarded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _shell_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _network_namespace() -> str:
    return os.readlink("/proc/self/ns/net")


# -- inside: process 1 -------------------------------------------------------------------------------------------------


def _supervise(lifeline: int, argv: Sequence[str]) -> int:
    """The exit code of `argv`. Being process 1, this also reaps every process that lost its parent."""
    _raise_loopback()
    with subprocess.Popen(argv, env={**os.environ, _MARK: _network_namespace()}) as command:
        threading.Thread(target=_obey, args=(lifeline, command.pid), daemon=True).start()
        while True:
            pid, status = os.wait()
            if pid == command.pid:
                command.returncode = os.waitstatus_to_exitcode(status)
                return _shell_code(command.returncode)


def _obey(lifeline: int, pid: int) -> None:
    """Pass each signal number in the pipe on to `pid`; at the end of the pipe end the namespace."""
    while received := os.read(lifeline, 1):
        with suppress(ProcessLookupError):  # it has just ended, and so will process 1
            os.kill(pid, received[0])
    os._exit(128 + signal.SIGKILL)


def _raise_loopback() -> None:
    """Bring `lo` up; all of 127.0.0.0/8 is then local."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = _INTERFACE_REQUEST.pack(b"lo", 0)
        _, flags = _INTERFACE_REQUEST.unpack(fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _INTERFACE_REQUEST.pack(b"lo", flags | _IFF_UP))


if __name__ == "__main__":
    sys.exit(_supervise(int(sys.argv[1]), sys.argv[2:]))
