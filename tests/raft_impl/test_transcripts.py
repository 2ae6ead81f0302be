"""Golden transcripts: protocol behaviour as prose. `RAFT_TRANSCRIPTS=rewrite pytest ...` writes what happens now.

A transcript is blocks of a command, `----`, and what came of it: messages that left (`n1 > n2`), transitions
(`n1 *`), and replies (`client !`). Nothing moves by itself: messages wait until delivered, saves until synced.

    timeout NODE          let the node's patience end       deliver [NODE ...]  everything waiting, to these nodes
    tick NODE COUNT       let time pass                     sync NODE           the disk has written
    ask NODE OP ...       a client's request                settle              deliver and sync until nothing is left
    isolate NODE, heal    cut and mend the network          crash NODE [power], start NODE
    drop                  lose everything that waits        state               what each node holds
    silence NODE ...      let them have heard no leader for the shortest election timeout
"""

import os
from pathlib import Path

import msgspec
import pytest

from raft_impl.codec import decode_command
from raft_impl.types import Entry

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
SHOWN = ("index", "entry_term", "candidate", "vote_term")


def show_entry(entry):
    if not entry.data:
        return f"{entry.term}/{entry.index} no-op"
    command = decode_command(entry.data)
    fields = " ".join(repr(value) for value in msgspec.structs.asdict(command).values() if value is not None)
    return f"{entry.term}/{entry.index} {type(command).__name__} {fields}".rstrip()


def show_value(value):
    if isinstance(value, tuple) and all(isinstance(one, Entry) for one in value):
        return "[" + ", ".join(show_entry(one) for one in value) + "]"
    return str(value)


def show_message(message):
    fields = msgspec.structs.asdict(message)
    return " ".join([type(message).__name__, *(f"{name}={show_value(value)}" for name, value in fields.items())])


def show_record(record):
    fields = {name: getattr(record, name) for name in SHOWN}
    shown = [f"{name}={value}" for name, value in fields.items() if value is not None]
    return " ".join([f"{record.node} * {record.kind}", f"term={record.term}", *shown])


def show_reply(reply):
    fields = msgspec.structs.asdict(reply)
    names = ("value", "version", "session", "error", "definite", "leader")
    shown = [f"{name}={fields[name]!r}" for name in names if fields[name] not in (None, 0) or name == "definite"]
    return " ".join([f"request {reply.id}", "ok" if reply.ok else "failed", *shown]).replace(" definite=None", "")


class Driver:
    """Runs the commands of one transcript."""

    def __init__(self, make_cluster):
        self._make_cluster = make_cluster
        self._out = []

    def run(self, line):
        """Return the lines that come of one command."""
        command, *arguments = line.split()
        getattr(self, f"do_{command}")(*arguments)
        if command != "cluster":
            self._show_traffic()
        out, self._out = self._out, []
        return out or ["nothing"]

    def _show_traffic(self):
        cluster = self._cluster
        self._out += [f"{source} > {target} {show_message(message)}" for source, target, message in cluster.sent]
        cluster.sent.clear()
        for request_id in sorted(set(cluster.replies) - self._shown):
            self._out.append(f"client ! {show_reply(cluster.replies[request_id])}")
            self._shown.add(request_id)

    def do_cluster(self, size):
        self._shown = set()
        self._cluster = self._make_cluster(int(size))
        self._cluster.hold_syncs = True
        self._cluster.observe(lambda record: self._out.append(show_record(record)))
        self._out.append(" ".join(self._cluster.names))

    def do_timeout(self, name):
        core = self._cluster.nodes[name].core
        core._elapsed = core._timeout
        self._cluster.tick(name)

    def do_silence(self, *names):
        for name in names:
            core = self._cluster.nodes[name].core
            core._elapsed = max(core._elapsed, 10)

    def do_tick(self, name, count):
        for _ in range(int(count)):
            self._cluster.tick(name)

    def do_ask(self, name, op, key=None, *values):
        fields = {"write": ("value",), "cas": ("old", "new")}.get(op, ())
        self._cluster.request(name, op, key, **dict(zip(fields, values, strict=True)))

    def do_deliver(self, *names):
        waiting = [one for one in self._cluster.network if not names or one[1] in names]
        for one in waiting:
            self._cluster.deliver(self._cluster.network.index(one))

    def do_sync(self, name):
        if name in self._cluster.unsynced:
            self._cluster.sync(name)

    def do_settle(self):
        cluster = self._cluster
        while cluster.network or cluster.unsynced:
            if cluster.network:
                cluster.deliver()
            else:
                cluster.sync(min(cluster.unsynced))
        cluster.sent.clear()

    def do_drop(self):
        self._cluster.network.clear()

    def do_isolate(self, name):
        self._cluster.isolate(name)

    def do_heal(self):
        self._cluster.heal()

    def do_crash(self, name, power=None):
        self._cluster.crash(name, power is not None)

    def do_start(self, name):
        self._cluster.start(name)

    def do_state(self):
        for name, node in sorted(self._cluster.nodes.items()):
            core = node.core
            entries = ", ".join(show_entry(entry) for entry in core.log.between(1, core.log.last_index))
            self._out.append(f"{name} {core.role} term={core.term} commit={core.commit} log=[{entries}]")


def play(text, make_cluster):
    """Return the transcript with what happens now; lines that start with # are kept."""
    driver, out = Driver(make_cluster), []
    for block in text.strip().split("\n\n"):
        *comments, command = block.split("\n----")[0].split("\n")
        out.append("\n".join([*comments, command, "----", *driver.run(command)]))
    return "\n\n".join(out) + "\n"


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path, make_cluster):
    text = path.read_text()
    played = play(text, make_cluster)
    if os.environ.get("RAFT_TRANSCRIPTS") == "rewrite":
        path.write_text(played)
    assert played == path.read_text()


def test_there_are_transcripts():
    assert TRANSCRIPTS
