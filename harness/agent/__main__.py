"""`python3 -m harness.agent`: answers requests, one line of JSON each, until its input ends.

    {"id": 7, "verb": "kill"}                ->  {"id": 7, "ok": 1234}
    {"id": 8, "verb": "drop", "kind": ...}   ->  {"id": 8, "error": "iptables-restore: ..."}

Lives here: the verbs, each one method. Must not live here: how they are done (one file each). Requests are carried out
one after the other; each ends in time, or the harness gives up on the agent and starts another.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import ballast
from .filters import FilterError, Filters
from .load import PERIOD_S, resident_kilobytes
from .probe import Probe
from .process import Process, ProcessError
from .quota import quota
from .rules import client_rules, drop_rules, loss_rules, queue_rules
from .traffic import Traffic

_DEADLINE_S = 10.0
_CHUNK_BYTES = 1 << 20
_SAMPLES = 25
_LINE_BYTES = 1 << 12
_COUNTS = "packets.json"
_OWN_MEMORY = "memory.json"

Arguments = Mapping[str, Any]


class Agent:
    """One node's agent. Its options: see `main`."""

    def __init__(self, options: argparse.Namespace) -> None:
        directory: Path = options.directory
        self._directory = directory
        self._address: str = options.address
        self._queue_number: int = options.queue_number
        self._data = directory / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        self._node = Process(directory / "node.pid")
        self._slow = Process(directory / "slow.pid")
        self._memory = Process(directory / "memory.pid")
        self._queue = Process(directory / "packets.pid")
        self._filters = Filters(options.prefix, options.control_port)
        self._probe = Probe(self._address, options.probe_port)

    def answer(self, request: Arguments) -> object:
        """What the verb returns. Raises the errors of what it does."""
        verb = request["verb"]
        if verb not in _VERBS:
            raise ValueError(f"no verb {verb}")
        arguments = {name: value for name, value in request.items() if name not in ("id", "verb")}
        return getattr(self, verb)(**arguments)

    # -- the node's process ----------------------------------------------------------------------------------------

    def start(self, command: list[str], variables: dict[str, str]) -> None:
        self._node.start(command, self._directory, self._directory / "node.log", variables)

    def stop(self) -> int | None:
        return self._node.stop(_DEADLINE_S)

    def kill(self) -> int | None:
        return self._node.kill(_DEADLINE_S)

    def pause(self) -> int | None:
        return self._node.pause(_DEADLINE_S)

    def resume(self) -> int | None:
        return self._node.resume(_DEADLINE_S)

    def end(self) -> None:
        """Kill all that was started, and take out every chain: nothing of this node is left but its files."""
        for kind in self._filters.caught():
            self._filters.remove(kind)
        for process in (self._queue, self._slow, self._memory, self._node):
            process.kill(_DEADLINE_S)

    # -- load ------------------------------------------------------------------------------------------------------

    def slow(self, share: float) -> None:
        """Let the node stand still for that share of the time; 0 ends it."""
        self._slow.stop(_DEADLINE_S)
        if share:
            self._load(self._slow, "slow", str(self._directory / "node.pid"), str(share))
        else:
            self._node.resume(_DEADLINE_S)

    def memory(self, megabytes: int) -> None:
        """Take so much of the machine's memory; 0 gives it back."""
        self._memory.kill(_DEADLINE_S)
        own = self._directory / _OWN_MEMORY
        own.unlink(missing_ok=True)
        if megabytes:
            self._load(self._memory, "memory", str(megabytes), str(own))

    def _load(self, process: Process, *arguments: str) -> None:
        command = [sys.executable, "-P", "-m", "harness.agent.load", *arguments]
        process.start(command, self._directory, self._directory / "agent.log", {})

    # -- packets ---------------------------------------------------------------------------------------------------

    def drop(self, kind: str, sources: list[str], at_ns: int | None = None) -> None:
        """Drop what comes from these addresses, from that moment on."""
        self._filters.install(kind, drop_rules(self._filters.chain(kind), sources, self._address), at_ns)

    def drop_clients(self, kind: str, peers: list[str], port: int, at_ns: int | None = None) -> None:
        """Drop what comes to the service from anybody but these addresses, from that moment on."""
        self._filters.install(kind, client_rules(self._filters.chain(kind), peers, self._address, port), at_ns)

    def shape(self, kind: str, sources: list[str], traffic: dict[str, float], seed: int) -> None:
        """Let what comes from these addresses be lost (by the filter), or held up (by a queue that is begun first)."""
        wanted, chain = Traffic(**traffic), self._filters.chain(kind)
        if wanted == Traffic(loss=wanted.loss):
            self._filters.install(kind, loss_rules(chain, sources, self._address, wanted.loss))
            return
        self._queue.stop(_DEADLINE_S)
        counts = self._directory / _COUNTS
        counts.unlink(missing_ok=True)
        self._load(self._queue, "packets", str(self._queue_number), json.dumps(traffic), str(seed), str(counts))
        rules = queue_rules(chain, sources, self._address, self._queue_number, duplicates=wanted.duplicate > 0)
        self._filters.install(kind, rules)

    def unfilter(self, kind: str) -> bool:
        """Take the chain out, then end the queue that it fed, which lets go what it holds."""
        was_there = self._filters.remove(kind)
        if kind == "packets":
            self._queue.stop(_DEADLINE_S)
        return was_there

    def send(self, token: str, targets: list[tuple[str, int]]) -> None:
        self._probe.send(token, [(address, port) for address, port in targets])

    def heard(self, token: str) -> list[str]:
        return self._probe.heard(token)

    # -- files -----------------------------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> None:
        """Replace a file of the node's directory, by rename."""
        path = self._directory / name
        beside = path.with_name(path.name + ".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)

    def fill(self, full: bool) -> None:
        """Let nothing be free on the disk of the node's data, which must be its own; or give back what was taken."""
        (ballast.fill if full else ballast.empty)(self._data)

    def read(self, name: str, offset: int) -> dict[str, object]:
        """A piece of a file of the node's directory, in base64, and where the next one begins, if there is one."""
        with (self._directory / name).open("rb") as file:
            file.seek(offset)
            piece = file.read(_CHUNK_BYTES)
            more = bool(file.read(1))
        return {"data": base64.b64encode(piece).decode(), "next": offset + len(piece) if more else None}

    # -- evidence --------------------------------------------------------------------------------------------------

    def capabilities(self) -> dict[str, bool]:
        """What can be done here, of what not every kernel can do."""
        chain, peer, number = self._filters.chain("try"), ["192.0.2.1"], self._queue_number
        return {
            "partition": self._filters.accepts(drop_rules(chain, peer, self._address)),
            "clients": self._filters.accepts(client_rules(chain, peer, self._address, 1)),
            "packet-loss": self._filters.accepts(loss_rules(chain, peer, self._address, 0.5)),
            "packet-queue": self._filters.accepts(queue_rules(chain, peer, self._address, number, duplicates=False)),
            "packet-duplicate": self._filters.accepts(queue_rules(chain, peer, self._address, number)),
            "cpu-quota": quota() is not None,
        }

    def faketime(self) -> str | None:
        """Where the library is, for any number of threads; None if it is not on this machine."""
        return next((str(path) for path in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

    def observe(self) -> dict[str, object]:
        """What can be seen of the node from outside."""
        slow = self._slow.seen()
        memory = self._memory.seen()
        processor = quota()
        # Looked at before the samples are taken: the node of a slow one stands still every now and then.
        stopped_share = self._stopped_share() if slow else 0.0
        node = self._node.seen()
        filters = self._filters.counts()
        # That a packet was sent twice, the kernel says and not the queue that wanted it.
        packets = {**_counts(self._directory / _COUNTS), "duplicated": filters.copied.get("packets", 0)}
        return {
            "pid": node.pid if node else None,
            "paused": bool(node and node.state == "T" and not slow),
            "stopped_share": stopped_share,
            "quota_ms": processor.allowed_ms if processor else 0,
            "throttled_ms": processor.throttled_ms if processor else 0,
            "memory_megabytes": self._taken_megabytes(memory.pid) if memory else 0,
            "caught": filters.caught,
            "packets": packets if self._queue.seen() else {},
            # What the node's own file layer says that it did to writes.
            "disk": _counts(self._directory / "disk.json.seen"),
            "disk_free_bytes": ballast.free_bytes(self._data),
        }

    def last_words(self) -> str | None:
        """The last line that the node wrote, if it has ended."""
        return None if self._node.seen() else _last_line(self._directory / "node.log")

    def _taken_megabytes(self, pid: int) -> float:
        """What a process beside the node has taken, without what it needs for itself; 0 before it is known."""
        own = _counts(self._directory / _OWN_MEMORY).get("kilobytes")
        return 0 if own is None else max(0, resident_kilobytes(pid) - own) / 1024

    def _stopped_share(self) -> float:
        """How much of a period the node's process stands still, measured over one."""
        stopped = 0
        for _ in range(_SAMPLES):
            seen = self._node.seen()
            stopped += bool(seen and seen.state == "T")
            time.sleep(PERIOD_S / _SAMPLES)
        return stopped / _SAMPLES


_VERBS = frozenset(name for name in vars(Agent) if not name.startswith("_")) - {"answer"}


def _counts(path: Path) -> dict[str, int]:
    """The whole numbers in a JSON file; none if there is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: count for name, count in found.items() if isinstance(count, int)}


def _last_line(path: Path) -> str | None:
    """The last one that is not empty, of a file that may be large; None if there is no such file, or line."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LINE_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)


def main() -> None:
    """Answer requests until the input ends."""
    parser = argparse.ArgumentParser(prog="python3 -m harness.agent")
    parser.add_argument("--directory", type=Path, required=True, help="where the node's things are")
    parser.add_argument("--prefix", required=True, help="how the names of its chains begin")
    parser.add_argument("--address", required=True, help="the node's own, as its peers know it")
    parser.add_argument("--probe-port", type=int, required=True, help="where its agent hears others")
    parser.add_argument("--queue-number", type=int, required=True, help="its own in this network namespace")
    parser.add_argument("--control-port", type=int, default=0, help="what no rule may cut")
    agent = Agent(parser.parse_args())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"id": request["id"], "ok": agent.answer(request)}
        except (OSError, ProcessError, FilterError, ValueError, TypeError) as error:
            reply = {"id": request["id"], "error": " ".join(str(error).split()) or type(error).__name__}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
