"""What only the Docker environment does; what every environment does is in the conformance suite."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.adapters.base import Adapter
from harness.cli import call
from harness.environments import containers, namespace
from harness.environments import docker as docker_environment
from harness.environments.docker import DockerEnvironment, reclaim_run
from harness.environments.faults import ClockSetting
from harness.environments.owner import RUN, Owner
from harness.environments.realtime import RealTimeEnvironment
from harness.errors import EnvironmentFailure, UsageError
from harness.ledger import FileLedger, Run
from leftovers import things_labelled
from waiting import eventually

if TYPE_CHECKING:
    from docker import DockerClient

Ask = Callable[[RealTimeEnvironment, str, str], Awaitable[str]]
Answer = Callable[[RealTimeEnvironment, str, str, str], Awaitable[None]]
Session = Callable[[RealTimeEnvironment, Callable[[], Awaitable[None]]], None]

NODES = ("n1", "n2")
DEADLINE_S = 120.0
NET_ADMIN_ONLY = f"{1 << 12:016x}"


@pytest.fixture
def engine() -> Iterator[DockerClient]:
    import docker

    with closing(docker.from_env()) as client:
        yield client


def things(engine: DockerClient, run: str | None = None) -> dict[str, Mapping[str, str]]:
    """The containers, networks and volumes that carry a run's label: name -> labels."""
    label = {"label": f"{RUN}={run}" if run else RUN}
    found = [(thing["Names"][0], thing["Labels"]) for thing in engine.api.containers(all=True, filters=label)]
    found += [(thing["Name"], thing["Labels"]) for thing in engine.api.networks(filters=label)]
    found += [(thing["Name"], thing["Labels"]) for thing in engine.api.volumes(filters=label)["Volumes"] or []]
    return dict(found)


def ours(engine: DockerClient) -> dict[str, Mapping[str, str]]:
    """The things that this process owns."""
    return {name: labels for name, labels in things(engine).items() if Owner.of(labels) == Owner.current()}


def test_options_are_checked_before_anything_is_made(echo: Adapter) -> None:
    with pytest.raises(UsageError, match=r"^clock sundial: .* choose from node, libfaketime$"):
        DockerEnvironment(NODES, print, echo, clock="sundial")
    with pytest.raises(UsageError, match=r"^subnet 10\.0\.0\.1/24: "):
        DockerEnvironment(NODES, print, echo, subnet="10.0.0.1/24")


@pytest.mark.parametrize(
    ("host", "advice"), [("unix:///other", "set DOCKER_HOST=unix:///other"), (None, "unset DOCKER_")]
)
def test_what_was_made_on_another_engine_is_not_looked_for_here(
    host: str | None, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def remove_run(engine: object, run: str) -> int:
        return 0  # as where there is nothing

    monkeypatch.setattr(docker_environment, "remove_run", remove_run)
    monkeypatch.setattr("harness.environments.engine.unavailable", lambda: None)
    monkeypatch.setattr("harness.environments.engine.identity", lambda: "THIS")
    with pytest.raises(EnvironmentFailure, match=f"made on the engine OTHER, and another one answers: {advice}"):
        asyncio.run(reclaim_run({"run": "splitbrain-1", "engine": "OTHER", "host": host}))
    for engine in ("THIS", None):  # None: one that could not be told, or of an older ledger
        assert asyncio.run(reclaim_run({"run": "splitbrain-1", "engine": engine, "host": host})) == []


@pytest.mark.docker
def test_an_engine_is_known_again(echo: Adapter) -> None:
    remains = [json.loads(json.dumps(DockerEnvironment(NODES, print, echo).remains())) for _ in range(2)]
    assert remains[0]["run"] != remains[1]["run"]
    assert remains[0]["engine"] == remains[1]["engine"]
    assert remains[0]["engine"]
    assert asyncio.run(reclaim_run(remains[0])) == []


@pytest.mark.docker
def test_containers_may_filter_their_packets_and_nothing_else(
    echo: Adapter, ask: Ask, session: Session, engine: DockerClient
) -> None:
    environment = DockerEnvironment(NODES, print, echo)

    async def test() -> None:
        assert await ask(environment, "n1", "hello") == "hello"
        made = ours(engine)
        assert len(made) == 2 * len(NODES) + 1  # a container and a volume for each node, and the network
        for name in made:
            if not name.startswith("/"):
                continue
            container = engine.containers.get(name.removeprefix("/"))
            status = container.exec_run(["grep", "CapBnd", "/proc/1/status"]).output.decode()
            assert status.split() == ["CapBnd:", NET_ADMIN_ONLY]
            assert container.attrs["HostConfig"]["PortBindings"] in ({}, None)

    session(environment, test)
    assert ours(engine) == {}


@pytest.mark.docker
def test_a_cut_outlives_the_death_of_the_node(echo: Adapter, ask: Ask, answers: Answer, session: Session) -> None:
    environment = DockerEnvironment(NODES, print, echo)

    async def test() -> None:
        target = environment.address("n2")[0]
        await answers(environment, "n1", f"reach {target}", "yes")
        await environment.cut({"n2": frozenset({"n1"})})
        await environment.kill("n2")
        await environment.start("n2")
        assert await ask(environment, "n2", "hello") == "hello"
        assert await ask(environment, "n1", f"reach {target}") == "no"
        await environment.heal()
        await answers(environment, "n1", f"reach {target}", "yes")

    session(environment, test)


@pytest.mark.docker
def test_dead_nodes_are_reaped(echo: Adapter, ask: Ask, session: Session, engine: DockerClient) -> None:
    environment = DockerEnvironment(("n1",), print, echo)

    async def test() -> None:
        for _ in range(3):
            await ask(environment, "n1", "hello")
            await environment.kill("n1")
            assert not await environment.running("n1")
            await environment.start("n1")
        (container,) = (name for name in ours(engine) if name.startswith("/"))
        states = engine.containers.get(container.removeprefix("/")).exec_run(
            ["sh", "-c", "sed 's/.*) //; s/ .*//' /proc/[0-9]*/stat"]
        )
        assert "Z" not in states.output.decode().split()

    session(environment, test)


@pytest.mark.docker
def test_where_addresses_cannot_be_reached_ports_are_published_on_this_machine_only(
    echo: Adapter, ask: Ask, session: Session, engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_environment, "_reachable", lambda address: False)
    environment = DockerEnvironment(NODES, print, echo)

    async def test() -> None:
        for node in NODES:
            assert environment.address(node)[0] == "127.0.0.1"
            assert await ask(environment, node, f"hello {node}") == f"hello {node}"
        for name in ours(engine):
            if name.startswith("/"):
                ports = engine.containers.get(name.removeprefix("/")).attrs["NetworkSettings"]["Ports"]
                assert {binding["HostIp"] for bindings in ports.values() for binding in bindings} == {"127.0.0.1"}

    session(environment, test)


@pytest.mark.docker
def test_libfaketime_shifts_the_wall_clock_of_any_program(echo: Adapter, ask: Ask, session: Session) -> None:
    environment = DockerEnvironment(("n1",), print, echo, clock="libfaketime")

    async def shift_s() -> float:
        return float(await ask(environment, "n1", "time")) - time.time()

    async def test() -> None:
        assert abs(await shift_s()) < 5
        await environment.set_clock("n1", ClockSetting(offset_ms=-3_600_000))
        assert abs(await shift_s() + 3600) < 5
        await environment.kill("n1")
        await environment.start("n1")
        assert abs(await shift_s() + 3600) < 5
        with pytest.raises(UsageError, match="rate"):
            await environment.set_clock("n1", ClockSetting(rate=1.1))

    session(environment, test)


@pytest.mark.docker
def test_what_dead_harnesses_left_is_removed_and_what_living_ones_have_is_not(
    echo: Adapter, session: Session, engine: DockerClient
) -> None:
    dead = replace(Owner.current(), started="1").labels() | {RUN: "splitbrain-test-dead"}
    living = Owner.current().labels() | {RUN: "splitbrain-test-living"}
    said: list[str] = []

    async def test() -> None:
        assert things(engine, "splitbrain-test-dead") == {}
        assert list(things(engine, "splitbrain-test-living")) == ["splitbrain-test-living"]

    networks = [engine.networks.create(labels[RUN], internal=True, labels=labels) for labels in (dead, living)]
    try:
        session(DockerEnvironment(("n1",), said.append, echo), test)
    finally:
        for network in engine.networks.list(ids=[network.id for network in networks]):
            network.remove()
    assert any("removed splitbrain-test-dead" in notice for notice in said)


_HARNESS = """
import asyncio, sys
from harness.environments.docker import DockerEnvironment

class Idle:
    name = "idle"

    def command(self, python, node, places):
        return ["sleep", "600"]

environment = DockerEnvironment(("n1",), lambda notice: None, Idle())

async def main():
    try:
        await environment.setup()
        print("ready", flush=True)
        await asyncio.sleep(600)
    finally:
        await environment.teardown()

environment.run(main)
"""


_RECLAIM = """
import asyncio
from harness.environments.docker import reclaim
from harness.environments.engine import Engine

print(asyncio.run(reclaim(Engine())))
"""
_ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")


@pytest.mark.docker
def test_what_has_an_owner_in_another_namespace_of_processes_is_left_alone(
    engine: DockerClient, request: pytest.FixtureRequest
) -> None:
    if (reason := namespace.unavailable()) is not None:
        pytest.skip(reason)
    labels = Owner.current().labels() | {RUN: "splitbrain-test-living"}
    network = engine.networks.create(labels[RUN], internal=True, labels=labels)
    request.addfinalizer(network.remove)
    command = [*_ELSEWHERE, sys.executable, "-c", _RECLAIM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert "splitbrain-test-living" not in done.stdout
    assert list(things(engine, "splitbrain-test-living")) == ["splitbrain-test-living"]


@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_harness_that_is_ended_leaves_nothing_for_the_next_run(
    number: signal.Signals, echo: Adapter, session: Session, engine: DockerClient
) -> None:
    def left_by(pid: int) -> list[str]:
        return [name for name, labels in things(engine).items() if Owner.of(labels).pid == str(pid)]

    async def test() -> None:
        assert left_by(harness.pid) == []

    with subprocess.Popen([sys.executable, "-c", _HARNESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"ready\n"
        assert len(left_by(harness.pid)) == 3
        harness.send_signal(number)
        harness.communicate(timeout=DEADLINE_S)
    if number is signal.SIGKILL:
        assert len(left_by(harness.pid)) == 3
        session(DockerEnvironment(("n1",), print, echo), test)
    assert left_by(harness.pid) == []


@pytest.mark.docker
def test_a_volume_and_a_network_whose_container_is_gone_are_removed_by_heal(
    engine: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path))
    dead = replace(Owner.current(), started="1").labels() | {RUN: "splitbrain-test-dead"}
    living = Owner.current().labels() | {RUN: "splitbrain-test-living"}
    for labels in (dead, living):
        engine.volumes.create(f"{labels[RUN]}-volume", labels=labels)
    recorded = FileLedger(Run("docker", "/store/run", {"run": "splitbrain-test-recorded"}))
    recorded.close(clean=False)
    labels = replace(Owner.current(), started="1").labels() | {RUN: "splitbrain-test-recorded"}
    engine.networks.create(labels[RUN], internal=True, labels=labels)
    try:
        assert call(["heal"]) == 0
        said = capsys.readouterr().out
        assert "removed splitbrain-test-dead (1 volume), left by a harness that is gone" in said
        assert "docker run /store/run, whose harness is gone: removed splitbrain-test-recorded (1 network)" in said
        assert list(things(engine, "splitbrain-test-living")) == ["splitbrain-test-living-volume"]
        assert things(engine, "splitbrain-test-dead") == things(engine, "splitbrain-test-recorded") == {}
        assert call(["heal"]) == 0
        assert capsys.readouterr().out == "nothing to heal\n"
    finally:
        engine.volumes.get("splitbrain-test-living-volume").remove()


@pytest.mark.docker
def test_a_teardown_removes_all_that_it_can_before_it_says_what_it_could_not(
    echo: Adapter, session: Session, engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    environment = DockerEnvironment(NODES, said.append, echo)
    refused: list[str] = []
    remove = containers.remove_container

    def refuse_once(client: DockerClient, name: str) -> None:
        if not refused:
            refused.append(name)
            raise OSError("the engine is busy")
        remove(client, name)

    async def test() -> None:
        kinds = [(kind, find, refuse_once if kind == "container" else rm) for kind, find, rm in containers.KINDS]
        monkeypatch.setattr(containers, "KINDS", kinds)
        assert not await environment.teardown()
        assert len([name for name in ours(engine) if name.startswith("/")]) == 1
        assert await environment.teardown()

    session(environment, test)
    assert ours(engine) == {}
    (line,) = said
    assert "the engine is busy; `splitbrain heal` removes what is left of splitbrain-" in line


def test_what_the_engine_has_not_answered_keeps_the_ledger(echo: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is made after the teardown would be nobody's."""
    from requests.exceptions import ReadTimeout

    said: list[str] = []
    environment = DockerEnvironment(NODES, said.append, echo)

    def slow(client: object) -> None:
        raise ReadTimeout("no answer")

    async def nothing(engine: object, run: str) -> str:
        return ""

    monkeypatch.setattr(docker_environment, "remove_run", nothing)
    monkeypatch.setattr(environment._engine, "_client", lambda timeout_s: StringIO())

    async def main() -> bool:
        with pytest.raises(EnvironmentFailure, match="no answer"):
            await environment._engine.call("create the container of n1", slow, makes=True)
        return await environment.teardown()

    assert environment.run(main) is False
    assert "may still get a container or a network: create the container of n1" in said[-1]


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_interrupted_while_it_is_torn_down_leaves_nothing_and_says_so(
    number: signal.Signals, tmp_path: Path
) -> None:
    """The moment is that at which its nodes' logs have been fetched, which is what comes before."""
    command = [sys.executable, "-P", "-m", "harness", "run", "--env", "docker", "--nodes", "3", "--nemesis", "none"]
    command += ["--time-limit", "1", "--directory", str(tmp_path / "run"), "--store", str(tmp_path / "store")]
    variables = {**os.environ, "SPLITBRAIN_STATE": str(tmp_path / "state")}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        trace = tmp_path / "run" / "n3" / "trace.jsonl"
        eventually("the last trace has been fetched", trace.exists, DEADLINE_S, run)
        run.send_signal(number)
        _, said = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 130, said
    assert said.splitlines()[-1] == "splitbrain: interrupted; what was started has been stopped"
    assert things_labelled({"splitbrain.pid": str(run.pid)}) == []
    assert list((tmp_path / "state" / "ledger").iterdir()) == []
