"""A client for people: finds the leader, follows redirects, and tells what happened from what may have happened.

    async with Client({"n1": ("127.0.0.1", 7001), "n2": ("127.0.0.1", 7002)}) as client:
        await client.write("x", 1)
        value, version = await client.read("x")

With `open_session`, writes are numbered and therefore safe to send again; then an uncertain answer is resolved by
retrying until the timeout. Without a session an uncertain answer is raised as `OperationUnknownError` at once. One
operation at a time.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType

from raft_impl import codec
from raft_impl.errors import ERRORS
from raft_impl.links import Address
from raft_impl.types import Reply, Request, Status, StatusRequest

PAUSE_S = 0.05


class OperationError(Exception):
    """An operation that did not succeed; `code` is a row of the table in `errors`."""

    def __init__(self, code: str, reply: Reply | None = None, message: str | None = None) -> None:
        super().__init__(message or (reply and reply.message) or ERRORS[code].sentence)
        self.code = code
        self.reply = reply


class OperationFailedError(OperationError):
    """The operation certainly did not happen. After a cas, `reply` carries the value that was found."""


class OperationUnknownError(OperationError):
    """The operation may have happened, or may happen yet."""


class Client:
    """One logical client of a cluster; `addresses` maps nodes to (host, port)."""

    def __init__(self, addresses: Mapping[str, Address], timeout_s: float = 5.0, attempt_s: float = 1.0) -> None:
        self._addresses = dict(addresses)
        self._timeout_s = timeout_s
        self._attempt_s = attempt_s
        self._node = next(iter(self._addresses))
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._next_id = 0
        self._session: int | None = None
        self._sequence = 0

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    # Operations; all raise OperationFailedError or OperationUnknownError

    async def open_session(self) -> int:
        """Return the number of a new session, which all later writes of this client belong to."""
        reply = await self._call(Request(0, "open_session"), safe=True)
        self._session, self._sequence = reply.session, 0
        return reply.session or 0

    async def read(self, key: str) -> tuple[object, int]:
        """Return (value, version)."""
        reply = await self._call(Request(0, "read", key), safe=True)
        return reply.value, reply.version

    async def write(self, key: str, value: object) -> int:
        """Return the register's version after the write."""
        session, sequence = self._numbered()
        request = Request(0, "write", key, value, session=session, sequence=sequence)
        return (await self._call(request, safe=session is not None)).version

    async def cas(self, key: str, old: object, new: object) -> int:
        """Return the register's version after the change; a mismatch is an OperationFailedError."""
        session, sequence = self._numbered()
        request = Request(0, "cas", key, old=old, new=new, session=session, sequence=sequence)
        return (await self._call(request, safe=session is not None)).version

    async def status(self, node: str) -> Status:
        """Return what one node says of itself."""
        await self._move_to(node)
        answer = await self._exchange(StatusRequest(self._new_id()))
        assert isinstance(answer, Status)
        return answer

    def _numbered(self) -> tuple[int | None, int | None]:
        if self._session is None:
            return None, None
        self._sequence += 1
        return self._session, self._sequence

    # One operation, as many attempts as are safe

    async def _call(self, request: Request, safe: bool) -> Reply:
        """Return the reply of success; `safe` says that the request may be sent again after an uncertain answer."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        uncertain = False
        while True:
            error = await self._attempt(request)
            if isinstance(error, Reply):
                return error
            retry = self._may_retry(error, safe)
            uncertain = uncertain or isinstance(error, OperationUnknownError)
            if not retry or asyncio.get_running_loop().time() > deadline:
                raise _verdict(error, uncertain)
            await self._look_elsewhere(error)

    def _may_retry(self, error: OperationError, safe: bool) -> bool:
        if error.code in ("not_leader", "unreachable", "busy", "read_interrupted"):
            return True
        return safe and error.code in ("leadership_lost", "stopping", "disconnected", "timeout")

    async def _attempt(self, request: Request) -> Reply | OperationError:
        try:
            answer = await self._exchange(_numbered_request(request, self._new_id()))
        except OperationError as error:
            return error
        assert isinstance(answer, Reply)
        if answer.ok:
            return answer
        kind = OperationFailedError if answer.definite else OperationUnknownError
        return kind(answer.error or "bad_request", answer)

    async def _exchange(self, request: Request | StatusRequest) -> Reply | Status:
        """Return the answer of the node we are at; raises unreachable, disconnected or timeout."""
        reader, writer = await self._connected()
        try:
            writer.write(codec.frame(request))
            async with asyncio.timeout(self._attempt_s):
                return await _receive(reader, request.id)
        except TimeoutError:
            await self.close()
            raise OperationUnknownError("timeout") from None
        except (OSError, asyncio.IncompleteReadError, codec.FrameError) as error:
            await self.close()
            raise OperationUnknownError("disconnected", message=f"{self._node}: {error}") from error

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            host, port = self._addresses[self._node]
            try:
                async with asyncio.timeout(self._attempt_s):
                    self._streams = await asyncio.open_connection(host, port)
            except (OSError, TimeoutError) as error:
                raise OperationFailedError("unreachable", message=f"{self._node}: {error}") from error
        return self._streams

    # Where to ask

    async def _look_elsewhere(self, error: OperationError) -> None:
        hint = error.reply.leader if error.reply is not None else None
        if hint in self._addresses and hint != self._node:
            await self._move_to(hint)
            return
        nodes = list(self._addresses)
        await asyncio.sleep(PAUSE_S)
        await self._move_to(nodes[(nodes.index(self._node) + 1) % len(nodes)])

    async def _move_to(self, node: str) -> None:
        if node != self._node:
            await self.close()
            self._node = node

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id


def _verdict(error: OperationError, uncertain: bool) -> OperationError:
    """Return what to raise after the last attempt, given whether an earlier one had an uncertain end.

    A mismatch is the answer to the operation itself; any other failure says only that the last attempt did nothing.
    """
    if uncertain and isinstance(error, OperationFailedError) and error.code != "mismatch":
        return OperationUnknownError(error.code, error.reply)
    return error


def _numbered_request(request: Request, request_id: int) -> Request:
    return Request(
        request_id, request.op, request.key, request.value, request.old, request.new, request.session, request.sequence
    )


async def _receive(reader: asyncio.StreamReader, request_id: int) -> Reply | Status:
    """Return the answer with that id; answers to requests that were given up are skipped."""
    while True:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > codec.MAX_FRAME_BYTES:
            raise codec.FrameError(f"a frame of {size} bytes")
        answer = codec.decode_answer(await reader.readexactly(size))
        if answer.id == request_id:
            return answer
