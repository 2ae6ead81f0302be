"""Several things at once, all of them to their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The results, once every call has ended; then the first failure is raised, and none goes on unseen."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    succeeded = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        succeeded.append(result)
    return succeeded
