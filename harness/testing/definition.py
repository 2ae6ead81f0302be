"""Definitions of tests, in the words of the command line.

Lives here: which options a definition may be made from. Their defaults are those of `splitbrain run` but for two: a
test case runs in the simulator, and for ten seconds instead of thirty, since a suite has many. Its seed must be given.
What is wrong with a definition is `harness.test`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from harness import defaults
from harness.errors import UsageError
from harness.nemesis.script import FaultWindow
from harness.nemesis.specs import parse_nemesis
from harness.test import Test, node_names, parse_concurrency, validated, with_schedule


def define(
    *,
    seed: int,
    env: str = "sim",
    nodes: int = defaults.NODES,
    workload: str = defaults.WORKLOAD,
    nemesis: str = defaults.NEMESIS,
    interval: float = defaults.INTERVAL_S,
    time_limit: float = defaults.CASE_TIME_LIMIT_S,
    rate: float = defaults.RATE,
    concurrency: str | int = defaults.CONCURRENCY,
    mutant: str | None = None,
    schedule: Iterable[FaultWindow | Mapping[str, object]] | None = None,
) -> Test:
    """The definition that `splitbrain run` makes of options of these names. Raises `UsageError` with all that is wrong.

    With a `schedule` faults come just then, and `nemesis` and `interval` say nothing.
    """
    test = Test(
        environment=env,
        nodes=node_names(nodes),
        workload=workload,
        nemesis=parse_nemesis(nemesis, interval),
        time_limit_s=float(time_limit),
        rate=float(rate),
        concurrency=parse_concurrency(str(concurrency), max(nodes, 1)),
        seed=seed,
        mutant=mutant,
    )
    return validated(test if schedule is None else with_schedule(test, _windows(schedule)))


def _windows(schedule: Iterable[FaultWindow | Mapping[str, object]]) -> tuple[FaultWindow, ...]:
    try:
        return msgspec.convert([msgspec.to_builtins(window) for window in schedule], tuple[FaultWindow, ...])
    except msgspec.ValidationError as error:
        raise UsageError(f"schedule: {error}; each is fault, begin_ns, end_ns, asked and perhaps resolved") from error
