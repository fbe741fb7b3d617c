"""Runs the application's handlers, away from the receive loop.

A handler may be a function or a coroutine function. Each call of one is a task of its
own, so that a slow handler delays nobody; there is a bound on how many run at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class HandlerTasks:
    """The tasks that belong to one client, from their start to their end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0
        """Handlers not run because too many were running."""

    def __len__(self) -> int:
        return len(self._tasks)

    def call(self, name: str, handler: Callable[..., Any], *arguments: object) -> None:
        """Call `handler` in a task."""
        self.spawn(name, lambda: _call(handler, *arguments))

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` in a task, unless too many are running."""
        if len(self._tasks) >= self._limit:
            self.dropped += 1
            logger.error("x %s not run: %d handlers are running", name, self._limit)
            return
        task = asyncio.create_task(_guard(name, work), name=f"relay {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout: float) -> None:
        """Cancel every task but the one that asks, and see them end."""
        # One turn of the loop first: a task cancelled before its first step would not
        # even have called its handler.
        await asyncio.sleep(0)
        others = self._others()
        for task in others:
            task.cancel()
        if others:
            _, stuck = await asyncio.wait(others, timeout=timeout)
            for task in stuck:
                logger.error("! %s does not end", task.get_name())

    async def finish(self, timeout: float) -> None:
        """Let every task but the one that asks come to its end, then cancel the rest.

        Tasks may start others meanwhile.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while others := self._others():
                    await asyncio.wait(others)
        await self.close(timeout)

    def _others(self) -> set[asyncio.Task[None]]:
        return {task for task in self._tasks if task is not asyncio.current_task()}


async def _call(handler: Callable[..., Any], *arguments: object) -> None:
    result = handler(*arguments)
    if inspect.isawaitable(result):
        await result


async def _guard(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except Exception:
        # The top of the task: a handler's fault ends that handler and nothing else.
        logger.exception("! %s failed", name)
