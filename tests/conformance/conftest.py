"""The stage, once for each environment, and machines with ssh servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ground import EVERYWHERE, GROUNDS, NODES, Ground
from harness.environments import namespace
from harness.environments.base import Node
from ssh_ground import SshGround
from sshd import Keys, Machine, container_machines, have_rules, namespace_machines, no_namespaces
from stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]
Machines = Mapping[Node, Machine]


@pytest.fixture(scope="module")
def machines_in_containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A machine a node, which stays for the tests of a file; each leaves it as it was."""
    with container_machines(NODES, tmp_path_factory.mktemp("machines")) as machines:
        have_rules(machines)
        yield machines


@pytest.fixture(scope="module")
def machines_in_namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """The same without an engine; for tests marked `local`."""
    directory = tmp_path_factory.mktemp("machines")
    if (reason := no_namespaces()) is not None:
        pytest.skip(reason)
    if not namespace.inside():  # tests are called in the session inside, which makes the machines
        yield {node: Machine(node, "nowhere", Keys(directory), "admin") for node in NODES}
        return
    with namespace_machines(NODES, directory) as machines:
        have_rules(machines)
        yield machines


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without keys, known hosts and configuration, and no agent; and no ledgers of others."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture(params=EVERYWHERE)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """One environment after the other."""
    if request.param in GROUNDS:
        return GROUNDS[request.param](tmp_path / "nodes")
    request.getfixturevalue("own_home")
    return SshGround(tmp_path / "nodes", request.getfixturevalue(request.param.replace("ssh-", "machines_in_")))


@pytest.fixture
def play(ground: Ground) -> Callable[[Scenario], None]:
    """A function that plays a scenario on a new cluster, and sees that nothing is left of it."""

    def play_on_new_cluster(scenario: Scenario) -> None:
        environment = ground.make(ground.adapter)

        async def main() -> None:
            try:
                await environment.setup()
                await scenario(Stage(environment, ground.adapter, ground))
            finally:
                await environment.teardown()

        environment.run(main)
        assert ground.left() == []

    return play_on_new_cluster
