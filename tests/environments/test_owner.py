"""Whether the harness that made a thing is still there."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

from harness.environments.owner import LABEL, Owner


def test_labels_name_the_owner_and_give_it_back() -> None:
    labels = Owner.current().labels()
    assert set(labels) == {f"{LABEL}.{name}" for name in ("host", "boot", "namespace", "pid", "started")}
    assert Owner.of(labels | {"other": "label"}) == Owner.current()


def test_a_living_process_is_not_gone() -> None:
    assert not Owner.current().gone()


def test_a_process_that_ended_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=30)
    assert dataclasses.replace(Owner.current(), pid=str(process.pid)).gone()


def test_a_reused_process_id_does_not_count_as_the_owner() -> None:
    assert dataclasses.replace(Owner.current(), started="1").gone()


def test_what_an_earlier_boot_started_is_gone() -> None:
    assert dataclasses.replace(Owner.current(), boot="another").gone()


def test_nothing_is_known_of_a_process_of_another_namespace() -> None:
    """Its number means another process here, or none."""
    elsewhere = dataclasses.replace(Owner.current(), namespace="pid:[1]", pid="1", started="1")
    assert not elsewhere.gone()
    assert dataclasses.replace(elsewhere, boot="another").gone()


def test_nothing_is_known_of_another_host() -> None:
    elsewhere = dataclasses.replace(Owner.current(), host="elsewhere", boot="another", pid="1")
    assert not elsewhere.gone()


def test_things_without_labels_belong_to_somebody_else() -> None:
    assert not Owner.of({}).gone()
