"""What runs share is made once, before the first of them."""

from __future__ import annotations

import pytest

from harness.campaign import prepare as module
from harness.campaign.prepare import prepare
from harness.errors import EnvironmentFailure, UsageError


@pytest.fixture
def made(monkeypatch):
    """The base images on which an image of a node was asked for; `made.failure` is raised instead."""

    class Made(list):
        failure: Exception | None = None

    asked = Made()

    async def node_image(engine, say, base):
        if asked.failure is not None:
            raise asked.failure
        asked.append(base)

    monkeypatch.setattr(module, "node_image", node_image)
    monkeypatch.setenv("SPLITBRAIN_BASE_IMAGE", "debian:bookworm")
    return asked


@pytest.mark.parametrize(("environments", "times"), [({"docker", "sim"}, 1), ({"sim", "local"}, 0), (set(), 0)])
def test_an_image_is_made_once_if_any_cell_has_containers(made, environments, times):
    prepare(environments, print)
    assert made == ["debian:bookworm"] * times


def test_that_it_cannot_be_made_is_said_and_left_for_the_runs_to_say(made):
    made.failure = EnvironmentFailure("docker: build: no space")
    said = []
    prepare({"docker"}, said.append)
    assert said == ["no image of a node: docker: build: no space"]


def test_that_it_never_can_be_made_is_bad_input(made):
    made.failure = UsageError("no base image")
    with pytest.raises(UsageError):
        prepare({"docker"}, print)
