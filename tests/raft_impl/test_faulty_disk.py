"""A disk that is made faulty through a file, on a real directory; test_processes.py has it under real processes."""

import errno
import json
import random
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.diskfile import faulty_files
from raft_impl.storage.faulty import DiskFaults, DiskSeen, DiskSetting, FaultyFiles
from raft_impl.storage.files import DirectoryFiles
from raft_impl.storage.memory import MemoryFiles
from raft_impl.storage.wal import Wal
from raft_impl.types import Entry, HardState
from waiting import eventually

DEADLINE_S = 20


class Place:
    """A directory on a disk that `set` makes faulty; `life` opens it as the next process does when one has died."""

    def __init__(self, path):
        self.path, self.setting, self.directory = path, path / "disk", None

    def set(self, **setting):
        (self.path / "new").write_text(json.dumps(setting))
        (self.path / "new").rename(self.setting)

    def life(self):
        if self.directory is not None:
            self.directory.close()
        self.directory = DirectoryFiles(self.path / "data")
        return faulty_files(self.directory, self.setting)

    def below(self, name):
        return (self.path / "data" / name).read_bytes()

    def seen(self):
        seen = json.loads((self.path / "disk.seen").read_text())
        return {name: value for name, value in seen.items() if value}


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.directory.close()


@pytest.mark.parametrize("setting", [None, {}])
def test_a_sound_disk_does_nothing(place, setting):
    if setting is not None:
        place.set(**setting)
    file = place.life().create("a")
    file.append(b"one")
    assert place.below("a") == b"one"
    file.sync_target()()
    assert place.seen() == {}


def test_a_failing_sync_is_counted_and_one_that_is_sound_again_is_not(place):
    files = place.life()
    file = files.create("a")
    place.set(sync_error=True)
    for sync in (file.sync_target(), files.sync_directory):
        with pytest.raises(OSError, match="injected") as failure:
            sync()
        assert failure.value.errno == errno.EIO
    place.set()
    file.sync_target()()
    assert place.seen() == {"failed": 2}


def test_a_full_disk_writes_nothing(place):
    file = place.life().create("a")
    file.append(b"one")
    place.set(full=True)
    with pytest.raises(OSError, match="no space") as failure:
        file.append(b"two")
    assert failure.value.errno == errno.ENOSPC
    place.set()
    file.append(b"three")
    assert place.below("a") == b"onethree"
    assert place.seen() == {"refused": 1}


def test_a_disk_that_is_full_in_truth_is_counted_too():
    files = MemoryFiles()
    seen = DiskSeen()
    faults = DiskFaults(DiskSetting, lambda delay_ms: None, seen, lambda: None)
    file = FaultyFiles(files, faults).create("a")
    file.append(b"one")
    files.capacity_bytes = 3
    with pytest.raises(OSError, match=r"no space left on device$"):
        file.append(b"two")
    assert seen == DiskSeen(refused=1)
    files.capacity_bytes = None
    file.append(b"three")
    assert files.read("a") == b"onethree"


def test_a_slow_sync_takes_longer_until_the_disk_is_fast_again(place):
    file = place.life().create("a")
    place.set(sync_delay_ms=30)
    begin = time.monotonic()
    file.sync_target()()
    assert time.monotonic() - begin >= 0.03
    place.set(sync_delay_ms=3_600_000)
    syncing = threading.Thread(target=file.sync_target())
    syncing.start()
    eventually("the second sync is under way", lambda: place.seen() == {"delayed": 2}, DEADLINE_S)
    file.append(b"not kept waiting")
    place.set()
    syncing.join(DEADLINE_S)
    assert not syncing.is_alive()


def test_a_volatile_disk_holds_data_until_its_sync_and_names_until_that_of_the_directory(place):
    place.set(volatile=True)
    files = place.life()
    file = files.create("a")
    with pytest.raises(FileExistsError):
        files.create("a")
    file.append(b"one")
    file.sync_target()()
    assert place.directory.names() == []
    file.append(b"two")
    files.sync_directory()
    assert place.below("a") == b"one"
    target = file.sync_target()
    file.append(b"three")
    target()
    assert place.below("a") == b"onetwo"
    assert place.seen() == {"held": 3, "held_bytes": 5}
    assert place.life().read("a") == b"onetwo"
    assert place.seen() == {"held": 3, "lost_bytes": 5}


@pytest.mark.parametrize("end", ["the setting is lifted", "the file is closed"])
def test_what_is_held_is_written_down_when_the_disk_is_not_volatile_any_more(place, end):
    place.set(volatile=True)
    file = place.life().create("a")
    file.append(b"one")
    if end == "the file is closed":
        file.close()
        assert place.below("a") == b"one"
    else:
        place.set()
        file.append(b"two")
        assert place.below("a") == b"onetwo"
    assert place.seen() == {"held": 1}


def test_a_senseless_setting_changes_nothing_and_is_reported(place):
    place.set(full=True)
    file = place.life().create("a")
    for wrong in ('{"ful": true}', "{", '{"full": 1}'):
        place.setting.write_text(wrong)
        with pytest.raises(OSError, match="no space"):
            file.append(b"one")
        assert str(place.setting) in place.seen()["problem"]
    place.setting.unlink()
    file.append(b"one")
    assert place.seen() == {"refused": 3}


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40))
def test_a_kill_on_a_volatile_disk_leaves_exactly_what_was_synced(seed, steps):
    """Of a log in many small segments: neither more, as without the fault, nor less."""
    rng, below, seen = random.Random(seed), MemoryFiles(), DiskSeen()
    setting = DiskSetting(volatile=True)
    faults = DiskFaults(lambda: setting, lambda delay_ms: None, seen, lambda: None)
    wal, synced = Wal(FaultyFiles(below, faults), "n1", segment_bytes=300), 0
    for index in range(1, steps + 1):
        wal.append(HardState(1) if index == 1 else None, [Entry(1, index, rng.randbytes(rng.randint(0, 90)))])
        if rng.random() < 0.4:
            target, synced = wal.sync_target(), index
            target()
    assert (seen.held_bytes > 0) == (synced < steps)
    assert seen.held == steps + len(below.names())
    assert len(Wal(below, "n1").recovered.entries) == synced
