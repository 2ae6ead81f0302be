"""What it costs to coordinate a run: processor time outside of the run's own process, and bytes brought home.

    python benchmarks/campaign.py --engine pool --runs 200
    python benchmarks/campaign.py --engine dask --runs 200
    python benchmarks/campaign.py --engine hollow --runs 500

Prints one JSON object. `coordination_ms` is the processor time of this process for each run, which makes all decisions
and writes all rows; with dask it is scheduler and client; the workers are processes of their own. `start_ms` is what
it takes to find the store, draw up the jobs and open the catalogue, for the whole campaign. `hollow` is dask with runs
that do nothing, and client, scheduler and worker in this process: what all of dask costs a run.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from harness.campaign.begin import begin
from harness.campaign.conduct import Conductor, Engine
from harness.campaign.directory import Assignment
from harness.campaign.execute import Limits
from harness.campaign.hook import Hook
from harness.campaign.load import load, parse_seeds
from harness.campaign.pool import completed
from harness.campaign.row import Outcome, Row
from harness.commands.watch import Watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=["pool", "dask", "hollow"], default="pool")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    axes = {"env": ["sim"], "nodes": [3], "nemesis": ["partition"], "interval": [0.5], "rate": [50]}
    plan = load(None, {"axes": axes, "seeds": parse_seeds(str(options.runs)), "time_limit_s": 2, "jobs": options.jobs})
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        engine = engine_of(options.engine, options.jobs, stack)
        before_s = time.process_time()
        campaign = begin(Path(scratch, "store"), plan)
        started_s, began = time.process_time(), time.monotonic()
        with Watch("benchmark") as watch:
            summary = Conductor(campaign, plan, engine, watch, Hook(campaign.store, None)).conduct()
        seconds, used_s = time.monotonic() - began, time.process_time() - started_s
        kept = sum(path.lstat().st_size for path in campaign.path.rglob("*") if path.is_file())
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {
        "engine": options.engine,
        "runs": len(summary.runs),
        "valid": summary.counts["valid"],
        "seconds": round(seconds, 2),
        "runs_a_minute": round(60 * len(summary.runs) / seconds, 1),
        "start_ms": round(1e3 * (started_s - before_s), 1),
        "coordination_ms": round(1e3 * used_s / len(summary.runs), 2),
        "run_process_ms": round(1e3 * (children.ru_utime + children.ru_stime) / len(summary.runs), 1),
        "kept_bytes": round(kept / len(summary.runs)),
    }
    print(json.dumps(result))


def engine_of(name: str, jobs: int, stack: ExitStack) -> Engine:
    """The engine; dask's scheduler runs in this process, its workers do not."""
    if name == "pool":
        return lambda tasks: completed(tasks, jobs)
    from distributed import LocalCluster

    from harness.campaign import engine_dask

    hollow = name == "hollow"
    cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, processes=not hollow, dashboard_address=None)
    stack.enter_context(cluster)
    if hollow:
        engine_dask.make = nothing
    return engine_dask.connected(cluster.scheduler_address, whole=False)


def nothing(assignment: Assignment, limits: Limits, whole: bool) -> bytes:
    """What a worker gives back of a run, without having made one; as large as a valid run's results are."""
    from harness.campaign.engine_dask import Returned, pack

    row = Row(
        run="",
        campaign=assignment.campaign,
        job=assignment.job,
        cell=assignment.cell,
        seed=assignment.seed,
        verdict=Outcome.VALID,
        reason="nothing was run",
        began=assignment.began,
        seconds=0.0,
        keeps="results",
    )
    return pack(Returned(row, {"results.json": bytes(2000), "test.json": bytes(800)}))


if __name__ == "__main__":
    main()
