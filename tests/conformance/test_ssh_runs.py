"""The command on machines reached by SSH: a whole run, what befalls machines in the middle of one, and bad options.

Here machines are containers, and the harness is a process of its own: sessions are cut, servers die, packets vanish.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from ground import NODES
from harness.environments.base import Node
from kill_sweep import LATEST_S, on_machines
from sshd import (
    Machine,
    cut_sessions,
    from_outside,
    generate_key,
    hosts_option,
    start_server,
    stop_server,
    unreachable,
)
from traces import difference, look
from waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.usefixtures("own_home")]

Machines = Mapping[Node, Machine]
LIMIT_S = 12
REST_S = 120.0
"""How long a run may go on behind its time limit, whatever becomes of one machine."""

DEADLINE_S = LIMIT_S + REST_S
POLL_S = 0.05


@pytest.fixture
def machines(machines_in_containers: Machines) -> Machines:
    return machines_in_containers


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def look_at_all(machines: Machines) -> dict[Node, list[str]]:
    return {
        node: look(lambda script, machine=machine: from_outside(machine, script)) for node, machine in machines.items()
    }


@pytest.fixture
def untouched(machines: Machines) -> Iterator[None]:
    """Whatever a test does, in the end the machines are as they were."""
    before = look_at_all(machines)
    yield
    after = look_at_all(machines)
    assert [f"{node}: {line}" for node in NODES for line in difference(before[node], after[node])] == []


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "harness", *words]


def run_words(machines: Machines, store: Path, *more: str) -> list[str]:
    """A run of three nodes with all that faults do to processes, packets and clocks."""
    words = ["run", "--env", "ssh", "--hosts", hosts_option(machines), *machines["n1"].options(), "--json"]
    words += ["--nemesis", "partition,kill,pause,clock", "--interval", "2", "--time-limit", str(LIMIT_S), "--seed", "5"]
    return [*words, "--store", str(store), *more]


def splitbrain(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@contextmanager
def running(machines: Machines, store: Path) -> Iterator[subprocess.Popen[str]]:
    """A run at the moment at which its first fault is in force; it does not outlive the body."""
    words = command(*run_words(machines, store))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as harness:
        try:
            eventually("a fault is in force", lambda: "believed_ms" in history(store), DEADLINE_S, harness, POLL_S)
            yield harness
        finally:
            harness.kill()


def history(store: Path) -> str:
    file = store / "current" / "history.jsonl"
    return file.read_text() if file.exists() else ""


def results_of(output: str) -> tuple[dict[str, object], str]:
    """The results that were printed, and why no more is known of the cluster's recovery."""
    printed = json.loads(output)
    return printed, printed["checks"]["recovery"]["reason"]


def ledgers() -> list[Path]:
    return list(Path(os.environ["SPLITBRAIN_STATE"], "ledger").glob("*"))


# -- whole runs --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("user", ["root", "admin"])
def test_a_sound_cluster_passes_under_faults_and_nothing_is_left_of_it(
    machines: Machines, store: Path, user: str
) -> None:
    longer = ("--time-limit", "20")  # in which each fault has its turn, however busy this machine is
    done = splitbrain(*run_words(machines, store, "--hosts", hosts_option(machines, user), *longer))
    assert done.returncode == 0, done
    results, _ = results_of(done.stdout)
    assert results["verdict"] == "valid"
    faults = results["faults"]
    assert isinstance(faults, list)
    assert {row["fault"] for row in faults} == {"partition", "kill", "pause", "clock"}
    assert all(row["evidence"] for row in faults)
    run = Path(str(results["run"]))
    assert {file.name for node in NODES for file in (run / node).iterdir()} == {"node.log", "trace.jsonl"}
    assert ledgers() == []


# -- what befalls machines ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
def test_nodes_outlive_connections_that_are_cut_and_the_run_goes_on(machines: Machines, store: Path) -> None:
    with running(machines, store) as harness:
        for machine in machines.values():
            cut_sessions(machine)
        output, notices = harness.communicate(timeout=DEADLINE_S)
    assert harness.returncode == 0, output + notices
    kills = sum(len(row["nodes"]) for row in json.loads(output)["faults"] if row["fault"] == "kill")
    assert boots(store) <= len(NODES) + kills, "no node began again because its connection was cut"


def boots(store: Path) -> int:
    """How often a node began, as they say themselves."""
    traces = [(store / "latest" / node / "trace.jsonl").read_text() for node in NODES]
    return sum(trace.count('"kind":"boot"') for trace in traces)


@pytest.mark.usefixtures("untouched")
def test_a_server_that_dies_ends_the_run_in_time_and_heal_cleans_its_machine_when_it_is_back(
    machines: Machines, store: Path
) -> None:
    lost = machines["n2"]
    before = look_at_all(machines)["n2"]
    with running(machines, store) as harness:
        stop_server(lost)
        try:
            output, notices = harness.communicate(timeout=DEADLINE_S)
            assert harness.returncode == 2, output + notices
            results, reason = results_of(output)
            assert results["verdict"] == "unknown"
            assert re.search(rf"n2: .*no connection to root@{lost.address}:22, tried .*: Connection refused", reason)
            assert f"`splitbrain heal` removes what is left on {lost.address}" in notices
            assert "Traceback" not in notices
            (ledger,) = ledgers()

            refused = splitbrain("heal")
            assert refused.returncode == 2, refused
            assert "not put right: n2: no connection to" in refused.stdout
            assert ledgers() == [ledger]
        finally:
            start_server(lost)
    assert difference(before, look_at_all(machines)["n2"]) != [], "a lost machine keeps what it was given"

    healed = splitbrain("heal")
    assert healed.returncode == 0, healed
    assert re.search(r"ssh run .*, whose harness is gone: n2: removed /var/tmp/splitbrain-", healed.stdout)
    assert splitbrain("heal").stdout == "nothing to heal\n"
    assert ledgers() == []


@pytest.mark.usefixtures("untouched")
def test_a_machine_whose_packets_vanish_ends_the_run_in_time(machines: Machines, store: Path) -> None:
    with running(machines, store) as harness, unreachable(machines["n3"]):
        output, notices = harness.communicate(timeout=DEADLINE_S)
    assert harness.returncode == 2, output + notices
    assert results_of(output)[0]["verdict"] == "unknown"
    assert "n3: " in notices
    assert splitbrain("heal").returncode == 0


@pytest.mark.usefixtures("untouched")
def test_a_machine_that_cannot_be_reached_from_the_beginning_is_told_in_a_line(machines: Machines, store: Path) -> None:
    hosts = hosts_option(machines).replace(f"{machines['n3'].address}", f"{machines['n3'].address}:1")
    done = splitbrain(*run_words(machines, store, "--hosts", hosts))
    assert done.returncode == 2, done
    assert f"n3: no connection to root@{machines['n3'].address}:1, tried 6 times: Connection refused" in done.stdout
    assert done.stderr.count("\n") == 1, "the run has begun, and that is all"
    assert ledgers() == []


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_harness_that_is_killed_leaves_nothing_that_heal_does_not_remove(
    machines: Machines, tmp_path: Path, seed: int
) -> None:
    told, left = on_machines(machines, tmp_path).kill_once(Random(seed).uniform(0.2, LATEST_S), seed)
    assert left == [], told


# -- bad options -------------------------------------------------------------------------------------------------------


def refusal(machines: Machines, store: Path, *more: str) -> str:
    """The one line, behind the one that it began with, of a run that cannot be made; nothing is left of it."""
    done = splitbrain(*run_words(machines, store, *more))
    assert done.returncode == 254, done
    assert done.stdout == ""
    begun, said = done.stderr.splitlines()
    assert begun.startswith("register-ssh, seed 5:")
    assert ledgers() == []
    return said


@pytest.mark.usefixtures("untouched")
def test_an_unknown_host_key_names_the_options(machines: Machines, store: Path, tmp_path: Path) -> None:
    (tmp_path / "nobody").touch()
    said = refusal(machines, store, "--known-hosts", str(tmp_path / "nobody"))
    assert "is not known" in said
    assert "--known-hosts FILE" in said
    assert "--accept-unknown-hosts" in said


@pytest.mark.usefixtures("untouched")
def test_a_refused_key_names_the_option(machines: Machines, store: Path, tmp_path: Path) -> None:
    generate_key(tmp_path / "stranger")
    said = refusal(machines, store, "--identity", str(tmp_path / "stranger"))
    assert re.search(r"none of our keys lets us in as root@.*: name one, --identity FILE", said)


@pytest.mark.usefixtures("untouched")
def test_a_sudo_that_asks_says_what_would_be_right(machines: Machines, store: Path) -> None:
    said = refusal(machines, store, "--hosts", hosts_option(machines, "guest"))
    assert "guest is not root" in said
    assert "allow it without a password, or log in as root" in said


@pytest.mark.usefixtures("untouched")
def test_a_machine_without_a_python_that_can_do_is_told(machines: Machines, store: Path) -> None:
    python = from_outside(machines["n2"], "command -v python3").strip()
    from_outside(machines["n2"], f"mv {python} {python}.away")
    try:
        said = refusal(machines, store)
    finally:
        from_outside(machines["n2"], f"mv {python}.away {python}")
    assert "n2: a python3 of 3.11 or newer is needed there, and there is none: install the package python3" in said
