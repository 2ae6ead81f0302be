"""Runs on other machines: the workers of dask.distributed, an extra (`scale`).

Lives here: sending runs out, and bringing home what they left. Must not live here: what a run is, or which comes next.

A task is idempotent: it makes its run in a directory of its own and gives back the row with the files, so a task that
is run twice, since a worker was lost, counts once. Whatever a run does is data: an exception
would be taken for the worker's fault, tried again, and hidden. As many are under way as the workers have threads, and
as many again, so that no worker waits; not more, since each holds memory of the scheduler.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import msgspec
from distributed import Client, Future, as_completed, get_worker
from distributed.client import ClosedClientError

import harness
from harness.campaign.directory import Assignment
from harness.campaign.execute import Children, Exit, Limits
from harness.campaign.keep import REDUCED
from harness.campaign.pool import Task, carry_out
from harness.campaign.row import Outcome, Row
from harness.campaign.settle import row_of_exit
from harness.environments.scratch import Scratch, remove_abandoned
from harness.errors import EnvironmentFailure, UsageError
from harness.escape import short
from harness.store import save

_PREFIX = "splitbrain-worker-"
_CONNECT_S = 10
_FLYING_A_THREAD = 2


class Returned(msgspec.Struct, frozen=True):
    """What a worker gives back: the row, and the files of the run by their path in it."""

    row: Row
    files: Mapping[str, bytes]


def connected(address: str, whole: bool) -> Callable[[Iterable[Task]], Generator[Row, None, None]]:
    """The engine that makes runs on the workers of that scheduler. If `whole`, all of a valid run comes home.

    Raises `UsageError` if nothing answers there, or if the workers have another version of splitbrain.
    """
    # What it has to say of a lost scheduler, in many lines, we say in one.
    for name in ("distributed.client", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_CONNECT_S)
        versions = client.run(_version)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"--scheduler {address}: no scheduler answers ({error})") from error
    others = sorted({version for version in versions.values() if version != harness.__version__})
    if others or not versions:
        have = f"have splitbrain {', '.join(others)}, and this is {harness.__version__}" if others else "are none"
        raise UsageError(f"--scheduler {address}: its workers {have}; start workers of the same version")
    return lambda tasks: completed(tasks, client, whole)


def completed(tasks: Iterable[Task], client: Client, whole: bool) -> Generator[Row, None, None]:
    """The rows of the tasks as they end. A task is taken when there is room for it. Closes the client.

    Raises `EnvironmentFailure` if the scheduler is lost: what was under way then has no row, and is made again.
    """
    source = iter(tasks)
    flying: dict[str, Task] = {}
    futures = as_completed()

    def room() -> int:
        with _reaching(client):
            return int(_FLYING_A_THREAD * max(sum(client.nthreads().values()), 1)) - len(flying)

    def launch() -> None:
        while room() > 0 and (task := next(source, None)) is not None:
            key = f"{task.assignment.campaign}/{task.run.name}"
            flying[key] = task
            with _reaching(client):
                futures.add(client.submit(make, task.assignment, task.limits, whole, key=key, retries=0))

    launch()
    try:
        for future in futures:
            yield _landed(flying.pop(future.key), future, client)
            future.release()
            launch()
    finally:
        with suppress(*_GONE):
            client.cancel(list(futures.futures))
        client.close()


_GONE = (OSError, CancelledError, ClosedClientError)
"""What a client raises that has lost its scheduler."""


@contextmanager
def _reaching(client: Client) -> Iterator[None]:
    """The body talks to the scheduler, and to nobody else: what breaks in it is the connection."""
    try:
        yield
    except _GONE:
        raise _lost(client) from None


def _lost(client: Client) -> EnvironmentFailure:
    return EnvironmentFailure(f"the scheduler at {client.scheduler.address} is gone")


def make(assignment: Assignment, limits: Limits, whole: bool) -> bytes:
    """Make a run here, on a worker; what is left of it, packed. Nothing stays here, also of workers that died."""
    remove_abandoned(_PREFIX)
    scratch = Scratch(_PREFIX)
    try:
        return pack(_made(scratch.path, assignment, limits, whole))
    finally:
        scratch.remove()


def _made(store: Path, assignment: Assignment, limits: Limits, whole: bool) -> Returned:
    """The run, made in that store, and those of its files that are to come home."""
    run = store / assignment.campaign / assignment.job
    run.mkdir(parents=True)
    save(run / "job.json", assignment)
    row = carry_out(Task(store=store, run=run, assignment=assignment, limits=limits), _children())
    everything = whole or row.verdict is not Outcome.VALID
    kept = row if everything else msgspec.structs.replace(row, keeps="results")
    paths = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
    files = {
        str(path.relative_to(run)): path.read_bytes()
        for path in paths
        if everything or (path.parent == run and path.name in REDUCED)
    }
    return Returned(kept, files)


def pack(returned: Returned) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(returned))


def unpack(packed: bytes) -> Returned:
    return msgspec.msgpack.decode(zlib.decompress(packed), type=Returned)


def _landed(task: Task, future: Future, client: Client) -> Row:
    """The row of a task that has ended, with its files in its directory; the row is written last."""
    with _reaching(client):
        broken = future.exception() if future.status == "error" else None
        packed = future.result() if future.status == "finished" else None
    if broken is not None:
        end = Exit("crash", 0.0, f"no worker made it: {broken}")
        return row_of_exit(task.store, task.run, task.assignment, end)
    if packed is None:  # a client that has lost its scheduler calls its tasks cancelled
        raise _lost(client)
    returned = unpack(packed)
    for name, content in returned.files.items():
        if name not in ("row.json", "job.json"):
            _write(task.run, name, content)
    row = msgspec.structs.replace(returned.row, run=str(task.run.relative_to(task.store)))
    save(task.run / "row.json", row)
    return row


def _write(run: Path, name: str, content: bytes) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise EnvironmentFailure(f"a worker returned a file that is not of its run: {short(name)}")
    (run / path).parent.mkdir(parents=True, exist_ok=True)
    (run / path).write_bytes(content)


def _children() -> Children:
    """The runs of this worker, one set for all of its threads."""
    worker = get_worker()
    children: Children = worker.__dict__.setdefault("splitbrain_children", Children())
    return children


def _version() -> str:
    return harness.__version__
