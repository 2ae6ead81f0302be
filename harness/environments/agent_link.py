"""The line to one node's agent: questions and answers, with deadlines, over whatever channel an environment has.

Lives here: matching answers to questions, threads, deadlines, and coming back after the channel was lost. Must not live
here: what is asked, or how a channel is made.

Channels block (pipes, the SDK's sockets, paramiko's channels), so each has a thread that reads and one that writes.
Both are daemons: a channel that hangs must not keep the harness from exiting.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Protocol, TypeVar

import msgspec

from harness.environments.base import Node
from harness.errors import EnvironmentFailure

V = TypeVar("V")

_DEADLINE_S = 15.0
_FIRST_PAUSE_S = 0.5
_TRYING_S = 20.0
"""How long an agent is looked for before it counts as lost: no try begins later, though one may last longer."""

_RESPITE_S = 30.0
"""How long one that was lost is not tried again, and then only once: each try may hang, and everybody waits."""


class Channel(Protocol):
    """Bytes to and from an agent. The methods block, and raise OSError when the channel is lost."""

    def send(self, data: bytes) -> None:
        """Send all of it."""

    def receive(self) -> bytes:
        """Some bytes; none at the end."""

    def close(self) -> None:
        """Close it, which ends a `receive` that waits in another thread. Safe to call twice."""


Connect = Callable[[], Awaitable[Channel]]


class _Reply(msgspec.Struct):
    id: int
    ok: object = None
    error: str | None = None


class AgentLink:
    """Asks one node's agent. A channel that is lost is made anew when the next question is asked."""

    def __init__(self, node: Node, connect: Connect, attempts: int) -> None:
        self._node = node
        self._connect = connect
        self._attempts = attempts
        self._lost_until_s = 0.0
        self._loss = ""
        self._wire: _Wire | None = None
        self._lock = asyncio.Lock()

    async def ask(self, verb: str, arguments: dict[str, object], deadline_s: float = _DEADLINE_S) -> object:
        """The agent's answer. Raises `EnvironmentFailure` if it refuses, gives none in time, or cannot be reached.

        A question whose answer was lost with the channel is asked again: every verb of an agent may be repeated.
        """
        began_s = time.monotonic()
        if began_s < self._lost_until_s:
            raise EnvironmentFailure(self._loss)
        attempts = 1 if self._loss else self._attempts
        for attempt in range(attempts):
            wire = None
            try:
                wire = await self._connected()
                reply = await wire.ask(verb, arguments, deadline_s)
            except TimeoutError as error:
                self._give_up(wire)  # whatever hangs there, the next question gets a new agent
                raise EnvironmentFailure(f"{self._node}: {verb}: no answer within {deadline_s:.0f} s") from error
            except (OSError, EnvironmentFailure) as lost:
                self._give_up(wire)
                if attempt == attempts - 1 or time.monotonic() - began_s >= _TRYING_S:
                    raise self._counted_as_lost(lost) from lost
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
                continue
            self._loss = ""
            if reply.error is not None:
                raise EnvironmentFailure(f"{self._node}: {verb}: {reply.error}")
            return reply.ok
        raise AssertionError("unreachable")

    def _counted_as_lost(self, lost: Exception) -> EnvironmentFailure:
        """What is said from now on, until the respite is over."""
        self._loss = f"{self._node}: its agent cannot be reached: {lost}"
        self._lost_until_s = time.monotonic() + _RESPITE_S
        return EnvironmentFailure(self._loss)

    async def _connected(self) -> _Wire:
        async with self._lock:
            if self._wire is None or self._wire.lost:
                self._wire = _Wire(await self._connect(), asyncio.get_running_loop())
            return self._wire

    def _give_up(self, wire: _Wire | None) -> None:
        """Close that one; another question may have been given a new one meanwhile."""
        if wire is not None:
            wire.close()
            self._wire = None if self._wire is wire else self._wire

    def close(self) -> None:
        """Give the channel up; the agent ends with it."""
        self._give_up(self._wire)


class _Wire:
    """One channel, its two threads, and the questions that are open on it."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self.lost = False
        self._channel = channel
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[_Reply]] = {}
        self._next_id = 0
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        for work in (self._read, self._write):
            threading.Thread(target=work, name="agent", daemon=True).start()

    async def ask(self, verb: str, arguments: dict[str, object], deadline_s: float) -> _Reply:
        """The reply. Raises OSError when the channel is lost, TimeoutError."""
        if self.lost:
            raise ConnectionResetError("the channel was lost")
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[_Reply] = self._loop.create_future()
        self._waiting[number] = future
        self._outgoing.put(msgspec.json.encode({**arguments, "id": number, "verb": verb}) + b"\n")
        try:
            async with asyncio.timeout(deadline_s):
                reply = await future
        finally:
            self._waiting.pop(number, None)
        return reply

    def close(self) -> None:
        self._outgoing.put(None)
        self._channel.close()

    def _write(self) -> None:
        try:
            while (data := self._outgoing.get()) is not None:
                self._channel.send(data)
        except OSError as error:
            self._tell(self._fail, error)

    def _read(self) -> None:
        pending, decode = b"", msgspec.json.Decoder(_Reply).decode
        try:
            while data := self._channel.receive():
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._tell(self._settle, decode(line))
        except (OSError, msgspec.MsgspecError) as error:
            self._tell(self._fail, OSError(str(error)))
            return
        self._tell(self._fail, ConnectionResetError(pending.decode(errors="replace").strip() or "the agent has ended"))

    def _tell(self, what: Callable[[V], None], value: V) -> None:
        try:
            self._loop.call_soon_threadsafe(what, value)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            self.lost = True

    def _settle(self, reply: _Reply) -> None:
        future = self._waiting.pop(reply.id, None)
        if future is not None and not future.done():
            future.set_result(reply)

    def _fail(self, error: OSError) -> None:
        self.lost = True
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)
