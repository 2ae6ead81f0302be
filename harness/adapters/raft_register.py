"""The built-in system under test: raft_impl's register service, seen from outside.

Lives here: the command line of a node, and a client in terms of the service's documented wire protocol (docs/raft.md).
Must not live here: anything of raft_impl itself. The harness believes what the service says, not what it is.

A client is bound to one node and follows its redirects. An update whose answer was lost is sent again, to the next node
and under the same session and sequence number, so that it happens once; only when time runs out is it unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from harness.adapters.base import Definite, Indefinite, Mismatch, Place, RegisterClient, Status
from harness.environments.base import CallFailed, ConnectFailed, Connection, Environment, Node

_MAX_HOPS: Final = 4
"""How many nodes an operation tries that has certainly not happened yet: more means that nobody knows who leads."""

_PATIENCE: Final = 0.25
"""The part of an update's time that one node gets to answer before the next one is asked."""

_PAUSE_S: Final = 0.1
"""How long to wait before asking around again while nobody leads."""

_BLOCK_BYTES: Final = 1 << 20

_encode = msgspec.msgpack.Encoder().encode


class _Request(msgspec.Struct, tag_field="type", tag="request", kw_only=True):
    """A question of the service; fields that it does not have are not sent. Each attempt gets an `id` of its own."""

    id: int = 0
    op: str
    key: str | UnsetType = UNSET
    value: object = UNSET
    old: object = UNSET
    new: object = UNSET
    session: int | UnsetType | None = UNSET
    sequence: int | UnsetType = UNSET


class _Reply(msgspec.Struct):
    """Any answer of the service; which fields matter depends on the question."""

    id: int
    ok: bool = True
    value: object = None
    version: int | None = None
    session: int | None = None
    error: str | None = None
    definite: bool | None = None
    leader: str | None = None
    role: str = ""
    term: int = 0
    last: int = 0
    clock_ns: int = 0


_decode = msgspec.msgpack.Decoder(_Reply).decode


def _reply(node: Node, frame: bytes) -> _Reply:
    """The reply that a frame holds. Raises `CallFailed` if it holds none: whatever happened, nobody can tell."""
    try:
        return _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CallFailed(f"{node}: not an answer: {error}") from error


@dataclass(frozen=True, slots=True)
class RaftRegister:
    """Adapter of raft_impl. `mutant`, the two times and `clock_base` are on every node's command line."""

    mutant: str | None = None
    heartbeat_ms: int = 100
    election_ms: int = 600
    clock_base: str = "monotonic"
    name: str = "raft"

    def command(self, python: str, node: Node, places: Mapping[Node, Place]) -> list[str]:
        here = places[node]
        peers = [f"{peer}={place.address}:{place.port}" for peer, place in places.items() if peer != node]
        return [
            *(python, "-m", "raft_impl", "--id", node, "--listen", f"{here.address}:{here.port}"),
            *(word for peer in peers for word in ("--peer", peer)),
            *(
                "--data",
                here.data,
                "--trace",
                here.trace,
                "--clock",
                here.clock,
                "--disk",
                here.disk,
                "--log",
                here.log,
            ),
            *("--heartbeat-ms", str(self.heartbeat_ms), "--election-ms", str(self.election_ms)),
            *("--clock-base", self.clock_base),
            *(("--mutant", self.mutant) if self.mutant else ()),
        ]

    def client(self, environment: Environment, node: Node, timeout_s: float) -> RegisterClient:
        return _Client(environment, node, timeout_s)

    async def status(self, environment: Environment, node: Node, timeout_s: float) -> Status | None:
        try:
            connection = await environment.connect(node, timeout_s)
        except ConnectFailed:
            return None
        asked_ns = environment.now_ns()
        try:
            reply = _reply(node, await connection.call(_encode({"type": "status", "id": 0}), timeout_s))
        except CallFailed:
            return None
        finally:
            connection.close()
        # The clock was read somewhere between question and answer.
        half_ns = (environment.now_ns() - asked_ns) // 2
        leads = reply.role == "leader"
        return Status(leads, reply.term, reply.leader, reply.last, reply.clock_ns, asked_ns + half_ns, half_ns)

    def leader_changes(self, directory: Path) -> int | None:
        traces = sorted(directory.glob("*/trace.jsonl"))
        if not traces:
            return None
        return sum(_count_lines(trace, b'"kind":"become_leader"') for trace in traces)


def _count_lines(path: Path, wanted: bytes) -> int:
    """How often the bytes are in a line; a trace may be too large to be read at once."""
    with path.open("rb") as file:
        return sum(b"".join(lines).count(wanted) for lines in iter(lambda: file.readlines(_BLOCK_BYTES), []))


class _Client:
    """One logical client: a session, the connections it has made, and the number of its last update."""

    def __init__(self, environment: Environment, node: Node, timeout_s: float) -> None:
        self._environment = environment
        self._node = node
        self._timeout_s = timeout_s
        self._connections: dict[Node, Connection] = {}
        self._session: int | None = None
        self._sequence = 0
        self._next_id = 0

    async def open(self) -> None:
        # A session that was opened but whose number was lost is garbage that the service evicts: never indefinite.
        try:
            reply = await self._request(_Request(op="open_session"))
        except Indefinite as lost:
            raise Definite(f"no session: {lost}") from lost
        if reply.session is None:
            raise Definite("no session: the answer names none")
        self._session = reply.session

    async def read(self, key: int) -> tuple[object, int | None]:
        reply = await self._request(_Request(op="read", key=str(key)))
        return reply.value, reply.version

    async def write(self, key: int, value: object) -> int | None:
        session, sequence = self._session, self._next_sequence()
        request = _Request(op="write", key=str(key), value=value, session=session, sequence=sequence)
        reply = await self._request(request)
        return reply.version

    async def cas(self, key: int, old: object, new: object) -> int | Mismatch | None:
        session, sequence = self._session, self._next_sequence()
        request = _Request(op="cas", key=str(key), old=old, new=new, session=session, sequence=sequence)
        reply = await self._request(request)
        return reply.version if reply.ok else Mismatch(reply.value, reply.version)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    async def _request(self, request: _Request) -> _Reply:
        """The answer that settles the request: it acted, or a cas that did not match.

        Raises `Definite` only if no attempt can have acted. One that may have acted is worth settling: the request is
        sent again until time runs out. Else a redirect is followed, but not for ever, and no leader means `Definite`.
        """
        environment = self._environment
        deadline_ns = environment.now_ns() + int(self._timeout_s * 1e9)
        # A read has nothing to settle; it stays with its node, which is where a stale answer would come from.
        patience_s = self._timeout_s if request.op == "read" else self._timeout_s * _PATIENCE
        target, uncertain, problem, hops = self._node, False, "no leader", 0
        while (left_s := (deadline_ns - environment.now_ns()) / 1e9) > 0 and (uncertain or hops < _MAX_HOPS):
            hops += 1
            try:
                reply = await self._attempt(target, request, min(left_s, patience_s))
            except ConnectFailed:
                problem, target = "unreachable", self._other_than(target)
                # A refusal is quick: without a pause, followers that still name a dead leader are asked in circles.
                await environment.sleep(min(left_s, _PAUSE_S))
                continue
            except CallFailed as failure:
                problem, target, uncertain = str(failure), self._other_than(target), True
                continue
            if reply.ok or (reply.error == "mismatch" and request.op == "cas"):
                return reply
            problem, uncertain = reply.error or "error", uncertain or not reply.definite
            if reply.leader in environment.nodes and reply.leader != target:
                target = reply.leader
            elif uncertain:
                target = self._other_than(target)
                await environment.sleep(min(left_s, _PAUSE_S))
            else:
                break
        raise Indefinite(problem) if uncertain else Definite(problem)

    def _other_than(self, target: Node) -> Node:
        """Where to try next: the node after this one, in the cluster's order."""
        nodes = self._environment.nodes
        return nodes[(nodes.index(target) + 1) % len(nodes)]

    async def _attempt(self, node: Node, request: _Request, timeout_s: float) -> _Reply:
        connection = self._connections.get(node)
        if connection is None:
            connection = self._connections[node] = await self._environment.connect(node, timeout_s)
        self._next_id += 1
        request.id = self._next_id
        try:
            reply = _reply(node, await connection.call(_encode(request), timeout_s))
        except CallFailed:
            self._drop(node)
            raise
        if reply.id != request.id:
            self._drop(node)
            raise CallFailed(f"{node}: an answer to another question")
        return reply

    def _drop(self, node: Node) -> None:
        self._connections.pop(node).close()
