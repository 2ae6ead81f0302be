"""What only the local environment does; what every environment does is in the conformance suite."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.adapters.base import Adapter
from harness.environments import namespace
from harness.environments.faults import ClockSetting
from harness.environments.local import LocalEnvironment, PipeChannel
from harness.environments.realtime import RealTimeEnvironment
from harness.errors import EnvironmentFailure, UsageError

Ask = Callable[[RealTimeEnvironment, str, str], Awaitable[str]]
Answer = Callable[[RealTimeEnvironment, str, str, str], Awaitable[None]]
Session = Callable[[RealTimeEnvironment, Callable[[], Awaitable[None]]], None]

NODES = ("n1", "n2", "n3")


class Refusing:
    """A system under test that is not installed."""

    name = "refusing"

    def command(self, *_: object) -> list[str]:
        return ["/no/such/program"]


def rules() -> str:
    return subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.skipif(namespace.inside(), reason="asks what happens outside")
def test_outside_of_the_namespace_it_refuses_to_touch_anything(echo: Adapter, session: Session) -> None:
    async def unreachable() -> None:
        raise AssertionError("setup must not succeed")

    with pytest.raises(UsageError, match="namespace"):
        session(LocalEnvironment(NODES, print, echo), unreachable)


@pytest.mark.local
def test_a_machine_without_libfaketime_is_told_what_to_install(echo: Adapter, session: Session) -> None:
    class Without(LocalEnvironment):
        async def _ask(self, node: str, verb: str, **arguments: object) -> object:
            return None if verb == "faketime" else await super()._ask(node, verb, **arguments)

    async def unreachable(environment: RealTimeEnvironment) -> None:
        raise AssertionError

    with pytest.raises(UsageError, match=r"^--clock libfaketime: n1 does not have it: install the package libfaketime"):
        session(Without(("n1",), print, echo, clock="libfaketime"), unreachable)


def test_a_channel_that_was_closed_is_lost_in_both_directions(tmp_path: Path) -> None:
    """Its threads may still be at work: what they meet is the loss of a channel, and nothing else."""
    channel = PipeChannel(["cat"], tmp_path / "agent.log")
    channel.send(b"hello\n")
    assert channel.receive() == b"hello\n"
    channel.close()
    channel.close()
    with pytest.raises(OSError, match="closed"):
        channel.send(b"hello\n")
    assert channel.receive() == b""


@pytest.mark.local
def test_the_harness_reaches_every_node_through_every_cut(
    echo: Adapter, ask: Ask, answers: Answer, session: Session
) -> None:
    environment = LocalEnvironment(NODES, print, echo)

    async def test() -> None:
        addresses = {node: environment.address(node)[0] for node in NODES}
        await environment.cut({"n2": frozenset({"n1"})})
        assert [await ask(environment, node, "hello") for node in NODES] == ["hello"] * 3
        await answers(environment, "n1", f"reach {addresses['n3']}", "yes")
        assert await ask(environment, "n1", f"reach {addresses['n2']}") == "no"
        await environment.cut({"n3": frozenset({"n1"})})  # replaces the first
        await answers(environment, "n1", f"reach {addresses['n2']}", "yes")
        assert await ask(environment, "n1", f"reach {addresses['n3']}") == "no"

    session(environment, test)


@pytest.mark.local
def test_healing_and_teardown_leave_the_rules_of_others_alone(echo: Adapter, session: Session) -> None:
    foreign = ["INPUT", "-s", "192.0.2.1/32", "-j", "DROP"]
    subprocess.run(["iptables", "-w", "-A", *foreign], check=True, timeout=30)
    before = rules()
    environment = LocalEnvironment(NODES, print, echo)

    async def test() -> None:
        await environment.cut({"n2": frozenset({"n1", "n3"})})
        ours = [line for line in rules().splitlines() if "-A SB-" in line]
        assert [line.split()[-1] for line in ours] == ["DROP", "DROP"], "one for each source"
        await environment.heal()
        assert rules() == before

    try:
        session(environment, test)
        assert rules() == before
    finally:
        subprocess.run(["iptables", "-w", "-D", *foreign], check=True, timeout=30)


@pytest.mark.local
def test_a_paused_node_can_be_stopped_and_killed(echo: Adapter, ask: Ask, session: Session) -> None:
    environment = LocalEnvironment(NODES, print, echo)

    async def test() -> None:
        for node in NODES:
            await ask(environment, node, "hello")
            await environment.pause(node)
        await environment.stop("n1")
        await environment.kill("n2")
        assert [await environment.running(node) for node in NODES] == [False, False, True]

    session(environment, test)


@pytest.mark.local
def test_files_stay_in_a_directory_that_was_given(echo: Adapter, ask: Ask, session: Session, tmp_path: Path) -> None:
    environment = LocalEnvironment(("n1",), print, echo, tmp_path)

    async def test() -> None:
        await ask(environment, "n1", "hello")
        await environment.set_clock("n1", ClockSetting(250, 1.5))
        assert await ask(environment, "n1", "clock") == '{"offset_ms": 250, "rate": 1.5, "strobe_ms": 0.0}'

    session(environment, test)
    assert (tmp_path / "n1" / "node.log").read_text() == "listening\n"
    assert (tmp_path / "n1" / "trace.jsonl").is_file()


@pytest.mark.local
def test_a_temporary_directory_goes_and_so_do_those_of_dead_harnesses(
    echo: Adapter, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = tmp_path / "splitbrain-local-left"
    (left / "n1").mkdir(parents=True)
    said: list[str] = []

    async def test() -> None:
        assert not left.exists()
        assert len(list(tmp_path.iterdir())) == 1

    session(LocalEnvironment(("n1",), said.append, echo), test)
    assert list(tmp_path.iterdir()) == []
    assert said == [f"removed {left}, left by a harness that was killed"]


@pytest.mark.local
def test_a_node_that_cannot_be_started_is_the_environments_failure(session: Session) -> None:
    async def unreachable() -> None:
        raise AssertionError("setup must not succeed")

    with pytest.raises(EnvironmentFailure, match=r"n1: start: .*/no/such/program"):
        session(LocalEnvironment(("n1",), print, Refusing()), unreachable)
