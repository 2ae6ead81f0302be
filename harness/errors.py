"""What ends a command without a verdict, whichever part of the harness finds it out.

Lives here: the exceptions that the entrance turns into one line and an exit code. Must not live here: what is caught
before it gets there, which stands beside what raises it.
"""


class UsageError(Exception):
    """What was asked for cannot be had here; the message is one line that says what would be right. Exit 254."""


class EnvironmentFailure(Exception):  # noqa: N818 - a failure of the environment, not of its user
    """The environment itself broke (the engine died, a command failed, a deadline passed): no verdict follows."""


LEFT = "`splitbrain heal` removes what is left"
"""What to do where something stays behind."""


class Interrupted(Exception):  # noqa: N818 - by a signal, not by an error
    """A signal ended a command that could not stop all that it had started; the message says what is left."""
