"""What is there on this machine and on its engine, found by name and by label.

Lives here: looking. Must not live here: the project's own way to find and remove such things, which this is to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from docker import DockerClient

T = TypeVar("T")


def pids_of(text: str) -> list[int]:
    """The processes whose command line holds the text."""
    return [pid for pid, command, _ in _processes() if text in command]


def processes_naming(text: str) -> list[str]:
    """The command lines of the processes that name the text there, or that work in a directory which does."""
    return [command for _, command, directory in _processes() if text in command or text in directory]


def _processes() -> Iterator[tuple[int, str, str]]:
    """Each process of this machine: its number, its command line, and where it works."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            directory = str((file.parent / "cwd").readlink())
        except OSError:  # it has just ended, or is somebody else's
            continue
        yield int(file.parent.name), command, directory


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
