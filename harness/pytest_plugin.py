"""The pytest plugin: definitions of tests expand to one item a seed, and failures say how to have them again.

    @pytest.mark.splitbrain(nodes=3, nemesis="partition,kill", seeds=range(5))
    def test_it_is_linearizable(splitbrain_run):
        splitbrain_run.assert_valid()

Lives here: hooks, options, the marker and the fixture. Must not live here: making runs (`harness.testing`).

pytest loads this file wherever splitbrain is installed, also for those who never use it: so before a test
asks for a run it imports nothing but what pytest has imported, and the defaults, which need nothing.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from harness import defaults

if TYPE_CHECKING:
    from harness.test import Test
    from harness.testing import Run

_MARKER = "splitbrain"
_FIXTURE = "splitbrain_run"
_WORKER_INPUT = "splitbrain_seed"
_MARKER_HELP = (
    f"splitbrain(seeds=[...], env='sim', nodes={defaults.NODES}, nemesis='{defaults.NEMESIS}', "
    f"interval={defaults.INTERVAL_S:g}, time_limit={defaults.CASE_TIME_LIMIT_S:g}, rate={defaults.RATE:g}, "
    f"concurrency='{defaults.CONCURRENCY}', workload='{defaults.WORKLOAD}', mutant=None, schedule=None): run this "
    "definition with each of the seeds, and hand the runs to the test as splitbrain_run"
)

_run = pytest.StashKey["Run"]()
_spent_s = pytest.StashKey[float]()
_drawn_seed = pytest.StashKey[int]()


class Node(Protocol):
    """A worker of pytest-xdist, as its controller sees it."""

    config: pytest.Config
    workerinput: dict[str, Any]


# -- options -----------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("splitbrain", "tests of replicated systems")
    group.addoption("--splitbrain-env", metavar="ENV", help="auto, docker, local or sim; by default as tests say")
    group.addoption("--splitbrain-seeds", metavar="SEEDS", help="such as 7, 1,5 or 1..100; by default as tests say")
    group.addoption(
        "--splitbrain-budget", metavar="SECONDS", type=float, help="no run begins after so much time in runs"
    )
    group.addoption(
        "--splitbrain-store", metavar="DIR", help="where runs are kept; by default in a temporary directory"
    )
    group.addoption("--require-docker", action="store_true", help="fail what is skipped where no Docker Engine answers")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER_HELP)
    if (text := config.getoption("--splitbrain-seeds")) is not None:
        _seeds(text)
    if (env := config.getoption("--splitbrain-env")) is not None:
        _require_environment(env)
    config.stash[_spent_s] = 0.0
    # A worker of pytest-xdist has the seed of the session that started it: they must all collect the same tests.
    shared = getattr(config, "workerinput", {}).get(_WORKER_INPUT)
    config.stash[_drawn_seed] = random.SystemRandom().randrange(1 << 31) if shared is None else shared


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Node) -> None:
    """Tell a worker of pytest-xdist the seed."""
    node.workerinput[_WORKER_INPUT] = node.config.stash[_drawn_seed]


def pytest_report_header(config: pytest.Config) -> str:
    if given := config.getoption("--splitbrain-seeds"):
        return f"splitbrain: seeds {given}"
    seed = config.stash[_drawn_seed]
    return f"splitbrain: seed {seed} for tests that name none (--splitbrain-seeds {seed} repeats them)"


def _seeds(text: str) -> Iterable[int]:
    """The seeds of `7`, `1,5` or `1..100`."""
    if match := re.fullmatch(r"(\d+)\.\.(\d+)", text):
        return range(int(match[1]), int(match[2]) + 1)
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise pytest.UsageError(f"--splitbrain-seeds {text}: give seeds such as 7, 1,5 or 1..100")
    return [int(word) for word in text.split(",")]


def _require_environment(name: str) -> None:
    """One that does not exist is a mistake; one that this machine does not have is for each test to skip."""
    from harness.environments.choose import require_known
    from harness.errors import UsageError

    try:
        require_known(name)
    except UsageError as error:
        raise pytest.UsageError(str(error).replace("--env", "--splitbrain-env", 1)) from None


# -- the marker --------------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item a seed for each test that takes a run."""
    item = metafunc.definition
    if _FIXTURE not in metafunc.fixturenames:
        if any(mark.name == _MARKER for mark in item.own_markers):
            pytest.fail(f"{item.name} is marked {_MARKER} but does not take {_FIXTURE}", pytrace=False)
        return
    marks = list(item.iter_markers(_MARKER))
    if not marks:
        pytest.fail(f"{item.name} takes {_FIXTURE}: mark it with @pytest.mark.{_MARKER}(...)", pytrace=False)
    definitions = _definitions(metafunc.config, item.name, marks)
    ids = [f"seed{test.seed}" for test in definitions]
    metafunc.parametrize(_FIXTURE, definitions, indirect=True, ids=ids)


def _definitions(config: pytest.Config, name: str, marks: Iterable[pytest.Mark]) -> list[Test]:
    """The definitions of a test, one a seed. Marks of a class or a module hold unless the test's say else."""
    from harness.environments.choose import require_known
    from harness.errors import UsageError
    from harness.testing import define

    options: dict[str, object] = {}
    for mark in marks:
        if mark.args:
            pytest.fail(f"{name}: the marker {_MARKER} takes named options only", pytrace=False)
        options = {**mark.kwargs, **options}
    seeds = options.pop("seeds", None)
    if (text := config.getoption("--splitbrain-seeds")) is not None:
        seeds = _seeds(text)
    if (env := config.getoption("--splitbrain-env")) is not None:
        options["env"] = env
    chosen = [config.stash[_drawn_seed]] if seeds is None else _listed(name, seeds)
    try:
        require_known(str(options.get("env", "auto")))
        return [define(seed=seed, **options) for seed in chosen]  # type: ignore[arg-type]  # checked when it is called
    except (UsageError, TypeError) as error:
        pytest.fail(f"{name}: {error}", pytrace=False)


def _listed(name: str, seeds: object) -> list[int]:
    given = list(seeds) if isinstance(seeds, Iterable) else [seeds]
    numbers = [seed for seed in given if isinstance(seed, int)]
    if not numbers or numbers != given:
        pytest.fail(f"{name}: seeds={seeds!r}: give at least one number, such as seeds=range(5)", pytrace=False)
    return numbers


# -- the fixture -------------------------------------------------------------------------------------------------------


@pytest.fixture
def splitbrain_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of the definition that the test is marked with: `verdict`, `reason`, `history`, `assert_valid()`."""
    from harness.errors import UsageError
    from harness.testing import run_test

    test = _possible(request.config, request.param)
    store = request.config.getoption("--splitbrain-store")
    directory = Path(store) if store else tmp_path_factory.mktemp(_MARKER)
    begin = time.monotonic()
    try:
        made = run_test(test, directory)
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        request.config.stash[_spent_s] += time.monotonic() - begin
    request.node.stash[_run] = made
    return made


def _possible(config: pytest.Config, test: Test) -> Test:
    """The test with an environment that this machine has; else it is skipped, and so when the budget is spent."""
    from msgspec.structs import replace

    from harness.environments.choose import choose
    from harness.errors import UsageError

    budget_s, spent_s = config.getoption("--splitbrain-budget"), config.stash[_spent_s]
    if budget_s is not None and spent_s >= budget_s:
        pytest.skip(f"the budget of {budget_s:g} s is spent")
    try:
        environment, _ = choose(test.environment)
        return replace(test, environment=environment)
    except UsageError as error:
        reason = str(error)
    if test.environment == "docker" and config.getoption("--require-docker"):
        pytest.fail(f"--require-docker: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (made := item.stash.get(_run, None)) is not None:
        report.sections.append(("splitbrain", "\n".join(made.how_to_repeat())))
    return report
