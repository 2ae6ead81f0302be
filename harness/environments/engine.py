"""The Docker Engine, asked with a deadline.

Lives here: clients, and the translation of the SDK's exceptions. Must not live here: what is asked, or threads. Each
call has a client of its own, as it has a thread of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from harness.environments.blocking import in_thread
from harness.errors import EnvironmentFailure

if TYPE_CHECKING:
    from docker import DockerClient

T = TypeVar("T")
_DEADLINE_S = 15.0
_PROBE_TIMEOUT_S = 3


class Engine:
    """The engine that the environment variables of Docker name, by default the one of this machine."""

    def __init__(self) -> None:
        self._version: str | None = None  # None: agree on an API version first, one request more
        self._making: dict[object, str] = {}

    @property
    def unanswered(self) -> str:
        """What was to be made, and has not been answered: it may come to be later. Empty if there is no such thing."""
        return ", ".join(sorted(self._making.values()))

    async def call(
        self, what: str, work: Callable[[DockerClient], T], deadline_s: float = _DEADLINE_S, makes: bool = False
    ) -> T:
        """What `work` returns. Raises `EnvironmentFailure` if the engine refuses, or gives no answer in time.

        `makes`: it makes something that stays (see `unanswered`).

        When the caller is cancelled, what was begun ends first: a container made after the teardown would stay.
        """

        def ask(client: DockerClient) -> T:
            with closing(client):
                return work(client)

        return await self.open(what, self._noted(what, ask) if makes else ask, deadline_s)

    def _noted(self, what: str, work: Callable[[DockerClient], T]) -> Callable[[DockerClient], T]:
        """The same, which is unanswered until it has ended, and stays so if the engine lets it time out."""
        from requests.exceptions import Timeout

        def noted(client: DockerClient) -> T:
            call = object()
            self._making[call] = what
            try:
                made = work(client)
            except Timeout:
                raise
            except BaseException:
                self._making.pop(call)
                raise
            self._making.pop(call)
            return made

        return noted

    async def open(self, what: str, make: Callable[[DockerClient], T], deadline_s: float = _DEADLINE_S) -> T:
        """What `make` returns, which keeps its client, and closes it in the end. Raises as `call` does."""
        from docker.errors import DockerException

        try:
            return await in_thread("docker", lambda: make(self._client(deadline_s)), deadline_s)
        except TimeoutError as error:
            raise EnvironmentFailure(f"docker: {what}: no answer within {deadline_s:.0f} s") from error
        except (DockerException, OSError) as error:
            raise EnvironmentFailure(f"docker: {what}: {first_line(error)}") from error

    def _client(self, timeout_s: float) -> DockerClient:
        import docker

        client = docker.from_env(version=self._version, timeout=max(1, int(timeout_s)))
        self._version = client.api.api_version
        return client


def unavailable() -> str | None:
    """Why no engine can be used, in one line with the next step; None if one answers."""
    try:
        # The folder `docker` of a checkout is importable too, so the name alone proves nothing.
        from docker.errors import DockerException

        from docker import from_env
    except ImportError:
        return "the Docker SDK for Python is missing: install the package docker"
    try:
        with closing(from_env(timeout=_PROBE_TIMEOUT_S)) as client:
            client.ping()
    except (DockerException, OSError) as error:
        host = os.environ.get("DOCKER_HOST", "the default socket")
        return f"no Docker Engine answers at {host} ({_cause(error)}): start one, or set DOCKER_HOST"
    return None


def identity() -> str | None:
    """Which engine answers; None if none does, or if it does not say.

    Where it keeps its things belongs to it: engines of one machine may have the machine's own id in common. An engine
    that draws a new id each time it is asked (Podman) does not say which one it is.
    """
    from docker.errors import DockerException

    from docker import from_env

    try:
        with closing(from_env(timeout=_PROBE_TIMEOUT_S)) as client:
            first, second = (client.info() for _ in range(2))
    except (DockerException, OSError):
        return None
    return f"{first['ID']} ({first['DockerRootDir']})" if first["ID"] and first["ID"] == second["ID"] else None


def _cause(error: BaseException) -> str:
    """What began it: the SDK wraps a refused connection three times."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return getattr(error, "strerror", None) or first_line(error)


def first_line(error: BaseException) -> str:
    """The gist of an exception of the SDK, on one line."""
    explanation = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return str(explanation).strip().splitlines()[0]
