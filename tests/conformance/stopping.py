"""A harness that stops for ever at one step of the first fault's life, for whoever wants to kill it just there.

    python stopping.py STEP MARK run --env ENVIRONMENT ...      MARK is a file that is made when it has stopped

Lives here: the command line of splitbrain with a ledger and faults that stop. Must not live here: killing it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import harness.runner
from harness import cli
from harness.environments import namespace
from harness.environments.base import Environment
from harness.ledger import FileLedger
from harness.nemesis import FAULTS
from harness.nemesis.fault import Course, Evidence, Fault, Resolved

STEPS = ("before-entry", "after-entry", "after-apply", "after-evidence", "after-undo", "before-strike")


def reached(step: str) -> None:
    """Stop if it is this step that was asked for."""
    if step == sys.argv[1]:
        Path(sys.argv[2]).touch()
        while True:
            signal.pause()


class StoppingLedger(FileLedger):
    def enter(self, fault: str, resolved: Mapping[str, object], told: str) -> int:
        reached("before-entry")
        number = super().enter(fault, resolved, told)
        reached("after-entry")
        return number

    def strike(self, number: int) -> None:
        reached("before-strike")
        super().strike(number)


class StoppingFault(Fault):
    """To be put before a real fault."""

    async def apply(self, environment: Environment, resolved: Resolved) -> object:
        facts = await super().apply(environment, resolved)
        reached("after-apply")
        return facts

    async def undo(self, environment: Environment, resolved: Resolved) -> None:
        await super().undo(environment, resolved)
        reached("after-undo")

    def seen(self, resolved: Resolved, course: Course) -> Evidence | None:
        evidence = super().seen(resolved, course)
        if evidence is not None:
            reached("after-evidence")
        return evidence


def main() -> None:
    if "local" in sys.argv and not namespace.inside():
        sys.exit(namespace.reexecute([sys.executable, "-P", __file__, *sys.argv[1:]]))
    harness.runner.FileLedger = StoppingLedger
    assert isinstance(FAULTS, dict)
    for name, fault in FAULTS.items():
        FAULTS[name] = type("Stopping", (StoppingFault, type(fault)), {})()
    sys.exit(cli.call(sys.argv[3:]))


if __name__ == "__main__":
    main()
