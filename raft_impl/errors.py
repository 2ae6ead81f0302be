"""The one table of errors. Replies, the client and the documentation all take their meaning from it.

An error is *definite* when the operation certainly did not happen and never will, *indefinite* when it may have
happened or may happen yet. Calling an indefinite error definite makes a sound system look broken; so in doubt:
indefinite.
"""

import msgspec


class ErrorKind(msgspec.Struct, frozen=True):
    """One row: whether the operation certainly did not happen, and the sentence for people."""

    definite: bool
    sentence: str


ERRORS: dict[str, ErrorKind] = {
    "mismatch": ErrorKind(True, "cas found another value than `old`; the reply carries that value and its version"),
    "not_leader": ErrorKind(True, "this node does not lead and took nothing on; `leader` names the leader if known"),
    "busy": ErrorKind(True, "too many requests are pending on this leader; nothing was proposed"),
    "bad_request": ErrorKind(True, "the request is malformed; `message` says how"),
    "too_large": ErrorKind(True, "the command is larger than the service accepts"),
    "read_interrupted": ErrorKind(
        True, "the node stopped leading before it could serve the read; a read changes nothing"
    ),
    "leadership_lost": ErrorKind(False, "the node stopped leading before the proposal's fate was known"),
    "session_expired": ErrorKind(
        False,
        "the session is unknown or was evicted, and this attempt did nothing; definite only if it was the first "
        "attempt of its sequence number, since an earlier one may have been executed before the eviction",
    ),
    "stale_sequence": ErrorKind(
        False,
        "the session has already gone on to a later sequence number, and this attempt did nothing; an earlier attempt "
        "of the same sequence number may have been executed",
    ),
    "stopping": ErrorKind(False, "the node is stopping in an orderly way; what was pending may still happen"),
    "unreachable": ErrorKind(True, "client side: no connection could be made, so nothing was sent"),
    "disconnected": ErrorKind(False, "client side: the connection broke before the reply came"),
    "timeout": ErrorKind(False, "client side: no reply in time"),
}
