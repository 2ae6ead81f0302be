"""The main path: run a test, and judge it.

    definition -> set up -> wait until healthy -> workload and nemesis -> heal -> wait until healthy -> final operations
               -> fetch logs, tear down -> check -> results

Lives here: that order, and nothing else. Start reading the harness here: `harness.test` is what goes in, an environment
is where it happens, `harness.driver` carries out generators, `harness.judge` turns what was recorded into results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from checkers.history import NEMESIS, Event
from checkers.result import Verdict
from harness.adapters.base import Adapter
from harness.artefact import artefact_of
from harness.cluster import Cluster
from harness.driver import Driver, Handler
from harness.environments.base import Environment
from harness.errors import LEFT, EnvironmentFailure, Interrupted
from harness.generator import AnyOf, Generator, Thread, TimeLimit, nemesis
from harness.interpreter import Interpreter
from harness.judge import Evidence, Results, judge
from harness.ledger import FileLedger, NoLedger, Run
from harness.nemesis import schedule, script
from harness.nemesis.fault import Aim
from harness.nemesis.life import Life
from harness.nemesis.specs import possible
from harness.nemesis.windows import troubles_at_the_end
from harness.recorder import Recorder
from harness.store import RunDirectory, Say, save
from harness.test import Test
from harness.worker import Worker
from harness.workloads import WORKLOADS
from harness.workloads.base import Pace, Workload

_UNHEALED_LIMIT_S = 10.0
"""How long a cluster may take to come back whose last faults could not be undone: it cannot be blamed for that."""

STREAMS = ("generator", "clients", NEMESIS, "targets")
"""The random streams of a test, each derived from its seed by name: what one draws never changes what another draws."""


def run(test: Test, environment: Environment, adapter: Adapter, directory: RunDirectory) -> Results:
    """The results of one run, saved in its directory along with everything else.

    A run that was interrupted (KeyboardInterrupt) or that broke (`UsageError`, any other exception) raises, after its
    environment was torn down; the history up to then is in the directory.
    """
    save(directory.definition, test)
    recorder = Recorder(directory.history, environment.digest)
    session = Session(test, environment, adapter, directory, recorder)
    try:
        environment.run(session.execute)
    except EnvironmentFailure as failure:
        session.evidence.failure = str(failure)
    except KeyboardInterrupt:
        if session.left is not None:
            raise Interrupted(f"not all that was started has been stopped: {session.left}") from None
        raise
    finally:
        recorder.close()
    session.evidence.digest = environment.digest.text() if environment.digest else None
    events = recorder.events()
    leader_changes = adapter.leader_changes(directory.path)
    results = judge(test, session.evidence, events, leader_changes, str(directory.path))
    _keep(test, results, events, directory, environment.say)
    return results


def _keep(test: Test, results: Results, events: Sequence[Event], directory: RunDirectory, say: Say) -> None:
    """Save the results, then all that follows from them. The verdict stands whatever of it fails, which is said."""

    def keep_artefact() -> None:
        if results.verdict == Verdict.INVALID:
            save(directory.artefact, artefact_of(test, results, events))

    steps: tuple[Callable[[], None], ...] = (
        lambda: save(directory.results, results),
        keep_artefact,
        lambda: directory.finish(say),
    )
    for step in steps:
        try:
            step()
        except EnvironmentFailure as failure:
            if step is steps[0] and results.verdict == Verdict.UNKNOWN:
                raise  # it says as much, and why
            say(str(failure))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not take the verdict with it
            say(f"{directory.path}: not everything could be kept: {error!r}")


@dataclass
class Session:
    """One execution of a test: from an environment that is not there yet to one that is gone again."""

    test: Test
    environment: Environment
    adapter: Adapter
    directory: RunDirectory
    recorder: Recorder
    ledger: FileLedger | NoLedger = field(default_factory=NoLedger)
    evidence: Evidence = field(default_factory=Evidence)
    left: str | None = None
    """What could not be taken down, and how to remove it."""

    async def execute(self) -> None:
        """Set up, run all phases, tear down. An environment that breaks on the way is evidence, not an error."""
        remains = self.environment.remains()
        if remains is not None:
            self.ledger = FileLedger(Run(self.environment.name, str(self.directory.path), remains))
        try:
            await self.environment.setup()
            await self._phases()
        except EnvironmentFailure as failure:
            self.evidence.failure = str(failure)
        finally:
            try:
                await self.environment.fetch(self.directory.path)
            finally:
                await self._tear_down()

    async def _tear_down(self) -> None:
        """Take everything down. The ledger goes with it: in between no signal could tell the two apart."""
        clean = False
        try:
            clean = await self.environment.teardown()
        finally:
            self.left = None if clean else f"{LEFT} of the run {self.directory.path}"
            self.ledger.close(clean)

    async def _phases(self) -> None:
        test, environment, recorder = self.test, self.environment, self.recorder
        cluster = Cluster(environment, self.adapter)
        aims, self.evidence.skipped = possible(test.nemesis, environment.capabilities, environment.name)
        workers = [self._worker(thread) for thread in range(test.concurrency)]
        driver = self._driver(cluster, aims, workers)
        if complaint := await cluster.wait_healthy(test.recovery_limit_s):
            raise EnvironmentFailure(f"the cluster did not form within {test.recovery_limit_s:g} s: {complaint}")
        await driver.drive(self._operations(aims))
        mark = recorder.mark()
        await driver.drive(nemesis(schedule.final_generator(aims)))
        unhealed = troubles_at_the_end([aim.fault.name for aim in aims], recorder.events(mark))
        limit_s = min(test.recovery_limit_s, _UNHEALED_LIMIT_S) if unhealed else test.recovery_limit_s
        await self._final_phase(cluster, driver, limit_s)
        for worker in workers:
            worker.close()

    async def _final_phase(self, cluster: Cluster, driver: Driver, limit_s: float) -> None:
        """On the healed cluster every node must become healthy and every key be served, both within the limit.

        An operation may still fail, since leaders may change for reasons of their own; then it is tried again.
        """
        recorder, workload = self.recorder, self._workload
        mark, deadline_ns = recorder.mark(), self.environment.now_ns() + int(limit_s * 1e9)
        self.evidence.unrecovered = await cluster.wait_healthy(limit_s)
        keys = unserved = workload.keys(recorder.events())
        while unserved and self.environment.now_ns() < deadline_ns:
            await driver.drive(workload.final_generator(unserved, self._pace))
            unserved = workload.unserved(keys, recorder.events(mark))
        self.evidence.unserved = unserved
        if self.evidence.unrecovered or unserved:
            await cluster.observe(())  # raises where a machine itself is lost: then nobody can blame the cluster

    @property
    def _workload(self) -> Workload:
        return WORKLOADS[self.test.workload]

    @property
    def _pace(self) -> Pace:
        return Pace(self.test.concurrency, len(self.test.nodes), self.test.rate)

    def _driver(self, cluster: Cluster, aims: Sequence[Aim], workers: Sequence[Worker]) -> Driver:
        """Who carries out which operation: a worker each client's, a fault's life the nemesis'."""
        streams = {name: Random(f"{self.test.seed}/{name}") for name in STREAMS}
        life = Life(self.environment, cluster, self.ledger, streams["targets"])
        handlers: dict[Thread, Handler] = {thread: worker.handle for thread, worker in enumerate(workers)}
        handlers[NEMESIS] = schedule.handler(aims, life)
        return Driver(self.environment, Interpreter(self.test.concurrency, streams), handlers, self.recorder)

    def _operations(self, aims: Sequence[Aim]) -> Generator:
        """What clients and nemesis do in the main phase. Faults come as recorded, else by chance."""
        limit_s, recorded = self.test.time_limit_s, self.test.schedule
        faults = schedule.generator(aims, limit_s) if recorded is None else script.generator(recorded)
        both = AnyOf((self._workload.generator(self._pace), nemesis(faults)))
        missing = frozenset(aim.fault.name for aim in aims)
        return schedule.UntilSeen(limit_s, both, missing) if recorded is None else TimeLimit(limit_s, both)

    def _worker(self, thread: int) -> Worker:
        """The worker of a thread, whose clients all belong to one node: workers go round the nodes."""
        test, workload = self.test, self._workload
        node = test.nodes[thread % len(test.nodes)]
        return Worker(lambda: workload.client(self.adapter, self.environment, node, test.operation_timeout_s))
