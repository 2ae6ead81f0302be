"""The state machine: many registers, each a value and a version, with sessions in front of them.

Deterministic: the state is a function of the commands applied so far, and `digest` is a chain over them and their
outcomes, so two nodes that ever differ in what they answered differ in their digests from then on.
"""

from raft_impl.codec import decode_command, encode
from raft_impl.sessions import MAX_SESSIONS, Outcome, Sessions
from raft_impl.trace import chain
from raft_impl.types import Cas, Entry, OpenSession, Write


class Register:
    """All registers. One that was never written holds None at version 0; each change adds 1 to the version."""

    def __init__(self, max_sessions: int = MAX_SESSIONS) -> None:
        self.applied = 0
        self.digest = 0
        self._registers: dict[str, tuple[object, int]] = {}
        self._sessions = Sessions(max_sessions)

    def read(self, key: str) -> tuple[object, int]:
        """Return (value, version)."""
        return self._registers.get(key, (None, 0))

    def apply(self, entry: Entry) -> Outcome | None:
        """Return the outcome of the entry's command, or None for a no-op. Entries come in order, each once."""
        self.applied = entry.index
        if not entry.data:
            return None
        outcome = self._execute(entry)
        self.digest = chain(self.digest, entry.index, encode(outcome))
        return outcome

    def _execute(self, entry: Entry) -> Outcome:
        command = decode_command(entry.data)
        if isinstance(command, OpenSession):
            return self._sessions.open(entry.index)
        if command.session is None or command.sequence is None:
            return self._change(command)
        recalled = self._recall(command.session, command.sequence)
        if recalled is not None:
            return recalled
        outcome = self._change(command)
        self._sessions.remember(command.session, command.sequence, outcome)
        return outcome

    def _recall(self, session: int, sequence: int) -> Outcome | None:
        return self._sessions.recall(session, sequence)

    def _change(self, command: Write | Cas) -> Outcome:
        value, version = self.read(command.key)
        if isinstance(command, Write):
            new = command.value
        elif encode(value) == encode(command.old):  # 1, 1.0 and true are equal in Python, and three values here
            new = command.new
        else:
            return Outcome(value, version, error="mismatch")
        self._registers[command.key] = (new, version + 1)
        return Outcome(version=version + 1)
