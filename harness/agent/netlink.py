"""The few netlink messages that own a packet queue of the kernel: bind it, receive packets, give verdicts.

Lives here: bytes, and the one socket that carries them. Must not live here: what a verdict depends on, or when it is
given.

Every message is built as `<linux/netlink.h>`, `nfnetlink.h` and `nfnetlink_queue.h` of `<linux/netfilter/>` say:

    struct nlmsghdr    length, type, flags, sequence, port                  in the machine's byte order
    struct nfgenmsg    family, version, resource id = number of the queue   the id in the network's byte order
    struct nlattr      length, type; then the value, padded to 4 bytes      all values in the network's byte order

NET_ADMIN in the user namespace that owns the network namespace is enough. When the owner's socket closes, however it
dies, the kernel drops what is queued, and rules with `--queue-bypass` let later packets through.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_NO_ENOBUFS = 5
_SO_RCVBUFFORCE = 33

_NLMSG_ERROR = 0x2
_NLM_F_REQUEST = 0x1
_NLM_F_ACK = 0x4
_NFNL_SUBSYS_QUEUE = 3 << 8
_NFQNL_MSG_PACKET = _NFNL_SUBSYS_QUEUE | 0
_NFQNL_MSG_VERDICT = _NFNL_SUBSYS_QUEUE | 1
_NFQNL_MSG_CONFIG = _NFNL_SUBSYS_QUEUE | 2

_NFQA_CFG_CMD = 1
_NFQA_CFG_PARAMS = 2
_NFQA_CFG_QUEUE_MAXLEN = 3
_NFQA_CFG_MASK = 4
_NFQA_CFG_FLAGS = 5
_NFQNL_CFG_CMD_BIND = 1
_NFQNL_COPY_PACKET = 2
_NFQA_CFG_F_FAIL_OPEN = 0x1

_NFQA_PACKET_HDR = 1
_NFQA_VERDICT_HDR = 2
_NFQA_MARK = 3
_NFQA_PAYLOAD = 10
_NFQA_CAP_LEN = 13

DROP = 0
"""NF_DROP: the packet is gone."""
ACCEPT = 1
"""NF_ACCEPT: it goes on behind the whole table; the rules that follow the queue's do not see it."""
REPEAT = 4
"""NF_REPEAT: it meets the table's chain again from its first rule, with the mark that the verdict gave it."""

_NLMSGHDR = struct.Struct("=IHHII")
_NFGENMSG = struct.Struct("!BBH")
_NLATTR = struct.Struct("=HH")
_U32 = struct.Struct("!I")
_NLMSGERR = struct.Struct("=i")  # its beginning: the error, negated; 0 acknowledges
_CFG_CMD = struct.Struct("!BxH")  # struct nfqnl_msg_config_cmd: command, protocol family (ignored since Linux 3.8)
_CFG_PARAMS = struct.Struct("!IB")  # struct nfqnl_msg_config_params: bytes to copy, mode
_VERDICT_HDR = struct.Struct("!II")  # struct nfqnl_msg_verdict_hdr: verdict, packet id
_ATTRIBUTES_AT = _NLMSGHDR.size + _NFGENMSG.size

_COPIED_BYTES = 1  # Nobody reads the payload; what was left off is why the kernel tells the length.
_RECEIVE_BUFFER_BYTES = 16 << 20
_DATAGRAM_BYTES = 8192
_ANSWER_TIMEOUT_S = 5.0


class Packet(NamedTuple):
    """A packet that waits in the kernel for its verdict."""

    id: int
    size: int
    """Bytes, from the IP header on."""
    mark: int


class Verdict(NamedTuple):
    """What becomes of a packet: DROP, ACCEPT or REPEAT, and the firewall mark that it has from now on."""

    id: int
    verdict: int
    mark: int


class QueueSocket:
    """Owner of queue `number` of this network namespace, for as long as it is open.

    Never blocks. When more packets come than are read, the kernel lets the rest pass as if there were no queue; gaps
    in the ids show how many. Raises OSError with the kernel's reason, EPERM or EBUSY where another process owns the
    queue.
    """

    def __init__(self, number: int, max_length: int) -> None:
        self.number = number
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        try:
            self._enlarge()
            # A full buffer is no error of the reader's: those packets have passed, and their ids are missing.
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)
            self._configure(configuration(number, max_length))
        except OSError:
            self._socket.close()
            raise

    def _enlarge(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        except PermissionError:  # root of a private user namespace only; then net.core.rmem_max bounds it
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)

    def _configure(self, message: bytes) -> None:
        """Send it and wait for the kernel's word. No packet can come before it: nothing is bound."""
        self._socket.settimeout(_ANSWER_TIMEOUT_S)
        self._socket.sendto(message, (0, 0))
        code = error_code(self._socket.recv(_DATAGRAM_BYTES))
        if code:
            raise OSError(code, f"packet queue {self.number}: {os.strerror(code)}")
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, limit: int) -> Iterator[Packet]:
        """The packets that wait to be read, at most `limit` of them."""
        for _ in range(limit):
            try:
                datagram = self._socket.recv(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            if (packet := parse_packet(datagram)) is not None:
                yield packet

    def give(self, verdicts: Iterable[Verdict]) -> None:
        """Decide these packets, in this order, by one system call."""
        self._socket.sendto(b"".join([verdict_message(self.number, verdict) for verdict in verdicts]), (0, 0))

    def close(self) -> None:
        """Give the queue up; the kernel drops what is in it."""
        self._socket.close()


def configuration(number: int, max_length: int) -> bytes:
    """The message that binds the queue and sets all that we want of it, or nothing.

    Large segments (GSO) are cut by the kernel before they are queued, since we do not ask for them: a packet is what
    would be on the wire.
    """
    return _message(
        _NFQNL_MSG_CONFIG,
        _NLM_F_REQUEST | _NLM_F_ACK,
        number,
        _attribute(_NFQA_CFG_CMD, _CFG_CMD.pack(_NFQNL_CFG_CMD_BIND, socket.AF_INET)),
        _attribute(_NFQA_CFG_PARAMS, _CFG_PARAMS.pack(_COPIED_BYTES, _NFQNL_COPY_PACKET)),
        _attribute(_NFQA_CFG_QUEUE_MAXLEN, _U32.pack(max_length)),
        _attribute(_NFQA_CFG_MASK, _U32.pack(_NFQA_CFG_F_FAIL_OPEN)),
        _attribute(_NFQA_CFG_FLAGS, _U32.pack(_NFQA_CFG_F_FAIL_OPEN)),
    )


def verdict_message(number: int, verdict: Verdict) -> bytes:
    """The message that decides one packet of the queue."""
    return _message(
        _NFQNL_MSG_VERDICT,
        _NLM_F_REQUEST,
        number,
        _attribute(_NFQA_VERDICT_HDR, _VERDICT_HDR.pack(verdict.verdict, verdict.id)),
        _attribute(_NFQA_MARK, _U32.pack(verdict.mark)),
    )


def parse_packet(datagram: bytes) -> Packet | None:
    """The packet that the kernel's message announces; None if it is another message.

    The other one that comes is ENOENT for a verdict: the kernel has dropped the packet already, with its device.
    """
    _, kind, *_ = _NLMSGHDR.unpack_from(datagram)
    if kind != _NFQNL_MSG_PACKET:
        return None
    identity, size, mark = 0, 0, 0
    for attribute, start, end in _attributes(datagram):
        if attribute == _NFQA_PACKET_HDR:  # struct nfqnl_msg_packet_hdr: id, then protocol and hook, which we know
            (identity,) = _U32.unpack_from(datagram, start)
        elif attribute == _NFQA_MARK:
            (mark,) = _U32.unpack_from(datagram, start)
        elif attribute == _NFQA_CAP_LEN:
            size = max(size, *_U32.unpack_from(datagram, start))
        elif attribute == _NFQA_PAYLOAD:  # all of the packet, unless its length is told too
            size = max(size, end - start)
    return Packet(identity, size, mark)


def error_code(datagram: bytes) -> int:
    """The errno in the kernel's answer, 0 if it acknowledges; ENOMSG for what is no answer."""
    _, kind, *_ = _NLMSGHDR.unpack_from(datagram)
    if kind != _NLMSG_ERROR:
        return errno.ENOMSG
    return -int(_NLMSGERR.unpack_from(datagram, _NLMSGHDR.size)[0])


def _message(kind: int, flags: int, number: int, *attributes: bytes) -> bytes:
    body = _NFGENMSG.pack(socket.AF_UNSPEC, 0, number) + b"".join(attributes)
    return _NLMSGHDR.pack(_NLMSGHDR.size + len(body), kind, flags, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    length = _NLATTR.size + len(value)
    return _NLATTR.pack(length, kind) + value + bytes(-length % 4)


def _attributes(datagram: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, and where the value begins and ends, of each attribute."""
    at = _ATTRIBUTES_AT
    while at + _NLATTR.size <= len(datagram):
        length, kind = _NLATTR.unpack_from(datagram, at)
        if length < _NLATTR.size:
            return
        yield kind, at + _NLATTR.size, at + length
        at += length + -length % 4
