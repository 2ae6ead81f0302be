"""Runs on this machine: so many at a time, each a process of its own.

Lives here: keeping that many under way. Must not live here: what a run is (`execute`), or which comes next.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.campaign.directory import Assignment
from harness.campaign.execute import Children, Exit, Limits, execute
from harness.campaign.row import Row
from harness.campaign.settle import row_of_exit
from harness.errors import LEFT, Interrupted

_PATIENCE_S = 5.0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be made, in the directory that was assigned to it."""

    store: Path
    run: Path
    assignment: Assignment
    limits: Limits


def carry_out(task: Task, children: Children) -> Row:
    """Make the run and wait for it; its row, which is in its directory as well."""
    words = [*task.assignment.cell.words(), "--seed", str(task.assignment.seed)]
    try:
        end = execute(words, task.run, task.store, task.limits, children)
    except OSError as error:  # no process could be made of it
        end = Exit("crash", 0.0, str(error))
    return row_of_exit(task.store, task.run, task.assignment, end)


def completed(tasks: Iterable[Task], jobs: int) -> Generator[Row, None, None]:
    """The rows of the tasks as they end. A task is taken when there is room for it.

    If the caller does not go on, because it was interrupted, those under way are stopped and marked as interrupted.
    Raises `Interrupted` if a second Ctrl-C keeps it from waiting for that.
    """
    children = Children()
    source = iter(tasks)
    threads = ThreadPoolExecutor(jobs, thread_name_prefix="run")
    flying: set[Future[Row]] = set()
    try:
        while True:
            while len(flying) < jobs and (task := next(source, None)) is not None:
                flying.add(threads.submit(carry_out, task, children))
            if not flying:
                return
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        children.stop()
        _await_end(flying, children)
        threads.shutdown()


def _await_end(flying: set[Future[Row]], children: Children) -> None:
    """Wait until the last of them has ended. A second Ctrl-C reaches them too, and leaves them five seconds."""
    try:
        wait(flying)
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):
            children.hurry()
            wait(flying, _PATIENCE_S)
        if late := [future for future in flying if not future.done()]:
            raise Interrupted(f"{len(late)} runs are still being torn down; {LEFT}") from None
