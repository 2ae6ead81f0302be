"""The marks `docker` and `local`: what becomes of such tests on a machine that can, and on one that cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.environments import namespace

ROOT = Path(__file__).parents[2]
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def tried(test: str, *options: str, root: Path = ROOT, **environment: str) -> tuple[int, str]:
    """The exit code and the output of a pytest that runs one test."""
    command = [sys.executable, "-m", "pytest", "-rsfE", "-p", "no:cacheprovider", *options, test]
    ran = subprocess.run(
        command, cwd=root, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    return ran.returncode, ran.stdout


def test_without_an_engine_container_tests_skip_and_say_why() -> None:
    code, output = tried("tests/environments/test_docker.py::test_dead_nodes_are_reaped", **NO_ENGINE)
    assert "no Docker Engine answers at unix:///nowhere/docker.sock" in output
    assert "1 skipped" in output
    assert code == 0


def test_without_an_engine_that_is_required_container_tests_fail() -> None:
    test = "tests/environments/test_docker.py::test_dead_nodes_are_reaped"
    code, output = tried(test, "--require-docker", **NO_ENGINE)
    assert "--require-docker: no Docker Engine answers at" in output
    assert code == 1


LOCAL_TEST = """
import os
import pytest
from harness.environments import namespace

def test_before():
    assert not namespace.inside()

@pytest.mark.local
@pytest.mark.parametrize("what", ["pass", "fail", "skip", "die"])
def test_inside(what):
    assert namespace.inside()
    if what == "skip":
        pytest.skip("for a good reason")
    if what == "die":
        os._exit(0)
    assert what == "pass"

def test_after():
    assert not namespace.inside()
"""


@pytest.mark.skipif(namespace.unavailable() is not None or namespace.inside(), reason="no namespace can be had here")
def test_what_happens_inside_of_the_namespace_is_reported_outside(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_local.py").write_text(LOCAL_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q\nmarkers =\n  local\n  docker\n")
    code, output = tried("test_local.py", root=tmp_path)
    assert "FAILED test_local.py::test_inside[fail]" in output
    assert ": for a good reason" in output
    assert "FAILED test_local.py::test_inside[die] - Failed: the session inside" in output
    assert "2 failed, 3 passed, 1 skipped" in output
    assert code == 1
