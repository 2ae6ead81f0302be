"""Environments on real time: asyncio as the runtime, TCP as the way to a node.

Lives here: what the environments with real nodes share (tasks, timers, signals, framed connections). Must not live
here: how a node is started or broken.
"""

from __future__ import annotations

import asyncio
import signal
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from harness.environments.base import CallFailed, ConnectFailed, Connection, Environment, Future, Node
from harness.errors import LEFT, Interrupted

T = TypeVar("T")
_LENGTH = struct.Struct(">I")
_MAX_FRAME_BYTES = 64 << 20
_PATIENCE_S = 4.0
"""How long a teardown may go on after a second Ctrl-C. Together with a look at what is left that is five seconds."""


class RealTimeEnvironment(Environment):
    """The runtime half of an environment whose nodes are real processes. Subclasses add the cluster half."""

    def __init__(self, nodes: tuple[Node, ...], say: Callable[[str], None]) -> None:
        super().__init__(nodes, say)
        self._origin_ns = time.monotonic_ns()
        self._tasks: set[asyncio.Task[None]] = set()
        self._main: asyncio.Task[Any] | None = None
        self._escaped: BaseException | None = None
        self._ending = False
        self._over = False

    def address(self, node: Node) -> tuple[str, int]:
        """Where the harness reaches the node: (host, port)."""
        raise LookupError(f"{self.name} has no address for {node}")

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """See `Environment.run`. Raises `Interrupted` if a second Ctrl-C ended the teardown before its time.

        The event loop is then left as it is: closing it would wait for what hangs.
        """
        runner = asyncio.Runner()
        abandoned = False
        try:
            return runner.run(self._supervise(main))
        except Interrupted:
            abandoned = True
            raise
        finally:
            if not abandoned:
                runner.close()

    async def _supervise(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `main`; a signal, or an exception that escapes a spawned task, cancels it first.

        Once its teardown has begun it is not cancelled any more, but after a second Ctrl-C it has only so much time.
        """
        loop = asyncio.get_running_loop()
        self._ending = self._over = False
        self._main = task = loop.create_task(main())
        interrupted: list[signal.Signals] = []
        impatient = asyncio.Event()
        waiting = loop.create_task(impatient.wait())

        def interrupt(number: signal.Signals) -> None:
            if interrupted and number is signal.SIGINT:  # whoever stops a whole service may send SIGTERM twice
                loop.call_later(_PATIENCE_S, impatient.set)
            interrupted.append(number)
            self._end_main()

        before = _handlers()
        for number in before:
            loop.add_signal_handler(number, interrupt, number)
        try:
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Interrupted(f"the teardown was cut short: {await self._left()}")
            result = await task
            if interrupted:  # during the teardown
                raise KeyboardInterrupt(interrupted[0].name)
            return result
        except asyncio.CancelledError:
            self._end_main()
            await asyncio.wait([task])
            if self._escaped is not None:
                raise self._escaped from None
            if interrupted:
                raise KeyboardInterrupt(interrupted[0].name) from None
            raise
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)
            waiting.cancel()
            if task.done():
                await self._cancel_tasks()

    async def _left(self) -> str:
        """What a teardown that was cut short has left, and what to do about it. Takes no longer than a second."""
        return LEFT

    async def _settle(self) -> None:
        """Begin the teardown: no signal cuts it short, and nothing that was spawned works against it."""
        self._ending = True
        await self._cancel_tasks()

    async def _cancel_tasks(self) -> None:
        self._over = True  # or timers that ring meanwhile would begin tasks that nobody cancels
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def now_ns(self) -> int:
        return time.monotonic_ns() - self._origin_ns

    def call_at(self, time_ns: int, callback: Callable[[], None]) -> None:
        delay_s = max(0, time_ns - self.now_ns()) / 1e9
        asyncio.get_running_loop().call_later(delay_s, self._guarded, callback)

    def _guarded(self, callback: Callable[[], None]) -> None:
        """Call it; asyncio would only log what escapes a timer, and the run would wait for ever."""
        if self._over:
            return
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - handed to `run`, which raises it
            self._escape(error)

    def spawn(self, task: Coroutine[Any, Any, None]) -> None:
        spawned = asyncio.get_running_loop().create_task(task)
        self._tasks.add(spawned)
        spawned.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._escape(error)

    def _escape(self, error: BaseException) -> None:
        """End `run` with this exception; the first one counts, and none that comes of being cancelled in the end."""
        if self._escaped is None and not self._over:
            self._escaped = error
        self._end_main()

    def _end_main(self) -> None:
        """Cancel `main`, once: a second Ctrl-C, or task that breaks, must not cut short the teardown that began."""
        if self._main is not None and not self._ending:
            self._ending = True
            self._main.cancel()

    def future(self) -> Future[Any]:
        return asyncio.get_running_loop().create_future()

    def sleep(self, seconds: float) -> Awaitable[None]:
        return asyncio.sleep(seconds)

    async def connect(self, node: Node, timeout_s: float) -> Connection:
        host, port = self.address(node)
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            raise ConnectFailed(f"{node} at {host}:{port}: {error or 'timed out'}") from error
        return FramedConnection(node, reader, writer)


class FramedConnection:
    """Length-prefixed frames over TCP (four bytes, big endian). Closed by a failed call: answers would not match."""

    def __init__(self, node: Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._node = node
        self._reader = reader
        self._writer = writer

    async def call(self, frame: bytes, timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                self._writer.write(_LENGTH.pack(len(frame)) + frame)
                await self._writer.drain()
                return await self._read_frame()
        except (OSError, TimeoutError, EOFError) as error:
            self.close()
            raise CallFailed(f"{self._node}: {_reason(error)}") from error

    async def _read_frame(self) -> bytes:
        (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        if length > _MAX_FRAME_BYTES:
            raise OSError(f"a frame of {length} bytes")
        return await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def _handlers() -> dict[signal.Signals, Any]:
    """The signals that end a run, and what handles them so far. What nohup ignores stays ignored."""
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if found[signal.SIGHUP] is signal.SIG_IGN:
        del found[signal.SIGHUP]
    return found


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, EOFError):
        return "connection closed"
    return str(error)
