"""Client sessions: a command that is sent again is executed once (Ongaro's dissertation 6.3).

Part of the replicated state, so everything here is decided by the order of the log and by nothing else. A session
keeps the outcome of its latest sequence number only: a client has one command outstanding in a session.
"""

import msgspec

MAX_SESSIONS = 4096


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """The result of a command; `error` is a code of the table in `errors`, None when it was done."""

    value: object = None
    version: int = 0
    session: int | None = None
    error: str | None = None


class Sessions:
    """The open sessions, least recently used first; the first goes when there are more than `capacity`."""

    def __init__(self, capacity: int = MAX_SESSIONS) -> None:
        self._capacity = capacity
        self._latest: dict[int, tuple[int, Outcome | None]] = {}

    def open(self, session: int) -> Outcome:
        """Open the session with this number."""
        self._latest[session] = (0, None)
        if len(self._latest) > self._capacity:
            del self._latest[next(iter(self._latest))]
        return Outcome(session=session)

    def recall(self, session: int, sequence: int) -> Outcome | None:
        """Return the answer to give without executing the command, or None if it is to be executed."""
        if session not in self._latest:
            return Outcome(error="session_expired")
        latest, outcome = self._latest.pop(session)
        self._latest[session] = (latest, outcome)
        if sequence < latest:
            return Outcome(error="stale_sequence")
        return outcome if sequence == latest else None

    def remember(self, session: int, sequence: int, outcome: Outcome) -> None:
        """Keep the outcome of a command that was executed."""
        self._latest[session] = (sequence, outcome)
