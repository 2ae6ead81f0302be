"""Each effect of the packet queue, measured by a probe between two addresses: in the private namespace, and between two
containers that have NET_ADMIN and no other capability.

The queue's decisions are seeded. The counts are such that even with other seeds a fraction that is right would be found
more than a tenth off less than once in a million runs (binomial, normal approximation: n >= 2400 (1 - p) / p).
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.environments import containers
from harness.environments.engine import Engine
from harness.environments.node_image import archive, node_image

if TYPE_CHECKING:
    from docker import DockerClient

HERE = Path(__file__).parent
AGENT = HERE.parents[1] / "harness" / "agent"
DEADLINE_S = 60
OVERFLOWN = 0.01
"""The share of datagrams that a busy machine's own buffers may lose."""
UNDISTURBED_MS = 25
"""What a busy machine may take for a packet that nothing holds up: half of the delay that is tested."""
HEADERS_BYTES = 28
"""Of IP and UDP."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the probe saw in one phase."""

    round_trips_ms: Sequence[float]
    sent: int
    arrivals: Sequence[tuple[int, float, float]]
    """In the order in which they came: number, milliseconds since it was sent, and since the first was sent."""

    @property
    def numbers(self) -> list[int]:
        return [int(number) for number, *_ in self.arrivals]

    @property
    def lost(self) -> float:
        """The fraction of those sent that never came."""
        return 1 - len(set(self.numbers)) / self.sent

    @property
    def duplicated(self) -> float:
        """The fraction of those that came that came twice."""
        return len(self.numbers) / len(set(self.numbers)) - 1

    @property
    def overtaking(self) -> float:
        """The fraction of those that came that came before one that was sent before it."""
        place = {number: place for place, number in enumerate(self.numbers)}
        latest, count = -1, 0
        for number in sorted(place):
            count += place[number] < latest
            latest = max(latest, place[number])
        return count / len(place)

    @property
    def delays_ms(self) -> list[float]:
        return [delay for _, delay, _ in self.arrivals]

    def assert_undisturbed(self) -> None:
        assert self.lost < OVERFLOWN
        assert self.numbers == sorted(set(self.numbers)), "in order, and once each"
        assert statistics.median(self.delays_ms) < UNDISTURBED_MS
        assert all(trip < UNDISTURBED_MS for trip in statistics.quantiles(self.round_trips_ms, n=4))


@dataclass(frozen=True, slots=True)
class Measurement:
    """One connection and one datagram socket that lived through a fault."""

    during: Observation
    killed: Observation | None
    counters: dict[str, int]

    @classmethod
    def of(cls, result: dict[str, Any]) -> Measurement:
        """Of the probe's JSON, which must show no trace of the fault before and after it."""
        for phase in ("before", "after"):
            Observation(**result[phase]).assert_undisturbed()
        assert result["left"] == []
        killed = Observation(**result["killed"]) if "killed" in result else None
        return cls(Observation(**result["during"]), killed, result.get("counters", {}))


Run = Callable[..., Measurement]
"""Let a probe observe a fault: `traffic` for the packet queue, or `loss` for the rule that drops."""


# -- what is seen ------------------------------------------------------------------------------------------------------


def delay(run: Run) -> None:
    seen = run({"delay_ms": 50, "jitter_ms": 10}, datagrams=3000, spacing_ms=1, round_trips=100)
    for delays_ms in (seen.during.round_trips_ms, seen.during.delays_ms):
        assert statistics.median(delays_ms) == pytest.approx(50, rel=0.1)
    early, *_, late = statistics.quantiles(seen.during.delays_ms, n=20)
    assert late - early == pytest.approx(0.9 * 20, rel=0.1)
    assert seen.during.lost < OVERFLOWN
    assert seen.during.duplicated == 0
    assert seen.counters["delayed"] == seen.counters["received"] >= 3100


def loss(run: Run) -> None:
    seen = run({"loss": 0.2}, datagrams=10_000)
    assert seen.during.lost == pytest.approx(0.2, rel=0.1)
    assert seen.counters["dropped"] == pytest.approx(10_000 - len(seen.during.arrivals), rel=0.01)


def loss_by_a_rule(run: Run) -> None:
    assert run(None, loss=0.2, datagrams=10_000).during.lost == pytest.approx(0.2, rel=0.1)


def duplicate(run: Run) -> None:
    seen = run({"duplicate": 0.1}, datagrams=22_000)
    assert seen.during.duplicated == pytest.approx(0.1, rel=0.1)
    assert seen.during.lost < OVERFLOWN
    assert seen.counters["duplicated"] == pytest.approx(len(seen.during.arrivals) - 22_000, rel=0.01)


def reorder(run: Run) -> None:
    seen = run({"delay_ms": 20, "reorder": 0.25}, datagrams=8000)
    assert seen.during.overtaking == pytest.approx(0.25, rel=0.1)
    assert seen.during.lost < OVERFLOWN
    assert seen.during.duplicated == 0
    assert seen.counters["reordered"] == pytest.approx(8000 * seen.during.overtaking, rel=0.1)


def rate(run: Run) -> None:
    seen = run({"rate_kbit": 1000}, datagrams=100, spacing_ms=4, bytes=1000)
    (*_, first_ms), *rest = seen.during.arrivals
    *_, last_ms = rest[-1]
    kbit = len(rest) * 8 * (1000 + HEADERS_BYTES) / 1000
    assert kbit / (last_ms - first_ms) * 1000 == pytest.approx(1000, rel=0.1)
    assert seen.during.numbers == list(range(100))


def everything_at_once(run: Run) -> None:
    everything = {"delay_ms": 20, "jitter_ms": 5, "loss": 0.2, "duplicate": 0.2, "reorder": 0.25, "rate_kbit": 10_000}
    seen = run(everything, datagrams=10_000)
    assert seen.during.lost == pytest.approx(0.2, rel=0.1)
    assert seen.during.duplicated == pytest.approx(0.2, rel=0.1)


def whole_segments(run: Run) -> None:
    """What the sender hands to the device in pieces of 64 kB is delayed in packets, and not damaged."""
    seen = run({"delay_ms": 1, "duplicate": 0.1, "reorder": 0.1}, stream_bytes=4_000_000, datagrams=1)
    assert seen.counters["missed"] == 0
    assert seen.counters["received"] > 4_000_000 / 65536


def death_of_the_owner(run: Run) -> None:
    seen = run({"delay_ms": 50}, datagrams=100, spacing_ms=1, round_trips=10, end="kill")
    assert statistics.median(seen.during.round_trips_ms) == pytest.approx(50, rel=0.1)
    assert seen.killed is not None
    seen.killed.assert_undisturbed()


EFFECTS = [
    delay,
    loss,
    loss_by_a_rule,
    duplicate,
    reorder,
    rate,
    everything_at_once,
    whole_segments,
    death_of_the_owner,
]


@pytest.mark.local
@pytest.mark.slow
@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.__name__)
def test_between_two_addresses_of_the_namespace(effect: Callable[[Run], None]) -> None:
    with local() as run:
        effect(run)


@pytest.mark.docker
@pytest.mark.slow
def test_between_two_containers() -> None:
    with two_containers() as run:
        for effect in EFFECTS:
            effect(run)


# -- where it is seen --------------------------------------------------------------------------------------------------


DEFAULTS = {
    "loss": 0.0,
    "datagrams": 0,
    "spacing_ms": 0.25,
    "bytes": 100,
    "round_trips": 3,
    "stream_bytes": 0,
    "end": "heal",
}


def plan(traffic: dict[str, float] | None, options: Mapping[str, object]) -> str:
    """The JSON of `wire.Plan`."""
    return json.dumps({**DEFAULTS, "traffic": traffic, **options})


@contextmanager
def local() -> Iterator[Run]:
    environment = {**os.environ, "PYTHONPATH": str(AGENT.parent)}
    command = [sys.executable, str(HERE / "wire.py")]

    def run(traffic: dict[str, float] | None, **options: object) -> Measurement:
        arguments = ["measure", "127.0.1.2", "127.0.1.1", plan(traffic, options)]
        done = subprocess.run([*command, *arguments], env=environment, capture_output=True, timeout=DEADLINE_S)
        assert done.returncode == 0, done.stderr.decode()
        return Measurement.of(json.loads(done.stdout))

    with subprocess.Popen([*command, "echo", "127.0.1.1"], env=environment, stdout=subprocess.PIPE) as peer:
        try:
            assert peer.stdout is not None
            assert peer.stdout.readline() == b"ready\n"
            yield run
        finally:
            peer.kill()


@contextmanager
def two_containers() -> Iterator[Run]:
    import docker

    name = f"splitbrain-wire-{secrets.token_hex(4)}"
    image = asyncio.run(node_image(Engine(), print, None))
    wire = ["env", "PYTHONPATH=/opt", "python3", "/opt/wire.py"]
    with closing(docker.from_env(timeout=DEADLINE_S)) as client:
        try:
            subnet = containers.create_network(client, name, None, internal=True)
            peer, ours = (start(client, name, image, str(subnet[number])) for number in (2, 3))

            def run(traffic: dict[str, float] | None, **options: object) -> Measurement:
                command = [*wire, "measure", str(subnet[3]), str(subnet[2]), plan(traffic, options)]
                code, (output, errors) = client.containers.get(ours).exec_run(command, demux=True)
                assert code == 0, errors.decode()
                return Measurement.of(json.loads(output))

            echo = client.containers.get(peer).exec_run([*wire, "echo", str(subnet[2])], stream=True).output
            assert next(echo).startswith(b"ready")
            yield run
        finally:
            for container in containers.containers_of(client, name):
                containers.remove_container(client, container)
            for network in containers.networks_of(client, name):
                containers.remove_network(client, network)


def start(client: DockerClient, run: str, image: str, address: str) -> str:
    """The name of a new container that has the agent and the probe in /opt."""
    name = f"{run}-{address}"
    labels = containers.labels(run) | {"splitbrain.test": "1"}
    containers.create_container(client, containers.Container(name, "wire", image, run, address, labels))
    files = {f"agent/{file.name}": file.read_bytes() for file in AGENT.glob("*.py")}
    client.api.put_archive(name, "/opt", io.BytesIO(archive({**files, "wire.py": (HERE / "wire.py").read_bytes()})))
    return name
