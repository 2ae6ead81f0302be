"""Rows to order, and the command line in an empty directory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.cli import call
from night import Rows


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def splitbrain(tmp_path, monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """A function: (exit code, stdout, stderr) of a command line, carried out in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def splitbrain(*words: object) -> tuple[int, str, str]:
        code = call([str(word) for word in words])
        return code, *capfd.readouterr()

    return splitbrain
