"""A node as a server: the only place with sockets, clocks and a thread.

One event loop feeds the node and does what it says. The disk's syncs run in one thread beside it, so that the node
goes on taking in requests while a sync is under way; that is where batches come from. Every duration that Raft knows
is counted in ticks of the node's own clock, which may be set wrong on purpose; the loop's timer only decides when to
look at that clock.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from raft_impl import codec
from raft_impl.clock import NodeClock, Ticker
from raft_impl.clockfile import ClockFile
from raft_impl.disk import Disk
from raft_impl.jsonlog import JsonLog
from raft_impl.links import Address, Incoming, PeerLink
from raft_impl.node import Effects, Node
from raft_impl.tracefile import TraceFile
from raft_impl.types import AppendReply, HeartbeatReply, Hello, Message, PreVoteReply, Request, StatusRequest, VoteReply


class DiskFailedError(Exception):
    """A write or a sync has failed: nobody knows what is durable now, and trying again would not tell."""


_ANSWERS = (AppendReply, HeartbeatReply, PreVoteReply, VoteReply)


class HostConfig(msgspec.Struct, frozen=True):
    """Where a server listens, whom it knows, and how long a tick and a heartbeat are."""

    listen: Address
    peers: dict[str, Address]
    tick_ms: int = 10
    heartbeat_ms: int = 50


class Host:
    """Runs one node until `stop` or until its disk fails."""

    def __init__(
        self,
        config: HostConfig,
        node: Node,
        log: JsonLog,
        true_now_ns: Callable[[], int],
        trace: TraceFile | None = None,
        clock_file: Path | None = None,
    ) -> None:
        self._config = config
        self._node = node
        self._log = log
        self._trace = trace
        self._true_now_ns = true_now_ns
        self._clock = NodeClock()
        self._clock_file = ClockFile(clock_file, self._clock) if clock_file is not None else None
        self._ticker = Ticker(config.tick_ms * 1_000_000, node.config.election_ticks)
        self._connections: dict[int, Incoming] = {}
        self._inbound: dict[str, Incoming] = {}
        self._links: dict[str, PeerLink] = {}
        self._next_token = 0
        self._scheduled = False
        self._seen: tuple[str, int, str | None] = ("follower", 0, None)
        self._finished: asyncio.Future[None] | None = None
        self.port = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises OSError when it cannot listen, DiskFailedError when its disk fails."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_exception)
        host, port = self._config.listen
        server = await loop.create_server(lambda: Incoming(self), host, port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._finished = loop.create_future()
        self._disk = Disk(loop, self._on_synced)
        self._log.event("listening", host=host, port=self.port, boot=self._node.boot, pid=os.getpid())
        self._dial_peers()
        ticking = loop.create_task(self._keep_ticking())
        stopping = loop.create_task(stop.wait())
        try:
            ends: list[asyncio.Future[Any]] = [self._finished, ticking, stopping]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                if end.done():
                    end.result()
        finally:
            ticking.cancel()
            stopping.cancel()
            await self._close(server)

    def _dial_peers(self) -> None:
        listen_host = self._config.listen[0]
        local_host = None if listen_host in ("", "0.0.0.0", "::") else listen_host
        node = self._node.config.node
        heartbeat_s = self._config.heartbeat_ms / 1000
        tick_s = self._config.tick_ms / 1000
        for peer, address in self._config.peers.items():
            self._links[peer] = PeerLink(self, node, peer, address, local_host, heartbeat_s, tick_s)

    async def _close(self, server: asyncio.Server) -> None:
        self._log.event("stopping")
        server.close()
        if self._finished is not None and not self._finished.done():
            self._node.stop()
            self._pump()
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)  # a sync that ends from here on is of no interest
        for connection in list(self._connections.values()):
            connection.close()
        for link in self._links.values():
            await link.close()
        self._disk.close()
        self._node.close()

    # Time

    async def _keep_ticking(self) -> None:
        while True:
            self._tick()
            await asyncio.sleep(self._config.tick_ms / 1000)

    def _tick(self) -> None:
        now_ns = self._true_now_ns()
        if self._clock_file is not None and (change := self._clock_file.poll(now_ns)) is not None:
            self._log.event("clock", change=change)
        for _ in range(self._ticker.due(self._clock.read(now_ns))):
            self._node.tick()
        for link in self._links.values():
            link.check_silence()
        self._wake()

    # What comes in

    def on_message(self, source: str, message: Message) -> None:
        self._node.receive(source, message)
        self._wake()

    def on_request(self, token: int, request: Request) -> None:
        self._node.request(token, request)
        self._wake()

    def on_status(self, connection: Incoming, request: StatusRequest) -> None:
        clock_ns = self._clock.read(self._true_now_ns())
        connection.write(codec.frame(self._node.status(request.id, clock_ns, os.getpid())))

    def on_connected(self, connection: Incoming) -> int:
        self._next_token += 1
        self._connections[self._next_token] = connection
        return self._next_token

    def on_hello(self, connection: Incoming, hello: Hello) -> bool:
        """Return whether that is one of our peers; its new connection takes the place of an older one."""
        if hello.node not in self._config.peers:
            return False
        older = self._inbound.get(hello.node)
        if older is not None:
            older.close()
        self._inbound[hello.node] = connection
        return True

    def on_closed(self, connection: Incoming) -> None:
        self._connections.pop(connection.token, None)
        if connection.peer is not None and self._inbound.get(connection.peer) is connection:
            del self._inbound[connection.peer]

    def on_event(self, name: str, **fields: object) -> None:
        self._log.event(name, **fields)

    # What goes out

    def _wake(self) -> None:
        """Have the node polled once all that has arrived in this turn of the loop is taken in."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if self._finished is None or self._finished.done():
            return
        try:
            if (effects := self._node.poll()) is not None:
                self._perform(effects)
        except OSError as error:
            self._fail(DiskFailedError(str(error)))
        self._note_role()

    def _perform(self, effects: Effects) -> None:
        if self._trace is not None:
            self._trace.flush()
        if effects.messages:
            self._send(effects)
        if effects.replies:
            self._reply(effects)
        if effects.sync:
            self._disk.run(self._node.sync_target())

    def _send(self, effects: Effects) -> None:
        requests: dict[str, list[bytes]] = {}
        for peer, message in effects.messages:
            data = codec.frame(message)
            inbound = self._inbound.get(peer) if isinstance(message, _ANSWERS) else None
            if inbound is None or not inbound.write(data):
                requests.setdefault(peer, []).append(data)
        for peer, frames in requests.items():
            self._links[peer].write(b"".join(frames))

    def _reply(self, effects: Effects) -> None:
        frames: dict[int, list[bytes]] = {}
        for token, reply in effects.replies:
            frames.setdefault(token, []).append(codec.frame(reply))
        for token, parts in frames.items():
            connection = self._connections.get(token)
            if connection is not None:
                connection.write(b"".join(parts))

    def _on_synced(self, error: OSError | None) -> None:
        if self._finished is None or self._finished.done():
            return
        if error is not None:
            self._fail(DiskFailedError(str(error)))
            return
        self._node.synced()
        self._pump()

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Stop on a bug rather than go on with half a step taken; trouble of the network is only logged."""
        error = context.get("exception")
        if error is None or isinstance(error, OSError):
            self._log.event("network", message=context["message"], error=str(error))
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._finished is not None and not self._finished.done():
            self._log.event("failed", error=str(error))
            self._finished.set_exception(error)

    def _note_role(self) -> None:
        core = self._node.core
        seen = (core.role, core.term, core.leader)
        if seen != self._seen:
            self._seen = seen
            self._log.event("role", role=core.role, term=core.term, leader=core.leader)
