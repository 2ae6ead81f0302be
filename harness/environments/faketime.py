"""libfaketime: a library that answers for the system's wall clock in one process, whatever program that is.

Lives here: the variables under which it does so, and its file. Must not live here: where it is on a machine (its agent
knows), or what a clock is set to.

It shifts the clock only: a rate needs a faked monotonic clock, on which programs hang.
"""

from __future__ import annotations

from harness.environments.faults import ClockSetting
from harness.errors import UsageError

CLOCKS = ("node", "libfaketime")
"""Whose clocks are faulty: the nodes' own, or those that this library shows them."""

FILE = "faketime"


def variables(library: str, directory: str) -> dict[str, str]:
    """What the process must find in its environment so that its clock follows FILE in that directory."""
    return {
        "LD_PRELOAD": library,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Else timed waits on the monotonic clock are prolonged: a Python with two threads stalls for up to a second.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "FAKETIME_DISABLE_SHM": "1",
        "FAKETIME_TIMESTAMP_FILE": f"{directory}/{FILE}",
    }


def text(setting: ClockSetting) -> str:
    """What FILE must hold. Raises `UsageError` for what the library cannot do."""
    if setting.rate != 1 or setting.strobe_ms:
        raise UsageError("libfaketime can shift a clock but not change its rate: leave the clock to the node")
    return f"{setting.offset_ms / 1000:+.3f}"
