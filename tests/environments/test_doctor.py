"""`splitbrain doctor`: what it says, and that it says it where nothing is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.commands import doctor
from harness.commands.doctor import CHECKS, doctor_command


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    doctor._engine.cache_clear()


def test_json_is_all_that_is_printed(no_engine: None, capsys: pytest.CaptureFixture[str]) -> None:
    doctor_command(as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in said["checks"]] == [check.name for check in CHECKS]
    assert said["environments"]["sim"] is None
    assert "DOCKER_HOST" in said["environments"]["docker"]
    assert all(check["present"] != bool(check["remedy"]) for check in said["checks"])


def test_what_is_missing_is_named_with_its_remedy(no_engine: None, capsys: pytest.CaptureFixture[str]) -> None:
    doctor_command()
    said = capsys.readouterr().out
    assert "to get Docker Engine: start one" in said
    assert "docker: no: no Docker Engine answers at unix:" in said
    assert "\x1b" not in said


def test_a_machine_with_no_programs_still_gets_an_answer(
    no_engine: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    doctor_command(as_json=True)
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["iptables"]["found"] == "not installed"
    assert checks["user namespaces"]["present"] is False
