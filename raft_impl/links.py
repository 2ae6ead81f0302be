"""Connections: those dialled to peers, and those that peers and clients dialled to us.

Requests travel on the connection that their sender dialled, and answers come back on the same one. So whoever has sent
something and hears nothing for about two heartbeats knows that this connection is of no use, and dials anew: an old TCP
connection takes seconds to recover from a cut, a new one works at once. What is lost on the way, Raft sends again.
"""

import asyncio
import socket
from typing import Protocol, cast

from raft_impl import codec
from raft_impl.types import Hello, Message, Reply, Request, StatusRequest

PEER_BUFFER_BYTES = 8 * 1024 * 1024
CLIENT_BUFFER_BYTES = 64 * 1024 * 1024

Address = tuple[str, int]


class Receiver(Protocol):
    """Who is told of what comes in."""

    def on_message(self, source: str, message: Message) -> None: ...

    def on_request(self, token: int, request: Request) -> None: ...

    def on_status(self, connection: "Incoming", request: StatusRequest) -> None: ...

    def on_connected(self, connection: "Incoming") -> int: ...

    def on_hello(self, connection: "Incoming", hello: Hello) -> bool: ...

    def on_closed(self, connection: "Incoming") -> None: ...

    def on_event(self, name: str, **fields: object) -> None: ...


def _tune(transport: asyncio.Transport) -> None:
    """Send small frames at once, and notice in the end when the other machine is gone."""
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Incoming(asyncio.Protocol):
    """A connection that somebody dialled to us: a client, or, once it has said hello, a peer."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._reader = codec.FrameReader()
        self._transport: asyncio.Transport | None = None
        self.peer: str | None = None
        self.token = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _tune(self._transport)
        self.token = self._receiver.on_connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._receiver.on_closed(self)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._reader.feed(data):
                self._take(body)
        except codec.FrameError as error:
            self._receiver.on_event("bad_frame", peer=self.peer, error=str(error))
            if self.peer is None:
                self.write(codec.frame(Reply(0, False, error="bad_request", definite=True, message=str(error))))
            self.close()

    def _take(self, body: bytes) -> None:
        if self.peer is not None:
            self._receiver.on_message(self.peer, codec.decode_message(body))
            return
        incoming = codec.decode_incoming(body)
        if isinstance(incoming, Request):
            self._receiver.on_request(self.token, incoming)
        elif isinstance(incoming, StatusRequest):
            self._receiver.on_status(self, incoming)
        elif self._receiver.on_hello(self, incoming):
            self.peer = incoming.node
        else:
            raise codec.FrameError(f"a stranger says hello: {incoming.node}")

    def write(self, data: bytes) -> bool:
        """Send frames; return False if the connection is gone. One that does not read what it asked for is dropped."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > CLIENT_BUFFER_BYTES:
            self._transport.abort()
            return False
        self._transport.write(data)
        return True

    def close(self) -> None:
        """Close after what was written has left."""
        if self._transport is not None:
            self._transport.close()


class _Dialled(asyncio.Protocol):
    """One connection of a `PeerLink`."""

    def __init__(self, link: "PeerLink") -> None:
        self._link = link
        self._reader = codec.FrameReader()
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.awaiting = False  # something was sent, and nothing has come since
        self.checks = 0  # how often that was found to be so

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        _tune(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if not self.lost.done():  # else nobody waits any more: the link is being closed
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.awaiting = False
        try:
            for body in self._reader.feed(data):
                self._link.received(codec.decode_message(body))
        except codec.FrameError as error:
            self._link.receiver.on_event("bad_frame", peer=self._link.peer, error=str(error))
            self.abort()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class PeerLink:
    """The way to one peer: at most one connection, dialled again for ever. All times in seconds."""

    def __init__(
        self,
        receiver: Receiver,
        node: str,
        peer: str,
        address: Address,
        local_host: str | None,
        heartbeat_s: float,
        tick_s: float,
    ) -> None:
        self.receiver = receiver
        self.peer = peer
        self._hello = codec.frame(Hello(node))
        self._address = address
        self._local = None if local_host is None else (local_host, 0)
        self._pause_s = heartbeat_s
        self._patience = round(2.5 * heartbeat_s / tick_s)
        self._dial_timeout_s = 4 * heartbeat_s
        self._connection: _Dialled | None = None
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._keep_dialling())

    def received(self, message: Message) -> None:
        """Pass on what the peer answered."""
        self.receiver.on_message(self.peer, message)

    def write(self, data: bytes) -> None:
        """Send frames, or drop them when there is no connection or it is congested: Raft sends again."""
        connection = self._connection
        if connection is None or connection.transport is None or connection.transport.is_closing():
            return
        if connection.transport.get_write_buffer_size() > PEER_BUFFER_BYTES:
            return
        connection.transport.write(data)
        if not connection.awaiting:
            connection.awaiting = True
            connection.checks = 0

    def check_silence(self) -> None:
        """Give the connection up if it was asked and has not answered for too long. Called once a tick.

        Counts calls rather than time: when this process itself was held up, an answer may be waiting to be read.
        """
        connection = self._connection
        if connection is None or not connection.awaiting:
            return
        connection.checks += 1
        if connection.checks > self._patience:
            connection.abort()

    async def close(self) -> None:
        """Stop dialling and drop the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.abort()

    async def _keep_dialling(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._dial_timeout_s):  # unlike wait_for, it never swallows a cancellation
                    connection = await self._dial()
            except (OSError, TimeoutError):
                await asyncio.sleep(self._pause_s)
                continue
            self._connection = connection
            self.receiver.on_event("link_up", peer=self.peer)
            await connection.lost
            self._connection = None
            self.receiver.on_event("link_down", peer=self.peer)
            await asyncio.sleep(self._pause_s)

    async def _dial(self) -> _Dialled:
        host, port = self._address
        _, connection = await self._loop.create_connection(lambda: _Dialled(self), host, port, local_addr=self._local)
        if connection.transport is not None:
            connection.transport.write(self._hello)
        return connection
