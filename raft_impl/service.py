"""Between clients and the core: what a request asks for, who waits for what, and what is answered.

A proposal's waiter is keyed by term *and* index: after a change of leadership another command may take the index.
Holds no sockets; clients are opaque tokens.
"""

from raft_impl.codec import encode
from raft_impl.core import RaftCore
from raft_impl.errors import ERRORS
from raft_impl.readonly import ConfirmedRead
from raft_impl.register import Register
from raft_impl.sessions import Outcome
from raft_impl.types import Cas, Command, Entry, OpenSession, Reply, Request, Write

ClientToken = int
Waiter = tuple[ClientToken, int]  # a client, and its id of the request

MAX_PENDING = 8192
MAX_COMMAND_BYTES = 1024 * 1024


class BadRequestError(Exception):
    """A request that makes no sense, with the sentence that says why."""


def command_of(request: Request) -> Command:
    """Return the command that a request asks to replicate; raises BadRequestError."""
    if request.op == "open_session":
        return OpenSession()
    key = key_of(request)
    if (request.session is None) != (request.sequence is None):
        raise BadRequestError("session and sequence belong together: give both or neither")
    if request.sequence is not None and request.sequence < 1:
        raise BadRequestError("sequence numbers start at 1")
    if request.op == "write":
        return Write(key, request.value, request.session, request.sequence)
    if request.op == "cas":
        return Cas(key, request.old, request.new, request.session, request.sequence)
    raise BadRequestError(f"unknown op {request.op!r}; known are open_session, read, write, cas")


def key_of(request: Request) -> str:
    """Return the request's key; raises BadRequestError."""
    if request.key is None:
        raise BadRequestError(f"{request.op} needs a key")
    return request.key


class Service:
    """The client side of one node."""

    def __init__(self, core: RaftCore, register: Register) -> None:
        self.core = core
        self.register = register
        self._replies: list[tuple[ClientToken, Reply]] = []
        self._proposals: dict[tuple[int, int], Waiter] = {}
        self._reads: dict[int, tuple[Waiter, str]] = {}
        self._confirmed: list[ConfirmedRead] = []
        self._next_context = 0

    def request(self, client: ClientToken, request: Request) -> None:
        """Take in a request; its reply comes out of `take_replies`, at once or later."""
        waiter = (client, request.id)
        try:
            if request.op == "read":
                self._read(waiter, key_of(request))
            else:
                self._propose(waiter, command_of(request))
        except BadRequestError as error:
            self._fail(waiter, "bad_request", message=str(error))

    def take_replies(self) -> list[tuple[ClientToken, Reply]]:
        """Return the replies that are due, once."""
        replies, self._replies = self._replies, []
        return replies

    def _propose(self, waiter: Waiter, command: Command) -> None:
        data = encode(command)
        if len(data) > MAX_COMMAND_BYTES:
            self._fail(waiter, "too_large", message=f"{len(data)} bytes; at most {MAX_COMMAND_BYTES} are accepted")
        elif self.core.role != "leader":
            self._redirect(waiter)
        elif len(self._proposals) >= MAX_PENDING:
            self._fail(waiter, "busy")
        elif (entry := self.core.propose(data)) is not None:
            self._proposed(waiter, entry, command)

    def _proposed(self, waiter: Waiter, entry: Entry, command: Command) -> None:
        self._proposals[entry.term, entry.index] = waiter

    def _read(self, waiter: Waiter, key: str) -> None:
        if self.core.role != "leader":
            self._redirect(waiter)
        elif len(self._reads) >= MAX_PENDING:
            self._fail(waiter, "busy")
        else:
            self._start_read(waiter, key)

    def _start_read(self, waiter: Waiter, key: str) -> None:
        self._next_context += 1
        self._reads[self._next_context] = (waiter, key)
        self.core.read_index(self._next_context)

    # What the core reports

    def applied(self, entry: Entry, outcome: Outcome | None) -> None:
        """Answer whoever waits for this very entry."""
        waiter = self._proposals.pop((entry.term, entry.index), None)
        if waiter is not None and outcome is not None:
            self._finish(waiter, outcome)

    def confirmed(self, reads: list[ConfirmedRead]) -> None:
        """Take in reads that may be served once their index is applied, and serve those that can be."""
        self._confirmed.extend(reads)
        waiting: list[ConfirmedRead] = []
        for read in self._confirmed:
            if read.index > self.register.applied:
                waiting.append(read)
            elif read.context in self._reads:
                self._serve(*self._reads.pop(read.context))
        self._confirmed = waiting

    def deposed(self) -> None:
        """Answer everybody who waits: a proposal may still commit under the next leader, a read has done nothing."""
        proposals, self._proposals = self._proposals, {}
        reads, self._reads = self._reads, {}
        self._confirmed.clear()
        for waiter in proposals.values():
            self._fail(waiter, "leadership_lost")
        for waiter, _ in reads.values():
            self._fail(waiter, "read_interrupted")

    def stop(self) -> None:
        """Answer everybody who waits, since nothing will follow."""
        proposals, self._proposals = self._proposals, {}
        reads, self._reads = self._reads, {}
        for waiter in [*proposals.values(), *(waiter for waiter, _ in reads.values())]:
            self._fail(waiter, "stopping")

    # Replies

    def _serve(self, waiter: Waiter, key: str) -> None:
        value, version = self.register.read(key)
        self._finish(waiter, Outcome(value, version))

    def _finish(self, waiter: Waiter, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._fail(waiter, outcome.error, outcome.value, outcome.version)
            return
        client, request_id = waiter
        self._replies.append((client, Reply(request_id, True, outcome.value, outcome.version, outcome.session)))

    def _redirect(self, waiter: Waiter) -> None:
        self._fail(waiter, "not_leader")

    def _fail(
        self, waiter: Waiter, code: str, value: object = None, version: int = 0, message: str | None = None
    ) -> None:
        client, request_id = waiter
        kind = ERRORS[code]
        leader = self.core.leader if code in ("not_leader", "leadership_lost", "read_interrupted") else None
        reply = Reply(
            request_id, False, value, version, None, code, kind.definite, message or kind.sentence, leader
        )  # fmt: skip
        self._replies.append((client, reply))
