"""What needs a machine that can do it: tests marked `docker` and `local`.

Lives here: skipping with the environment's own reason (`--require-docker` is an option of our own plugin), and running
the `local` ones inside the private namespace that they need. All that were selected run there in one pytest of its own,
and then end here as they ended there. Hypothesis needs no profile from us: it takes its own, without randomness,
wherever CI is set.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from harness.environments import namespace
from harness.environments.docker import DockerEnvironment
from harness.environments.local import LocalEnvironment

_DEADLINE_S = 600.0
_REEXECUTE = "import sys; from harness.environments import namespace; sys.exit(namespace.reexecute(sys.argv[1:]))"

_unavailable = {"docker": cache(DockerEnvironment.unavailable), "local": cache(LocalEnvironment.unavailable)}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reports-to", metavar="FILE", type=Path, help="write each report to FILE, as a line of JSON")


def pytest_configure(config: pytest.Config) -> None:
    # A shell makes what it starts in the background deaf to Ctrl-C, and nohup to a hangup; and so would be the commands
    # that we interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Ledgers of the tests' own: what a developer's dead runs left is none of their business.
    state = tempfile.TemporaryDirectory(prefix="splitbrain-state-")
    os.environ["SPLITBRAIN_STATE"] = state.name
    config.add_cleanup(state.cleanup)
    if (file := config.getoption("--reports-to")) is not None:
        config.pluginmanager.register(_ReportWriter(config, file))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, unavailable in _unavailable.items():
        if item.get_closest_marker(name) is not None and (reason := unavailable()) is not None:
            if name == "docker" and item.config.getoption("--require-docker"):
                pytest.fail(f"--require-docker: {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """End as the test ended inside; None, so that it is called here, unless it belongs there."""
    if not _belongs_inside(pyfuncitem):
        return None
    inside = _Inside.of(pyfuncitem.session)
    reports = inside.reports.get(pyfuncitem.nodeid, [])
    if not reports or reports[-1].when != "teardown":
        pytest.fail(f"the session inside of the namespace died before it, or in it:\n{inside.output}", pytrace=False)
    for report in reports:
        if report.failed:
            printed = [f"{title}:\n{text}" for title, text in report.sections]
            pytest.fail("\n".join([report.longreprtext, *printed]), pytrace=False)
        if report.skipped:
            _, _, reason = report.longrepr
            pytest.skip(reason.removeprefix("Skipped: "))
    return True


def _belongs_inside(item: pytest.Item) -> bool:
    return item.get_closest_marker("local") is not None and not namespace.inside()


class _ReportWriter:
    """Writes the reports of this session where the one outside reads them."""

    def __init__(self, config: pytest.Config, file: Path) -> None:
        self._config = config
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(data) + "\n")


class _Inside:
    """The session inside: what it reported, by test, and what it printed."""

    _KEY = pytest.StashKey["_Inside"]()

    def __init__(self, session: pytest.Session) -> None:
        config = session.config
        items = [item.nodeid for item in session.items if _belongs_inside(item)]
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "reports.jsonl")
            options = [f"--reports-to={file}", f"--tb={config.option.tbstyle}", "-p", "no:cacheprovider"]
            self.output = _run_inside(config.rootpath, [sys.executable, "-m", "pytest", *options, *items])
            self.reports = _by_test(config, file)

    @classmethod
    def of(cls, session: pytest.Session) -> _Inside:
        """The one session inside, which is run when it is first asked for."""
        if cls._KEY not in session.stash:
            session.stash[cls._KEY] = cls(session)
        return session.stash[cls._KEY]


def _run_inside(directory: Path, command: list[str]) -> str:
    """What the command printed."""
    # From a process of its own: the signal handlers of this one stay pytest's.
    outer = [sys.executable, "-c", _REEXECUTE, *command]
    with tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(
                outer, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_DEADLINE_S
            )
        except subprocess.TimeoutExpired:
            output.write(f"\nstopped after {_DEADLINE_S:.0f} s")
        output.seek(0)
        return output.read()


def _by_test(config: pytest.Config, file: Path) -> Mapping[str, list[pytest.TestReport]]:
    reports: dict[str, list[pytest.TestReport]] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        report = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
        reports.setdefault(report.nodeid, []).append(report)
    return reports
