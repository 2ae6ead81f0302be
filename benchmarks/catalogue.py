"""How long `splitbrain runs` takes with a filter, as a user waits for it: a process each time, the median of five.

    python benchmarks/catalogue.py --rows 100000

Prints one JSON object: seconds by filter, beside those of `splitbrain --help`, which are Python's start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.campaign.catalogue import FILE, opened
from harness.campaign.cells import Cell
from harness.campaign.row import Outcome, Row
from harness.signature import Signature

FILTERS = (
    (),
    ("--verdict", "invalid"),
    ("--cell", "nodes=4"),
    ("--version", "1.3"),
    ("--signature", "goes back", "--since", "1970-01-02"),
)
_TIMES = 5
_BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        with opened(Path(store)) as known:
            for first in range(0, options.rows, _BATCH):
                known.add(rows(first, min(first + _BATCH, options.rows)))
        size = Path(store, FILE).stat().st_size
        seconds = {" ".join(words) or "none": timed("runs", "--store", store, *words) for words in FILTERS}
    print(json.dumps({"rows": options.rows, "bytes": size, "start_s": timed("--help"), "seconds": seconds}))


def rows(first: int, end: int) -> Iterator[Row]:
    """Rows as campaigns of a thousand runs leave them, one in a hundred invalid."""
    stale = Signature("linearizable", "a version goes back", "read")
    for number in range(first, end):
        invalid = number % 100 == 7
        yield Row(
            run=f"night-{number // 1000}/{number}",
            campaign=f"night-{number // 1000}",
            job=str(number),
            cell=Cell(env="sim", nodes=3 + number % 3, nemesis="partition,kill", rate=100.0, time_limit=30.0),
            seed=number,
            verdict=Outcome.INVALID if invalid else Outcome.VALID,
            reason="1: read [1] -> 20 @9 cannot be placed" if invalid else "a linearization, replayed",
            signature=stale if invalid else None,
            began=100_000.0 + number,
            seconds=2.0,
            version=f"1.{number // 10_000}",
            command=f"splitbrain run --env sim --nodes 3 --nemesis partition,kill --seed {number}",
            operations={"total": 335, "ok": 300, "fail": 32, "info": 3},
            faults={"partition": 3, "kill": 2},
            leader_changes=4,
        )


def timed(*words: str) -> float:
    """Median seconds of the command line."""
    taken = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness", *words], stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - begin)
    return round(statistics.median(taken), 3)


if __name__ == "__main__":
    main()
