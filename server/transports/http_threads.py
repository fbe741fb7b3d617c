"""Threads for the disk: one that hangs holds up the API, and never a recording."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from server.transports.http_problem import ProblemError

_T = TypeVar("_T")


class DiskThreads:
    """A few threads that live as long as an application.

    Args:
        count: How many.
        name: What they are called.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    def add_to(self, app: web.Application) -> None:
        """Run while the application does."""
        app.cleanup_ctx.append(self._live)

    async def _live(self, _: web.Application) -> AsyncIterator[None]:
        self._pool = ThreadPoolExecutor(self._count, self._name)
        yield
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, timeout_s: float, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that may block. Cancelling leaves it to end by itself.

        Raises:
            ProblemError: The disk did not answer in time, or cannot be used.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                return await loop.run_in_executor(
                    self._pool, functools.partial(call, *args)
                )
        except TimeoutError:
            raise ProblemError(
                503, "The recordings directory did not answer in time."
            ) from None
        except OSError as error:
            raise ProblemError(
                503, f"The recordings directory cannot be used: {error.strerror}."
            ) from error
