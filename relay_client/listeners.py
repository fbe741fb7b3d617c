"""Who is told of the events of a call: handlers for good, waiters for one event.

A waiter whose event cannot come any more, because the call is over or the client has
left, is released with an error instead of being left waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay_client.errors import RelayError
from relay_client.events import RelayEvent

EventHandler = Callable[[Any], Any]
"""A function or coroutine function that takes an event."""

Predicate = Callable[[Any], bool]


@dataclass(eq=False, slots=True)
class _Waiter:
    event_type: str
    predicate: Predicate | None
    found: asyncio.Future[RelayEvent]


class Listeners:
    """The listeners of one call."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[EventHandler]] = {}
        self._waiters: list[_Waiter] = []
        self._release_error: RelayError | None = None

    def add(self, event_type: str, handler: EventHandler) -> None:
        """Add a handler for events of this type."""
        self._handlers.setdefault(event_type, []).append(handler)

    def handlers(self, event_type: str) -> list[EventHandler]:
        """Return the handlers for events of this type."""
        return list(self._handlers.get(event_type, ()))

    async def wait_for(
        self, event_type: str, predicate: Predicate | None, timeout: float | None
    ) -> RelayEvent:
        """Wait for an event of this type that fulfils `predicate`.

        Raises:
            RelayError: the event cannot come any more.
            TimeoutError: it did not come in time.
        """
        if self._release_error is not None:
            raise self._release_error
        found: asyncio.Future[RelayEvent] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(event_type, predicate, found)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await found
        finally:
            self._waiters.remove(waiter)

    def wake(self, event: RelayEvent) -> None:
        """Give the event to whoever waits for it."""
        for waiter in self._waiters:
            if waiter.event_type == event.event_type and not waiter.found.done():
                _offer(waiter, event)

    def release(self, error: RelayError) -> None:
        """Let nobody wait for events that will not come, now or later."""
        self._release_error = self._release_error or error
        for waiter in self._waiters:
            if not waiter.found.done():
                waiter.found.set_exception(error)


def _offer(waiter: _Waiter, event: RelayEvent) -> None:
    try:
        if waiter.predicate is None or waiter.predicate(event):
            waiter.found.set_result(event)
    except Exception as error:
        # The application's predicate failed: that is for the one who waits on it.
        waiter.found.set_exception(error)
