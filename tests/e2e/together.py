"""Variants of one test that run at the same time, because each of them mostly waits."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

AsyncTest = Callable[..., Coroutine[Any, Any, None]]


def together(name: str, values: Sequence[object]) -> Callable[[AsyncTest], AsyncTest]:
    """Run an asynchronous test for all values of a parameter at once.

    As `pytest.mark.parametrize`, in the time of one; each has a directory of its own.
    """

    def decorate(test: AsyncTest) -> AsyncTest:
        async def run(tmp_path: Path, **fixtures: object) -> None:
            async with asyncio.TaskGroup() as group:
                for number, value in enumerate(values):
                    given = {**fixtures, name: value}
                    task = test(tmp_path=tmp_path / str(number), **given)
                    group.create_task(task, name=f"{name}={value}")

        whole = inspect.signature(test)
        kept = [each for key, each in whole.parameters.items() if key != name]
        run.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        run.__module__ = test.__module__
        return run

    return decorate
