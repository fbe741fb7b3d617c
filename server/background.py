"""What goes on beside everything else until its owner ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack


def spawn(
    stack: AsyncExitStack, work: Coroutine[object, object, None], name: str
) -> None:
    """Have something done by a task of its own until the stack is unwound."""
    task = asyncio.create_task(work, name=name)
    stack.push_async_callback(_cancel, task)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
