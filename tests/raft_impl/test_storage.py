"""The write-ahead log under crashes: what was synced survives, torn tails are cut, damage refuses to start."""

import errno
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.node import Node, NodeConfig
from raft_impl.storage.boot import next_boot
from raft_impl.storage.files import DirectoryFiles
from raft_impl.storage.memory import MemoryFiles
from raft_impl.storage.wal import CorruptLogError, Wal
from raft_impl.types import Entry, HardState


class Reference:
    """What a log must hold, kept the obvious way."""

    def __init__(self):
        self.hard_state = HardState()
        self.entries = []
        self.history = [(self.hard_state, [])]
        self.durable = 0

    def append(self, hard_state, entries):
        self.hard_state = hard_state or self.hard_state
        if entries:
            self.entries = self.entries[: entries[0].index - 1] + list(entries)
        self.history.append((self.hard_state, list(self.entries)))


def open_wal(files):
    return Wal(files, "n1", segment_bytes=600)


def random_batch(rng, reference):
    """A batch as Raft makes them: a new term now and then, entries that extend the log or replace its end."""
    term = reference.hard_state.term + (rng.random() < 0.3)
    first = rng.randint(max(1, len(reference.entries) - 2), len(reference.entries) + 1)
    count = rng.randint(0, 4)
    entries = [Entry(term, first + number, rng.randbytes(rng.randint(0, 90))) for number in range(count)]
    changed = term != reference.hard_state.term or not entries
    return HardState(term, rng.choice(["n1", "n2", None])) if changed else None, entries


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 40), tear=st.booleans())
def test_after_a_power_loss_a_log_holds_all_that_was_synced_and_no_half_batch(seed, steps, tear):
    rng = random.Random(seed)
    files, reference = MemoryFiles(), Reference()
    wal = open_wal(files)
    for _ in range(steps):
        batch = random_batch(rng, reference)
        wal.append(*batch)
        reference.append(*batch)
        if rng.random() < 0.3:
            appended = len(reference.history) - 1
            target = wal.sync_target()
            if rng.random() < 0.5:  # writes that arrive during the sync are not covered by it
                batch = random_batch(rng, reference)
                wal.append(*batch)
                reference.append(*batch)
            target()
            reference.durable = appended
    files.power_loss(rng, tear)
    recovered = open_wal(files).recovered
    held = (recovered.hard_state, recovered.entries)
    assert held in reference.history[reference.durable :]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_log_goes_on_after_many_crashes_one_after_another(seed):
    rng = random.Random(seed)
    files, reference = MemoryFiles(), Reference()
    for _ in range(6):
        wal = open_wal(files)
        assert wal.recovered.entries == reference.entries
        for _ in range(rng.randint(0, 6)):
            batch = random_batch(rng, reference)
            wal.append(*batch)
            reference.append(*batch)
        wal.sync_target()()
        wal.append(HardState(99, None), [])
        if rng.random() < 0.5:
            files.power_loss(rng, tear=True)
        recovered = open_wal(files).recovered
        reference.hard_state = recovered.hard_state


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), position=st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_is_never_read_as_another_log(seed, position):
    """Damage refuses to start, unless it hit the last record, which looks like a torn tail then and is cut."""
    rng = random.Random(seed)
    files, reference = MemoryFiles(), Reference()
    wal = open_wal(files)
    for _ in range(12):
        batch = random_batch(rng, reference)
        wal.append(*batch)
        reference.append(*batch)
        wal.sync_target()()
    name = rng.choice(files.names())
    files.flip_bit(name, int(position * len(files.read(name)) * 8))
    try:
        recovered = open_wal(files).recovered
    except CorruptLogError:
        return
    assert name == files.names()[-1]
    assert (recovered.hard_state, recovered.entries) in reference.history[-2:]


def written(batches=3, segment_bytes=10_000):
    files = MemoryFiles()
    wal = Wal(files, "n1", segment_bytes)
    for index in range(1, batches + 1):
        wal.append(HardState(index, None), [Entry(index, index, b"x" * 20)])
        wal.sync_target()()
    return files


def test_a_torn_tail_is_cut_before_anything_is_written_behind_it():
    files = written()
    whole = len(files.read("wal-00000000.log"))
    files.truncate("wal-00000000.log", whole - 1)
    wal = open_wal(files)
    assert [entry.index for entry in wal.recovered.entries] == [1, 2]
    assert wal.recovered.cut_bytes > 0
    wal.append(None, [Entry(7, 3, b"again")])
    assert open_wal(files).recovered.entries[-1] == Entry(7, 3, b"again")


def test_damage_in_the_middle_refuses_to_start():
    files = written()
    files.flip_bit("wal-00000000.log", 8 * 60)
    with pytest.raises(CorruptLogError, match=r"wal-00000000.log at byte \d+: a bad record, but a whole one follows"):
        open_wal(files)


def test_a_damaged_length_in_the_middle_is_not_taken_for_a_torn_tail():
    files = written()
    header_end = 8 + int.from_bytes(files.read("wal-00000000.log")[:4], "big")
    files.flip_bit("wal-00000000.log", 8 * header_end)  # the length's first byte: it now points past the end
    with pytest.raises(CorruptLogError):
        open_wal(files)


def test_a_torn_tail_in_any_but_the_last_segment_refuses_to_start():
    files = written(batches=8, segment_bytes=100)
    assert len(files.names()) > 2
    files.truncate(files.names()[1], 40)
    with pytest.raises(CorruptLogError, match="a later segment exists"):
        open_wal(files)


def test_a_missing_segment_refuses_to_start():
    files = written(batches=8, segment_bytes=100)
    del files._contents[files.names()[1]]
    with pytest.raises(CorruptLogError, match=r"segment wal-00000001.log is missing"):
        open_wal(files)


def test_the_log_of_another_node_refuses_to_start():
    with pytest.raises(CorruptLogError, match="belongs to node n1, not to n2"):
        Wal(written(), "n2")


def test_what_a_killed_process_wrote_is_made_durable_before_it_counts():
    files = MemoryFiles()
    Wal(files, "n1").append(HardState(3, "n2"), [Entry(3, 1, b"x")])
    Wal(files, "n1")  # the process was killed and started again: the page cache still has the record
    files.power_loss(random.Random(1), tear=False)
    assert Wal(files, "n1").recovered.hard_state == HardState(3, "n2")


def test_a_new_segments_name_is_made_durable():
    files = MemoryFiles()
    wal = Wal(files, "n1", segment_bytes=50)
    for index in range(1, 6):
        wal.append(None, [Entry(1, index, b"x" * 60)])
        wal.sync_target()()
    files.power_loss(random.Random(1), tear=False)
    assert len(Wal(files, "n1").recovered.entries) == 5


@pytest.mark.parametrize("fault", ["sync", "full"])
def test_a_failing_disk_stops_the_node_and_promises_nothing(fault):
    files = MemoryFiles()
    node = Node(NodeConfig("n1", ("n1",), election_ticks=3), files, random.Random(1))
    if fault == "sync":
        files.sync_error = OSError(errno.EIO, "input/output error")
    else:
        files.capacity_bytes = 0
    for _ in range(6):
        node.tick()

    def drive():
        while (effects := node.poll()) is not None:
            assert not effects.messages
            if effects.sync:
                node.sync_target()()
                node.synced()

    with pytest.raises(OSError, match=r"error|space"):
        drive()
    assert node.core.role == "candidate", "its own vote never counted"


def test_real_files_recover_and_are_locked(tmp_path):
    files = DirectoryFiles(tmp_path / "data")
    wal = Wal(files, "n1", segment_bytes=200)
    for index in range(1, 20):
        wal.append(HardState(1, "n1") if index == 1 else None, [Entry(1, index, b"x" * 30)])
        wal.sync_target()()
    with pytest.raises(BlockingIOError):
        DirectoryFiles(tmp_path / "data")
    wal.close()
    files.close()
    again = Wal(DirectoryFiles(tmp_path / "data"), "n1", segment_bytes=200)
    assert len(again.recovered.entries) == 19
    assert again.recovered.hard_state == HardState(1, "n1")


def test_boots_are_counted(tmp_path):
    assert [next_boot(tmp_path) for _ in range(3)] == [1, 2, 3]
