"""Putting right what dead harnesses left: from their ledgers, and nothing that is not in them.

Lives here: which ledger is whose business, and what is said of it. Must not live here: what a ledger looks like
(`harness.ledger`), or how an environment's things are removed (each environment does that itself).

A fault never outlives its environment's own things: rules are in containers, in a namespace, or in chains that bear the
run's name. So what a dead run made is removed whole, and its open faults with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping

import msgspec

from harness.environments import docker, engine, ssh
from harness.environments.base import NotAllRemoved
from harness.environments.engine import Engine
from harness.errors import EnvironmentFailure
from harness.ledger import Abandoned, Run, Unreadable, abandoned

Reclaim = Callable[[Mapping[str, object]], Coroutine[None, None, list[str]]]
"""Removes what is left of one run, given its `Environment.remains`; a line for each. Raises `EnvironmentFailure`."""


async def _reclaim_docker(remains: Mapping[str, object]) -> list[str]:
    return await docker.reclaim_run(remains)


async def _reclaim_local(remains: Mapping[str, object]) -> list[str]:
    return []  # the kernel took the namespace away, with every process and rule in it


async def _reclaim_ssh(remains: Mapping[str, object]) -> list[str]:
    return await ssh.reclaim(remains)


RECLAIMS: Mapping[str, Reclaim] = {"docker": _reclaim_docker, "local": _reclaim_local, "ssh": _reclaim_ssh}


def heal(say: Callable[[str], None]) -> bool:
    """Put right what the ledgers of dead runs hold, and say what was done; whether nothing is left to do.

    What cannot be put right now (its machine does not answer, say) stays in its ledger for the next time.
    """
    complete = True
    with abandoned() as ledgers:
        for ledger in ledgers:
            if isinstance(ledger, Unreadable):
                say(f"{ledger.path}: not put right: {ledger.reason}")
                complete = False
                continue
            try:
                for line in _told(ledger, _reclaimed(ledger.run)):
                    say(line)
                ledger.remove()
            except EnvironmentFailure as failure:
                for line in failure.removed if isinstance(failure, NotAllRemoved) else []:
                    say(f"{_head(ledger)} {line}")
                say(f"{ledger.run.environment} run {ledger.run.directory}: not put right: {failure}")
                complete = False
    return complete


def _reclaimed(run: Run) -> list[str]:
    """What was removed of a dead run, a line for each. Raises `EnvironmentFailure`."""
    try:
        return asyncio.run(RECLAIMS.get(run.environment, _reclaim_unknown)(run.machines))
    except msgspec.ValidationError as error:
        version = "another version of splitbrain wrote its ledger: use the one that made it"
        raise EnvironmentFailure(f"{version} ({error})") from error


def heal_unrecorded(say: Callable[[str], None]) -> bool:
    """Remove labelled things of dead runs whose ledger is lost, where an engine answers; whether none is left."""
    if engine.unavailable() is not None:
        return True
    try:
        for line in asyncio.run(docker.reclaim(Engine())):
            say(line)
    except EnvironmentFailure as failure:
        say(f"not everything could be removed: {failure}")
        return False
    return True


async def _reclaim_unknown(remains: Mapping[str, object]) -> list[str]:
    raise EnvironmentFailure("this version of splitbrain knows no such environment: use the one that made it")


def _told(ledger: Abandoned, done: list[str]) -> list[str]:
    """What a dead run had in force, and what was removed of it."""
    head = _head(ledger)
    faults = [f"{head} undone: {entry.fault}, {entry.told}" for entry in ledger.open]
    return [*faults, *(f"{head} {line}" for line in done)] or [f"{head} nothing was left of it"]


def _head(ledger: Abandoned) -> str:
    """How each line begins that is said of it."""
    return f"{ledger.run.environment} run {ledger.run.directory}, whose harness is gone:"
