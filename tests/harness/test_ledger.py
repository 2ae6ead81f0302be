"""The ledger: on the disk before anything is done, its writer's alone while it lives, and read by whoever heals."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

import harness.ledger
from harness.errors import EnvironmentFailure, UsageError
from harness.heal import RECLAIMS, heal
from harness.ledger import FileLedger, NoLedger, Run, abandoned, state_directory

RUN = Run("imagined", "/store/run", {"things": [1, 2]})
DEADLINE_S = 30.0


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Where ledgers are kept, by this test alone."""
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "ledger"


@pytest.fixture
def reclaimed(monkeypatch):
    """What is asked to be removed of dead runs in the imagined environment; what is put into it fails."""
    asked, failures = [], []

    async def reclaim(remains):
        asked.append(remains)
        if failures:
            raise EnvironmentFailure(failures.pop())
        return ["removed two things"]

    monkeypatch.setitem(RECLAIMS, "imagined", reclaim)
    return asked, failures


def healed():
    said = []
    return heal(said.append), said


@contextmanager
def process(program, *arguments):
    """A program of Python that goes on until it is killed, once it has said that it is ready."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout.readline() == "ready\n"
            yield running
        finally:
            running.kill()


WRITER = """
import signal, sys
from harness.ledger import FileLedger, Run
ledger = FileLedger(Run("imagined", "/store/run", {"things": [1, 2]}))
for number in range(3):
    ledger.enter("kill", {"nodes": [f"n{number}"]}, f"n{number}")
ledger.strike(2)
print("ready", flush=True)
signal.pause()
"""


def test_the_ledger_of_a_writer_that_was_killed_tells_what_it_had_made_and_what_was_in_force(state):
    with process(WRITER) as writer:
        with abandoned() as found:
            assert found == [], "its writer lives"
        writer.kill()
        writer.wait(DEADLINE_S)
        with abandoned() as found:
            (left,) = found
            assert left.run == RUN
            assert [(entry.fault, entry.told, entry.resolved) for entry in left.open] == [
                ("kill", "n0", {"nodes": ["n0"]}),
                ("kill", "n2", {"nodes": ["n2"]}),
            ]


def test_what_is_entered_is_on_the_disk_before_it_is_done(state, monkeypatch):
    synced = []
    monkeypatch.setattr(harness.ledger.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    ledger = FileLedger(RUN)
    assert len(synced) == 2, "the file, and the directory that it is in"
    ledger.enter("kill", {"nodes": ["n1"]}, "n1")
    assert synced[-1] == ledger.path.stat().st_size
    ledger.strike(1)
    assert synced[-1] == ledger.path.stat().st_size
    ledger.close(clean=True)


def test_a_clean_end_leaves_no_ledger_and_another_one_leaves_it_to_be_healed(state, reclaimed):
    clean, other = FileLedger(RUN), FileLedger(RUN)
    clean.close(clean=True)
    assert list(state.iterdir()) == [other.path]
    other.close(clean=False)
    assert healed() == (True, ["imagined run /store/run, whose harness is gone: removed two things"])
    assert list(state.iterdir()) == []


def test_the_ledger_of_a_living_run_is_never_touched(state, reclaimed):
    with process(WRITER):
        (file,) = state.iterdir()
        before = file.read_bytes()
        assert healed() == (True, [])
        assert file.read_bytes() == before
    assert reclaimed[0] == []


def test_a_ledger_is_its_writers_from_the_moment_it_exists(state, monkeypatch):
    """Somebody heals just when the file has been made, and has not been locked yet."""
    make, healers = harness.ledger.tempfile.mkstemp, [healed]

    def make_and_be_healed(**options):
        made = make(**options)
        if healers:
            assert healers.pop()() == (True, [])
        return made

    monkeypatch.setattr(harness.ledger.tempfile, "mkstemp", make_and_be_healed)
    ledger = FileLedger(RUN)
    assert list(state.iterdir()) == [ledger.path]
    ledger.close(clean=True)


def test_heal_says_what_was_in_force_and_what_it_removed_and_then_nothing(state, reclaimed):
    ledger = FileLedger(RUN)
    ledger.enter("partition", {"nodes": ["n1"], "drops": {"n1": ["n2"]}}, "n1 from n2")
    ledger.enter("kill", {"nodes": ["n3"]}, "n3")
    ledger.strike(2)
    ledger.close(clean=False)
    head = "imagined run /store/run, whose harness is gone: "
    assert healed() == (True, [f"{head}undone: partition, n1 from n2", f"{head}removed two things"])
    assert reclaimed[0] == [{"things": [1, 2]}]
    assert healed() == (True, [])
    assert list(state.iterdir()) == []


@contextmanager
def no_file_grows_beyond(size):
    """As on a full disk: what still fits is written, and then nothing more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_fault_that_cannot_be_written_down_is_not_applied_and_hides_no_other_entry(state, reclaimed):
    ledger = FileLedger(RUN)
    kept = ledger.enter("kill", {"nodes": ["n3"]}, "n3")
    with no_file_grows_beyond(ledger.path.stat().st_size + 10):
        with pytest.raises(EnvironmentFailure, match="cannot be written"):
            ledger.enter("partition", {"nodes": ["n1"], "drops": {"n1": ["n2"]}}, "n1 from n2")
        ledger.strike(kept)  # it is gone, whether that can be written or not
    ledger.enter("pause", {"nodes": ["n2"]}, "n2")
    ledger.close(clean=False)
    _, said = healed()
    assert [line.split(": ", 1)[1] for line in said] == ["undone: kill, n3", "undone: pause, n2", "removed two things"]


def test_what_cannot_be_reached_stays_for_the_next_time_and_keeps_nobody_else(state, reclaimed):
    _, failures = reclaimed
    for directory in ("/store/a", "/store/b"):
        FileLedger(Run("imagined", directory, {})).close(clean=False)
    failures.append("no answer")
    complete, said = healed()
    assert not complete
    assert sorted(line.split(": ", 1)[1] for line in said) == ["not put right: no answer", "removed two things"]
    assert len(list(state.iterdir())) == 1
    complete, said = healed()
    assert complete
    assert len(said) == 1
    assert list(state.iterdir()) == []


def test_two_who_heal_at_once_do_not_both_do_it(state, reclaimed, monkeypatch):
    FileLedger(RUN).close(clean=False)
    begun, go_on, others = threading.Event(), threading.Event(), []

    async def slow(remains):
        begun.set()
        go_on.wait(DEADLINE_S)
        return []

    monkeypatch.setitem(RECLAIMS, "imagined", slow)
    first = threading.Thread(target=healed)
    first.start()
    assert begun.wait(DEADLINE_S)
    others.append(healed())
    go_on.set()
    first.join(DEADLINE_S)
    assert others == [(True, [])]


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_a_line_that_was_cut_short_announces_what_was_not_done(state, cut):
    ledger = FileLedger(RUN)
    first = ledger.path.stat().st_size
    ledger.enter("kill", {"nodes": ["n1"]}, "n1")
    ledger.close(clean=False)
    os.truncate(ledger.path, first + cut)
    with abandoned() as (left,):
        assert left.open == ()


@pytest.mark.parametrize("size", [0, 10])
def test_a_ledger_that_was_never_begun_is_of_a_run_that_did_nothing(state, reclaimed, size):
    ledger = FileLedger(RUN)
    ledger.close(clean=False)
    os.truncate(ledger.path, size)
    assert healed() == (True, [])
    assert reclaimed[0] == []
    assert list(state.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"line":"run","environment":"docker","where":"/store/other"}', "another version of splitbrain"),
        ('{"line":"beginning"}', "another version of splitbrain"),
        ('{"line":"run","environment":"docker","directory":"/store/other","machines":{}}', "`run`"),
        ('{"line":"run","environment":"ssh","directory":"/store/other","machines":{"hosts":1}}', "hosts|access"),
        ('{"line":"run","environment":"moon","directory":"/store/other","machines":{}}', "no such environment"),
    ],
)
def test_a_ledger_of_another_version_stays_and_keeps_nobody_else(state, reclaimed, text, reason):
    FileLedger(RUN).close(clean=False)
    other = state / "other.jsonl"
    other.write_text(f"{text}\n")
    complete, said = healed()
    assert not complete
    assert [line for line in said if re.search(f"other: not put right: .*({reason})|other.jsonl: .*({reason})", line)]
    assert [line for line in said if line.endswith("removed two things")]
    assert list(state.iterdir()) == [other]


@contextmanager
def not_ours(path, monkeypatch):
    """As a file of another user is; also for root, to whom everything is open."""
    opened = os.open

    def refuse(name, *arguments, **options):
        if Path(name) == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))
        return opened(name, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(harness.ledger.os, "open", refuse)
        yield


def test_a_ledger_of_another_user_is_told_and_keeps_nobody_else(state, reclaimed, monkeypatch):
    theirs, ours = FileLedger(RUN), FileLedger(RUN)
    theirs.close(clean=False)
    ours.close(clean=False)
    with not_ours(theirs.path, monkeypatch):
        complete, said = healed()
    assert not complete
    assert sorted(line.split(": ", 1)[1] for line in said) == [
        "not put right: it cannot be read (Permission denied); whose it is can run `splitbrain heal`",
        "removed two things",
    ]
    assert list(state.iterdir()) == [theirs.path]


def test_a_place_for_ledgers_that_is_not_ours_keeps_no_run_from_starting(state, monkeypatch):
    def refuse(path, pattern):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    state.mkdir(parents=True)
    monkeypatch.setattr(Path, "glob", refuse)
    complete, (line,) = healed()
    assert not complete
    assert line.startswith(f"{state}: not put right: it cannot be read (Permission denied)")


def test_a_ledger_that_cannot_be_removed_is_told(state, reclaimed, monkeypatch):
    def refuse(path, missing_ok):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    ledger = FileLedger(RUN)
    ledger.close(clean=False)
    monkeypatch.setattr(Path, "unlink", refuse)
    complete, said = healed()
    assert not complete
    assert [line.split(": ", 1)[1] for line in said] == [
        "removed two things",
        f"not put right: {ledger.path} cannot be removed: Permission denied",
    ]


def test_without_a_place_for_a_ledger_no_fault_may_be_applied(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPLITBRAIN_STATE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"no ledger can be kept in .*file/ledger \(.*\): set SPLITBRAIN_STATE"):
        FileLedger(RUN)


def test_the_state_is_where_the_variables_say(monkeypatch):
    monkeypatch.delenv("SPLITBRAIN_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_directory() == Path("/xdg/splitbrain")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_directory() == Path("/home/somebody/.local/state/splitbrain")


def test_what_vanishes_with_its_process_needs_no_file(state):
    ledger = NoLedger()
    assert [ledger.enter("kill", {}, "n1") for _ in range(2)] == [1, 2]
    ledger.strike(1)
    ledger.close(clean=False)
    assert not state.exists()


def test_a_child_of_the_harness_does_not_keep_its_ledger(state, reclaimed):
    """A node's process may outlive the harness; it must not pass for it."""
    child = 'print(subprocess.Popen(["sleep", "60"]).pid, flush=True)'
    program = WRITER.replace("import signal", "import signal, subprocess").replace(
        "signal.pause", f"{child}\nsignal.pause"
    )
    with process(program) as writer:
        child = int(writer.stdout.readline())
        writer.kill()
        writer.wait(DEADLINE_S)
        try:
            os.kill(child, 0)
            complete, said = healed()
        finally:
            os.kill(child, signal.SIGKILL)
    assert complete
    assert any("removed two things" in line for line in said)
