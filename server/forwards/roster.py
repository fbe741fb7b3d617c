"""The forwards of all taps: which there are, their tasks, and their ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from server.forwards.forward import Forward
from server.taps.status import ForwardStatus

FINISH_TIMEOUT_S = 5.0
"""For which a tap that is over waits for its forwards to take the rest."""

MAX_FORWARDS = 32
"""Of one tap."""


class ForwardWatch(Protocol):
    """Is told of what happens to forwards, as it happens; returns at once."""

    def forward_changed(self, control_id: str, status: ForwardStatus) -> None:
        """Take note that a forward is in another state."""
        ...

    def forward_removed(self, control_id: str, status: ForwardStatus) -> None:
        """Take note that somebody took a forward away."""
        ...

    def forward_replied(self, control_id: str, forward_id: str, text: str) -> None:
        """Take note of what the other end said."""
        ...


@dataclass(slots=True)
class _OfTap:
    """The forwards of one tap, with the task of each."""

    forwards: dict[str, Forward] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class TapForwards:
    """All forwards there are, by the control id of their tap."""

    def __init__(self, watch: ForwardWatch | None = None) -> None:
        self._taps: dict[str, _OfTap] = {}
        self._watch = watch

    def is_full(self, control_id: str) -> bool:
        """Tell whether a tap has as many as it may have."""
        of_tap = self._taps.get(control_id)
        return of_tap is not None and len(of_tap.forwards) >= MAX_FORWARDS

    def start(
        self,
        control_id: str,
        forward: Forward,
        on_done: Callable[[], None],
    ) -> None:
        """Begin a forward; its task is ours from now on."""
        of_tap = self._taps.setdefault(control_id, _OfTap())
        of_tap.forwards[forward.forward_id] = forward
        self._begin_watching(control_id, forward)
        name = f"forward {forward.forward_id}"
        task = asyncio.create_task(forward.run(), name=name)
        task.add_done_callback(lambda _: on_done())
        of_tap.tasks[forward.forward_id] = task

    def get(self, control_id: str, forward_id: str) -> Forward | None:
        """Return a forward, or None."""
        of_tap = self._taps.get(control_id)
        return None if of_tap is None else of_tap.forwards.get(forward_id)

    async def remove(self, control_id: str, forward_id: str) -> None:
        """End one forward properly and forget it."""
        of_tap = self._taps[control_id]
        of_tap.forwards[forward_id].finish()
        await _end([of_tap.tasks[forward_id]])
        of_tap.tasks.pop(forward_id, None)
        removed = of_tap.forwards.pop(forward_id, None)
        if self._watch is not None and removed is not None:
            self._watch.forward_removed(control_id, removed.status())

    def _begin_watching(self, control_id: str, forward: Forward) -> None:
        if (watch := self._watch) is None:
            return
        forward_id = forward.forward_id
        forward.on_state = lambda: watch.forward_changed(control_id, forward.status())
        forward.on_reply = lambda text: watch.forward_replied(
            control_id, forward_id, text
        )
        forward.on_state()

    def finish(self, control_id: str) -> None:
        """Let the forwards of a tap end that has nothing to add."""
        if (of_tap := self._taps.get(control_id)) is not None:
            for forward in of_tap.forwards.values():
                forward.finish()

    async def end(self, control_id: str) -> None:
        """End all forwards of a tap that is over; they can still be asked for."""
        self.finish(control_id)
        if (of_tap := self._taps.get(control_id)) is not None:
            await _end(list(of_tap.tasks.values()))

    def forget(self, control_id: str) -> None:
        """Forget the forwards of a tap that have ended."""
        self._taps.pop(control_id, None)

    def statuses(self, control_id: str) -> tuple[ForwardStatus, ...]:
        """Describe the forwards of a tap, in the order in which they began."""
        of_tap = self._taps.get(control_id)
        if of_tap is None:
            return ()
        return tuple(each.status() for each in of_tap.forwards.values())

    async def close(self) -> None:
        """Stop whatever is left at once."""
        tasks = [task for each in self._taps.values() for task in each.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Wait a while for tasks, then stop those that are not done."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FINISH_TIMEOUT_S):
            await asyncio.wait(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
