"""What the end of a command means to a shell.

Lives here: the numbers, for the commands and for whoever starts one as a process of its own. Must not live here: what
comes to which end. `splitbrain replay --bisect` alone speaks another language, that of `git bisect run`.
"""

from checkers.result import Verdict

VALID = Verdict.VALID.exit_code
INVALID = Verdict.INVALID.exit_code
UNKNOWN = Verdict.UNKNOWN.exit_code
BAD_INPUT = 254
CRASH = 255
INTERRUPTED = 130
PIPE_CLOSED = 141
"""As a shell has it for a program that SIGPIPE ended: nobody reads the output any more, and there is no verdict."""

VERDICTS = (VALID, INVALID, UNKNOWN)
LEGEND = (
    f"{VALID} valid, {INVALID} invalid, {UNKNOWN} unknown, {BAD_INPUT} bad arguments or input, {CRASH} crash, "
    f"{INTERRUPTED} interrupted, {PIPE_CLOSED} output closed before there was a verdict"
)
