"""SIGKILL at each step of a fault's life: `splitbrain heal` puts right all that is left, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stopping
from harness.environments import namespace
from leftovers import on_engine, processes_naming, things_labelled
from waiting import eventually

if TYPE_CHECKING:
    from docker import DockerClient

DEADLINE_S = 120.0
POLL_S = 0.02
NO_NAMESPACE = namespace.unavailable() or ("already inside of one" if namespace.inside() else None)
ENVIRONMENTS = [
    pytest.param("local", marks=pytest.mark.skipif(NO_NAMESPACE is not None, reason=str(NO_NAMESPACE))),
    pytest.param("docker", marks=pytest.mark.docker),
]
FAULT_AT = {
    "before-entry": "partition:one",
    "after-entry": "kill:one",
    "after-apply": "packets:delay:all",
    "after-evidence": "memory:size=16M:one",
    "after-undo": "pause:one",
    "before-strike": "disk:full:one",
}
"""A fault for each step: each leaves other things."""


def rules() -> list[str]:
    """The packet filter of this machine, without counters and times; nothing where we may not look at it."""
    if shutil.which("iptables-save") is None:
        return []
    done = subprocess.run(["iptables-save"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in done.stdout.splitlines() if not line.startswith("#")]


def rules_of_no_bridge() -> list[str]:
    """Those that name no network of the engine's: networks of others may come and go meanwhile."""
    return [line for line in rules() if " br-" not in line]


def mounts() -> list[str]:
    """What is mounted here, but for the engine's own mounts, which come and go with containers."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "/docker/" not in line]


def bridges_of(pid: int) -> list[str]:
    """The bridges of the networks that a harness made."""

    def find(client: DockerClient) -> list[str]:
        networks = client.api.networks(filters={"label": f"splitbrain.pid={pid}"})
        return [f"br-{network['Id'][:12]}" for network in networks]

    return on_engine(find)


def splitbrain(*words: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "harness", *words]
    environment = {**os.environ, "SPLITBRAIN_STATE": str(state)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def killed_at(step: str, environment: str, directory: Path) -> int:
    """Kill a harness at that step; its process id."""
    words = [sys.executable, "-P", stopping.__file__, step, str(directory / "stopped"), "run", "--env", environment]
    words += ["--nodes", "3", "--nemesis", FAULT_AT[step], "--interval", "1", "--time-limit", "600", "--seed", "1"]
    words += ["--store", str(directory / "store")]
    variables = {**os.environ, "SPLITBRAIN_STATE": str(directory / "state")}
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as harness:
        try:
            eventually(f"it has come to {step}", (directory / "stopped").exists, DEADLINE_S, harness)
            assert splitbrain("heal", state=directory / "state").stdout.splitlines()[-1] == "nothing to heal"
            assert list((directory / "state" / "ledger").iterdir()), "a living run's ledger is never touched"
        finally:
            harness.kill()
    return harness.pid


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("step", stopping.STEPS)
def test_a_harness_that_is_killed_leaves_nothing_that_heal_does_not_put_right(
    environment: str, step: str, tmp_path: Path
) -> None:
    rules_before, mounts_before = rules_of_no_bridge(), mounts()
    pid = killed_at(step, environment, tmp_path)
    bridges = bridges_of(pid) if environment == "docker" else []
    if environment == "local":  # the kernel ends what was in the namespace, in its own time
        eventually("no process is left", lambda: processes_naming(str(tmp_path)) == [], DEADLINE_S, poll_s=POLL_S)
    else:
        assert len(things_labelled({"splitbrain.pid": str(pid)})) == 7, "a container and a volume a node, a network"
        if any("DOCKER" in line for line in rules_before):  # the engine filters packets, and we may see that
            assert any(bridges[0] in line for line in rules())

    first = splitbrain("heal", state=tmp_path / "state")
    assert first.returncode == 0, first
    head = f"{environment} run {(tmp_path / 'store' / 'current').resolve()}, whose harness is gone:"
    said = [line.removeprefix(head).strip() for line in first.stdout.splitlines() if line.startswith(head)]
    fault = FAULT_AT[step].partition(":")[0]
    undone = [line for line in said if line.startswith(f"undone: {fault}, ")]
    assert len(undone) == (step != "before-entry"), first.stdout
    assert [line for line in said if line.startswith("removed splitbrain-")] == said[len(undone) :] or (
        environment == "local" and said[len(undone) :] in ([], ["nothing was left of it"])
    )

    assert processes_naming(str(tmp_path)) == []
    assert things_labelled({"splitbrain.pid": str(pid)}) == [] if environment == "docker" else True
    assert list((tmp_path / "state" / "ledger").iterdir()) == []
    assert mounts() == mounts_before
    assert rules_of_no_bridge() == rules_before
    assert [line for line in rules() for bridge in bridges if bridge in line] == []
    second = splitbrain("heal", state=tmp_path / "state")
    assert (second.returncode, second.stdout) == (0, "nothing to heal\n")
