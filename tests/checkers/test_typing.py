"""What users' type checkers see: the package is typed, and a model of one's own passes mypy in its strictest form."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MINE = """
from checkers import ILLEGAL, Budget, Event, History, Model, Operation, Result, check, models, unfinished
from checkers.models import Illegal


def step(total: int, operation: Operation) -> int | Illegal:
    if operation.f == "add":
        value: int = operation.value
        return total + value
    return total if operation.status != "ok" or operation.result == total else ILLEGAL


def steps(state: int, operation: Operation) -> list[int]:
    return [state, state + 1]


counter = Model("counter", 0, step, reads=frozenset({"read"}))
several = models.nondeterministic("several", [0], steps)
ours: list[Model] = [models.queue(), models.stack([1]), models.kv(""), models.kv_unsplit(), models.set_model({1})]
ours += [models.counter(3), models.mutex(False), models.multi_register({"x": 1}), models.versioned_register(True)]
result: Result = check([Operation(f="add", value=1, call_time=0, return_time=1)], counter, budget=Budget(seconds=1))
fates: dict[Operation, str] = dict(unfinished(result, counter))
events: list[Event] = []
check(events, "register")
check(History.of_operations([]), several)
"""


def test_a_file_of_a_user_passes_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="checks a file with mypy")
    (tmp_path / "mine.py").write_text(MINE)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run([*command, str(tmp_path / "mine.py")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_says_that_all_its_packages_are_typed(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="builds the wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"{package}/py.typed" for package in ("checkers", "harness", "raft_impl")} <= set(names)
