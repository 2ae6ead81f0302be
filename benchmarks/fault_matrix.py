"""Each kind of fault once in each environment that declares it, on a cluster at work: what proved it, and how soon.

    python benchmarks/fault_matrix.py [--env sim --env local --env docker] [--repeat 1] [--nodes 5] [--json]
    python benchmarks/fault_matrix.py --env ssh --hosts n1=root@10.0.0.1,... [--identity FILE] [--known-hosts FILE]

A cell is the time from the fault's begin until it was believed, and its evidence; of what was seen only when the fault
ended, "late". "APPLIED, NOT SEEN" is what must not be, and neither must a fault that could not be made or undone: then
the exit code is 1. The last rows are the medians. `--json`: every window, with its evidence in full.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.adapters.base import Definite, Indefinite
from harness.adapters.raft_register import RaftRegister
from harness.cluster import Cluster
from harness.environments import choose, namespace
from harness.environments.base import Environment
from harness.errors import EnvironmentFailure
from harness.ledger import FileLedger, NoLedger, Run
from harness.nemesis.fault import Aim
from harness.nemesis.life import Life
from harness.nemesis.schedule import draw
from harness.nemesis.specs import parse_nemesis, possible
from harness.test import Test, node_names

OPEN_S = 3.0
"""How long a fault is in force after it was first looked for: on a busy machine one packet in ten takes its time."""
HEALTHY_S = 60.0
PAUSE_S = 0.005
TIMEOUT_S = 0.5
WIDTH = 200
SEEN, LATE, NOT_SEEN, FAILED, LACKING = "seen", "late", "APPLIED, NOT SEEN", "failed", "lacking"


@dataclass(frozen=True)
class Window:
    """What became of one fault. `what` is the evidence, the failure, or what the environment lacks."""

    fault: str
    environment: str
    outcome: str
    what: object
    believed_ms: float | None = None


# -- in one environment ------------------------------------------------------------------------------------------------


def kinds_of(aim: Aim) -> list[tuple[str, Aim]]:
    """Every kind of a fault, under its name, aimed at the leader; of partitions, every shape."""
    if "shape" in aim.fault.choices:
        return [
            (f"{aim.fault.name}:{shape}", replace(aim, given={"shape": shape})) for shape in aim.fault.choices["shape"]
        ]
    target = {"target": "leader"}
    if aim.kinds == ("",):
        return [(aim.fault.name, replace(aim, given=target))]
    return [(f"{aim.fault.name}:{kind}", replace(aim, given={**target, "kind": kind})) for kind in aim.kinds]


class Bench:
    """A cluster at work, and the faults that are done to it."""

    def __init__(self, environment: Environment, adapter: RaftRegister, directory: Path) -> None:
        remains = environment.remains()
        self.ledger = NoLedger() if remains is None else FileLedger(Run(environment.name, str(directory), remains))
        self.clean = False
        self._environment = environment
        self._adapter = adapter
        self._cluster = Cluster(environment, adapter)
        self._working = True

    async def measure(self, seed: int, repeat: int) -> list[Window]:
        """All windows, one after the other."""
        try:
            await self._environment.setup()
            await self._recover()
            for number in range(len(self._environment.nodes)):
                self._environment.spawn(self._work(number))
            return await self._windows(seed, repeat)
        finally:
            self._working = False
            self.clean = await self._environment.teardown()

    async def _windows(self, seed: int, repeat: int) -> list[Window]:
        name, life = (
            self._environment.name,
            Life(self._environment, self._cluster, self.ledger, Random(f"{seed}/targets")),
        )
        aims, skipped = possible(parse_nemesis("all", 1.0), self._environment.capabilities, name)
        kinds = [kind for aim in aims for kind in kinds_of(aim)] * repeat
        random, windows = Random(seed), [Window(fault, name, LACKING, reason) for fault, reason in skipped.items()]
        for fault, aim in track(kinds, f"{name:<7}", console=Console(stderr=True)):
            windows.append(await self._window(life, fault, aim, random))
        return windows

    async def _window(self, life: Life, fault: str, aim: Aim, random: Random) -> Window:
        name = self._environment.name
        try:
            begun = await life.begin(aim.fault, draw(aim, random))
            await self._environment.sleep(OPEN_S)
            ended = await life.end(aim.fault)
            await self._recover()
        except EnvironmentFailure as failure:
            return Window(fault, name, FAILED, str(failure))
        if "skipped" in begun:
            return Window(fault, name, FAILED, begun["skipped"])
        if begun["evidence"] is not None:
            believed_ms = begun["believed_ms"]
            assert isinstance(believed_ms, float)
            return Window(fault, name, SEEN, begun["evidence"], believed_ms)
        return Window(fault, name, LATE if ended["evidence"] else NOT_SEEN, ended["evidence"] or begun["told"])

    async def _recover(self) -> None:
        if (complaint := await self._cluster.wait_healthy(HEALTHY_S)) is not None:
            raise EnvironmentFailure(f"the cluster is not healthy after {HEALTHY_S:.0f} s: {complaint}")

    async def _work(self, number: int) -> None:
        """Write, as a client of one node, as long as anything is measured: packets and disks are seen by their use."""
        node, value = self._environment.nodes[number], 0
        while self._working:
            client = self._adapter.client(self._environment, node, TIMEOUT_S)
            try:
                await client.open()
                while self._working:
                    value += 1
                    await client.write(number, value)
                    await self._environment.sleep(PAUSE_S)
            except (Definite, Indefinite):
                await self._environment.sleep(PAUSE_S)
            finally:
                client.close()


def measure(options: argparse.Namespace, directory: Path) -> list[Window]:
    """The windows of the one environment that the options name, which must be entered already."""
    test = Test(
        environment=options.env[0],
        nodes=node_names(options.nodes),
        workload="register",
        nemesis=parse_nemesis("all", 1.0),
        time_limit_s=1.0,
        rate=1.0,
        concurrency=1,
        seed=options.seed,
        hosts=options.hosts,
        identity=options.identity,
        known_hosts=options.known_hosts,
        accept_unknown_hosts=options.accept_unknown_hosts,
    )
    adapter = RaftRegister()
    environment = choose.make(test, adapter, directory, lambda notice: print(notice, file=sys.stderr))
    bench = Bench(environment, adapter, directory)
    try:
        return environment.run(lambda: bench.measure(options.seed, options.repeat))
    finally:
        bench.ledger.close(bench.clean)


# -- in all of them ----------------------------------------------------------------------------------------------------


def measured_elsewhere(environment: str, arguments: Sequence[str]) -> list[Window]:
    """The windows of one environment, measured in a process of its own: `local` has a namespace of its own."""
    with tempfile.TemporaryDirectory() as directory:
        rows = Path(directory) / "rows.json"
        again = [sys.executable, "-P", __file__, *arguments, "--env", environment, "--rows", str(rows)]
        enter = namespace.reexecute if environment == "local" else subprocess.call
        code = enter(again)
        if code != 0:
            sys.exit(f"{environment}: the measurement ended with {code}")
        return [Window(**row) for row in json.loads(rows.read_text())]


def brief(evidence: object) -> str:
    """The evidence in a few words: `packets_dropped 8`, `killed n1`."""
    if not isinstance(evidence, Mapping):
        return str(evidence)
    words = []
    for name, found in evidence.items():
        if isinstance(found, Mapping) and found:
            counts = name.startswith("packets") or name in ("delayed", "failed", "refused", "held")
            values = [value for value in found.values() if isinstance(value, int | float)]
            words.append(
                f"{name} {sum(values)}" if counts else f"{name} {', '.join(f'{k} {v:.4g}' for k, v in found.items())}"
            )
    return "; ".join(words)


def cell(windows: Sequence[Window]) -> str:
    """One fault in one environment: the worst of its windows, with the median of the times."""
    order = (NOT_SEEN, FAILED, LATE, SEEN, LACKING)
    worst = min(windows, key=lambda window: order.index(window.outcome))
    if worst.outcome == LACKING:
        return f"- ({worst.what})"
    times = [window.believed_ms for window in windows if window.believed_ms is not None]
    head = f"{statistics.median(times):.0f} ms" if worst.outcome == SEEN else worst.outcome
    return f"{head}: {brief(worst.what)}"


def show(environments: Sequence[str], windows: Sequence[Window]) -> None:
    """The matrix, and the medians below it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("fault", *environments):
        table.add_column(title, overflow="fold")
    for fault in dict.fromkeys(window.fault for window in windows):
        cells = [[w for w in windows if (w.fault, w.environment) == (fault, name)] for name in environments]
        table.add_row(fault, *(cell(found) if found else "-" for found in cells))
    console.print(table)
    for name in environments:
        mine = [window for window in windows if window.environment == name and window.outcome != LACKING]
        times = [window.believed_ms for window in mine if window.believed_ms is not None]
        counts = Counter(window.outcome for window in mine)
        console.print(
            f"{name}: {len(mine)} faults; {counts[SEEN]} seen, after "
            f"{statistics.median(times or [0]):.0f} ms at the median; "
            f"{counts[LATE]} seen late; {counts[NOT_SEEN]} applied, not seen; {counts[FAILED]} failed"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", action="append", help="where; again and again; all that work here by default")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="how often each fault is done")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hosts", help="machines for --env ssh")
    parser.add_argument("--identity")
    parser.add_argument("--known-hosts")
    parser.add_argument("--accept-unknown-hosts", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows is not None:
        options.env = options.env[-1:]
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            rows = [asdict(window) for window in measure(options, Path(directory))]
        options.rows.write_text(json.dumps(rows))
        return
    here = [name for name in ("sim", "local", "docker") if choose.ENVIRONMENTS[name].unavailable() is None]
    environments = options.env or here
    windows = [window for name in environments for window in measured_elsewhere(name, sys.argv[1:])]
    if options.json:
        print(json.dumps([asdict(window) for window in windows]))
    else:
        show(environments, windows)
    sys.exit(any(window.outcome in (NOT_SEEN, FAILED) for window in windows))


if __name__ == "__main__":
    main()
