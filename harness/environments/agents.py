"""Environments whose nodes have an agent each: everything that is done to a node, whatever machine it is on.

Lives here: the contract's verbs as questions to agents. Must not live here: how a machine is had, prepared and given
back, or how its agent is reached; that is all that the environments `local`, `docker` and `ssh` add.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from harness.adapters.base import Adapter, Place
from harness.agent.traffic import Traffic
from harness.environments import faketime
from harness.environments.agent_link import AgentLink, Channel
from harness.environments.base import Capability, Grudge, Node, Pair, Sight
from harness.environments.faults import ClockSetting, DiskSetting
from harness.environments.realtime import RealTimeEnvironment
from harness.environments.together import all_of
from harness.errors import EnvironmentFailure, UsageError

PREFIX = "SB"
"""What the names of all our chains begin with."""

SERVICE_PORT = 7000
"""Where every node's service listens, each on an address of its own; its agent's probes come to the next one.

The same each time, so that a firewall between machines can be opened for it once (docs/ssh.md).
"""

_CUT_LEAD_NS = 50_000_000
"""How far ahead the moment of a cut is set: long enough for every agent to have been told of it."""

_FIRST_QUEUE = 7000
"""Queues are numbered by node, since nodes may share a network namespace; nobody else is likely to use these."""

_HEARING_S = 0.05
_HEARING_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class _Filter:
    """How an agent is asked for a filter. One that is `timed` comes into force everywhere at one moment."""

    verb: str
    arguments: Mapping[str, object]
    timed: bool = True


class AgentEnvironment(RealTimeEnvironment):
    """Nodes reached through their agents. A subclass fills `_places` and opens channels."""

    attempts = 5
    """How often a lost channel is made anew before the node's machine counts as lost (as in Jepsen)."""

    def __init__(
        self,
        nodes: tuple[Node, ...],
        say: Callable[[str], None],
        adapter: Adapter,
        disk_megabytes: int | None = None,
        clock: str = "node",
    ) -> None:
        """`disk_megabytes`: each node's data is on a disk of its own, a tmpfs, that large, which may be filled.

        Without it, where no such disk can be had, and on the disk of a machine, the file layer of a node says that
        its disk is full. `clock`: one of `faketime.CLOCKS`.
        """
        super().__init__(nodes, say)
        self._adapter = adapter
        self._disk_megabytes = disk_megabytes
        if clock not in faketime.CLOCKS:
            raise UsageError(f"clock {clock}: there is no such kind; choose from {', '.join(faketime.CLOCKS)}")
        self._faketime = clock == "libfaketime"
        if self._faketime:
            self.capabilities = self.capabilities - {Capability.CLOCK_RATE}
        self._faketime_libraries: dict[Node, str] = {}
        self._token = secrets.token_hex(4)
        self._places: dict[Node, Place] = {}
        self._links: dict[Node, AgentLink] = {}
        self._filtered: dict[str, dict[Node, _Filter]] = {}

    @abstractmethod
    async def _open_channel(self, node: Node, command: list[str]) -> Channel:
        """Start the agent, by this command, on the node's machine, and return the way to it."""

    async def _attach(self) -> None:
        """Reach an agent on every node's machine, and learn from it what can be done there."""
        for node in self.nodes:
            self._links[node] = AgentLink(
                node, partial(self._open_channel, node, self._agent_command(node)), self.attempts
            )
        answers = await all_of(self._ask(node, "capabilities") for node in self.nodes)
        for can in answers:
            assert isinstance(can, dict)
            self.capabilities -= frozenset(Capability(name) for name, possible in can.items() if not possible)
        if self._faketime:
            await all_of(self._find_faketime(node) for node in self.nodes)

    async def _find_faketime(self, node: Node) -> None:
        library = await self._ask(node, "faketime")
        if library is None:
            raise UsageError(f"--clock libfaketime: {node} does not have it: install the package libfaketime there")
        self._faketime_libraries[node] = str(library)

    def _agent_command(self, node: Node) -> list[str]:
        place = self._places[node]
        return [
            *(self._python(node), "-P", "-m", "harness.agent", "--directory", place.directory),
            *("--prefix", self._prefix(node), "--control-port", str(self._control_port(node))),
            *("--address", place.address, "--probe-port", str(place.probe_port)),
            *("--queue-number", str(_FIRST_QUEUE + self.nodes.index(node))),
        ]

    def _python(self, node: Node) -> str:
        """The interpreter on the node's machine that has raft_impl and the agent."""
        return "python3"

    def _prefix(self, node: Node) -> str:
        """How the names of the node's chains begin."""
        return f"{PREFIX}-{self._token}-{node}"

    def _control_port(self, node: Node) -> int:
        """The port of the node's machine that no rule may ever cut; 0 if we come another way than by TCP."""
        return 0

    def address(self, node: Node) -> tuple[str, int]:
        return self._places[node].address, self._places[node].port

    async def _prepare(self, node: Node) -> None:
        """Let the node begin as everybody expects: with a right clock, on a sound disk, running."""
        await self.set_clock(node, ClockSetting())
        await self.set_disk(node, DiskSetting())
        await self.start(node)

    async def _end_nodes(self) -> None:
        """Undo all that agents did that would outlive them, on a machine that stays."""
        await all_of(self._ask(node, "end") for node in self._links)

    def _detach(self) -> None:
        for link in self._links.values():
            link.close()
        self._links.clear()

    async def _ask(self, node: Node, verb: str, **arguments: object) -> object:
        link = self._links.get(node)
        if link is None:
            raise EnvironmentFailure(f"{node}: {verb}: it has no agent")
        return await link.ask(verb, arguments)

    # -- processes -------------------------------------------------------------------------------------------------

    async def start(self, node: Node) -> None:
        command = self._adapter.command(self._python(node), node, self._places)
        await self._ask(node, "start", command=command, variables=self._variables(node))

    def _variables(self, node: Node) -> dict[str, str]:
        """What the node's process finds in its environment besides what its agent has."""
        if not self._faketime:
            return {}
        return faketime.variables(self._faketime_libraries[node], self._places[node].directory)

    async def stop(self, node: Node) -> None:
        await self._ask(node, "stop")

    async def kill(self, node: Node) -> bool:
        return await self._ask(node, "kill") is not None

    async def pause(self, node: Node) -> bool:
        return await self._ask(node, "pause") is not None

    async def resume(self, node: Node) -> None:
        await self._ask(node, "resume")

    async def slow(self, node: Node, share: float) -> None:
        await self._ask(node, "slow", share=share)

    async def hog(self, node: Node, megabytes: int) -> None:
        await self._ask(node, "memory", megabytes=megabytes)

    # -- network ---------------------------------------------------------------------------------------------------

    async def cut(self, grudge: Grudge) -> None:
        address = {node: place.address for node, place in self._places.items()}
        wanted = {node: sorted(address[source] for source in sources) for node, sources in grudge.items() if sources}
        await self._filter(
            "partition", {node: _Filter("drop", {"sources": sources}) for node, sources in wanted.items()}
        )

    async def cut_clients(self, nodes: Iterable[Node]) -> None:
        peers = [place.address for place in self._places.values()]
        ports = {node: self._places[node].port for node in nodes}
        await self._filter(
            "clients", {node: _Filter("drop_clients", {"peers": peers, "port": port}) for node, port in ports.items()}
        )

    async def shape(self, traffic: Mapping[Node, Traffic]) -> None:
        wanted = {}
        for node, what in traffic.items():
            sources = [place.address for peer, place in self._places.items() if peer != node]
            wanted[node] = _Filter("shape", {"sources": sources, "traffic": asdict(what), "seed": 0}, timed=False)
        await self._filter("packets", wanted)

    async def _filter(self, kind: str, wanted: Mapping[Node, _Filter]) -> None:
        """Let the nodes' filters of this kind be these, all from one moment on, and other nodes have none."""
        there = self._filtered.setdefault(kind, {})
        moment_ns = time.time_ns() + _CUT_LEAD_NS
        changed = [node for node in self.nodes if wanted.get(node) != there.get(node)]
        await all_of(self._filter_one(kind, node, wanted.get(node), moment_ns) for node in changed)

    async def _filter_one(self, kind: str, node: Node, wanted: _Filter | None, moment_ns: int) -> None:
        if wanted is None:
            await self._ask(node, "unfilter", kind=kind)
            del self._filtered[kind][node]
            return
        # Remembered first: what was made only half-way has to be taken out as well.
        self._filtered[kind][node] = wanted
        moment = {"at_ns": moment_ns} if wanted.timed else {}
        await self._ask(node, wanted.verb, kind=kind, **wanted.arguments, **moment)

    # -- clocks and disks ------------------------------------------------------------------------------------------

    async def set_clock(self, node: Node, setting: ClockSetting) -> None:
        if self._faketime:
            await self._write(node, faketime.FILE, faketime.text(setting))
        else:
            await self._write(node, self._places[node].clock, json.dumps(asdict(setting)))

    async def set_disk(self, node: Node, setting: DiskSetting) -> None:
        if self._disk_megabytes is not None:
            await self._ask(node, "fill", full=setting.full)
            setting = replace(setting, full=False)
        await self._write(node, self._places[node].disk, json.dumps(asdict(setting)))

    async def _write(self, node: Node, path: str, text: str) -> None:
        await self._ask(node, "write", name=PurePosixPath(path).name, text=text)

    # -- evidence --------------------------------------------------------------------------------------------------

    async def observe(self, node: Node) -> Sight:
        return msgspec.convert(await self._ask(node, "observe"), Sight)

    async def heard(self, pairs: Iterable[Pair]) -> frozenset[Pair]:
        wanted, token = frozenset(pairs), secrets.token_hex(8)
        targets: dict[Node, list[tuple[str, int]]] = {}
        for source, destination in sorted(wanted):
            place = self._places[destination]
            targets.setdefault(source, []).append((place.address, place.probe_port))
        await all_of(self._ask(node, "send", token=token, targets=where) for node, where in targets.items())
        deadline_ns = self.now_ns() + int(_HEARING_S * 1e9)
        while (heard := await self._who_heard(token, wanted)) != wanted and self.now_ns() < deadline_ns:
            await self.sleep(_HEARING_POLL_S)
        return heard

    async def _who_heard(self, token: str, wanted: frozenset[Pair]) -> frozenset[Pair]:
        names = {place.address: node for node, place in self._places.items()}
        destinations = sorted({destination for _, destination in wanted})
        answers = await all_of(self._ask(node, "heard", token=token) for node in destinations)
        pairs = set[Pair]()
        for destination, addresses in zip(destinations, answers, strict=True):
            assert isinstance(addresses, list)
            pairs |= {(names[address], destination) for address in addresses if address in names}
        return wanted & pairs

    # -- files -----------------------------------------------------------------------------------------------------

    async def last_words(self, node: Node) -> str | None:
        words = await self._ask(node, "last_words")
        return None if words is None else str(words)

    async def fetch(self, directory: Path) -> None:
        for node in self._links:  # without an agent a node was never there
            (directory / node).mkdir(parents=True, exist_ok=True)
            for source in (self._places[node].log, self._places[node].trace):
                name = PurePosixPath(source).name
                try:
                    await self._fetch_file(node, name, directory / node / name)
                except (EnvironmentFailure, OSError) as error:
                    self.say(f"{node}: no {name}: {error}")

    async def _fetch_file(self, node: Node, name: str, target: Path) -> None:
        """Nothing is written before something has come: an empty file would say that there was nothing to tell."""
        piece = await self._read_piece(node, name, 0)
        with target.open("wb") as file:
            file.write(base64.b64decode(piece.data))
            while piece.next is not None:
                piece = await self._read_piece(node, name, piece.next)
                file.write(base64.b64decode(piece.data))

    async def _read_piece(self, node: Node, name: str, offset: int) -> _Piece:
        return msgspec.convert(await self._ask(node, "read", name=name, offset=offset), _Piece)


class _Piece(msgspec.Struct):
    data: str
    next: int | None
