"""`--on-failure`: called once a kind of failure, told what it needs, and harmless whatever it does."""

from __future__ import annotations

import pytest

from harness.campaign import hook
from harness.campaign.hook import Hook, variables
from harness.signature import Signature

LOST = Signature("linearizable", "no order explains it", "read after write")


@pytest.fixture
def told(tmp_path):
    """A function: the lines that a command says when these rows end one after the other."""

    def told(command, *rows, before=()):
        lines: list[str] = []
        called = Hook(tmp_path, command)
        for row in before:
            called.know(row)
        for row in rows:
            called.ended(row, lines.append)
        return [line.removeprefix("--on-failure: ") for line in lines]

    return told


def test_it_is_called_once_for_each_kind_of_failure(told, rows):
    night = [rows(), *rows.many(3, "invalid"), rows("crash"), *rows.many(2, "invalid", signature=LOST), rows("unknown")]
    assert len(told("echo $SPLITBRAIN_SIGNATURE", *night)) == 2


def test_what_a_resumed_campaign_has_had_is_not_new(told, rows):
    assert told("echo again", rows("invalid"), before=[rows(), rows("invalid")]) == []
    assert told("echo new", rows("invalid"), before=[rows(), rows("invalid", signature=LOST)]) == ["new"]


def test_it_finds_what_it_needs_in_its_environment(tmp_path, rows):
    row = rows("invalid", seed=7)
    (tmp_path / row.run).mkdir(parents=True)
    assert variables(tmp_path, row)["SPLITBRAIN_ARTEFACT"] == str(tmp_path / row.run)
    for name in ("results.json", "artefact.json"):
        (tmp_path / row.run / name).touch()
        assert variables(tmp_path, row)["SPLITBRAIN_ARTEFACT"] == str(tmp_path / row.run / name)
    found = variables(tmp_path, row)
    assert (found["SPLITBRAIN_SEED"], found["SPLITBRAIN_VERDICT"]) == ("7", "invalid")
    assert found["SPLITBRAIN_COMMAND"] == row.command


def test_what_it_says_and_that_it_failed_is_said(told, rows):
    assert told("echo oh; echo no >&2; exit 3", rows("invalid")) == ["oh", "no", "exit code 3"]


@pytest.mark.parametrize("command", ["sleep 1000", "sleep 1000 & wait"])
def test_one_that_hangs_is_stopped_with_all_its_children(told, rows, monkeypatch, command):
    monkeypatch.setattr(hook, "_LIMIT_S", 0.3)
    assert told(command, rows("invalid")) == ["stopped after 0.3 s"]


def test_what_it_leaves_in_the_background_keeps_nobody_waiting(told, rows):
    assert told("sleep 5 & echo done", rows("invalid")) == ["done"]


def test_without_a_command_nothing_is_called(told, rows):
    assert told(None, rows("invalid")) == []
