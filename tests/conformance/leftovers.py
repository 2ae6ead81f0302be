"""What is there on this machine and on its engine, found by name and by label.

Lives here: looking. Must not live here: the project's own way to find and remove such things, which this is to check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from docker import DockerClient

T = TypeVar("T")


def processes_naming(text: str) -> list[str]:
    """The command lines that hold the text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes()
        except OSError:  # it has just ended
            continue
        if text.encode() in command:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def on_engine(ask: Callable[[DockerClient], T]) -> T:
    """What the engine answers."""
    import docker

    with closing(docker.from_env()) as client:
        return ask(client)


def things_labelled(labels: Mapping[str, str]) -> list[str]:
    """The names of the containers, networks and volumes that carry all of the labels."""
    wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}

    def find(client: DockerClient) -> list[str]:
        found = [thing["Names"][0] for thing in client.api.containers(all=True, filters=wanted)]
        found += [thing["Name"] for thing in client.api.networks(filters=wanted)]
        return found + [thing["Name"] for thing in client.api.volumes(filters=wanted)["Volumes"] or []]

    return on_engine(find)
