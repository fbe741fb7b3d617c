"""What the latest state changes mean for whoever waits for a connection.

The connection is settled while it serves, or once nothing more will be tried; it is
over once the client has left, or was refused for good.
"""

from __future__ import annotations

import asyncio

from relay_client.errors import AuthenticationError, RelayError
from relay_client.states import SERVING, ConnectionState, StateChange


class Readiness:
    """The connection as those see it who wait for it."""

    def __init__(self) -> None:
        self.last_change: StateChange | None = None
        self.last_loss = "no answer yet"
        """Why there is no connection."""
        self._settled = asyncio.Event()
        self._over = asyncio.Event()

    def begin(self) -> None:
        """Start afresh with a new connection."""
        self._settled.clear()
        self._over.clear()

    def take(self, change: StateChange) -> None:
        """Take in a change of state."""
        self.last_change = change
        if change.state is ConnectionState.DISCONNECTED:
            self.last_loss = change.reason
        if change.state in SERVING or change.is_final:
            self._settled.set()
        else:
            self._settled.clear()
        if change.is_final and change.state is ConnectionState.REJECTED:
            self._over.set()

    def finish(self) -> None:
        """Note that the client has left, or is to leave."""
        self._over.set()

    async def wait_settled(self, timeout: float | None) -> None:
        """Wait until the connection serves, or will never.

        Raises:
            TimeoutError: neither happened.
        """
        async with asyncio.timeout(timeout):
            await self._settled.wait()

    async def wait_over(self) -> None:
        """Wait until the client has left, or was refused for good."""
        await self._over.wait()

    def refusal(self) -> RelayError | None:
        """Return the platform's refusal, if that is where the connection stands."""
        change = self.last_change
        if change is None or change.state is not ConnectionState.REJECTED:
            return None
        return change.error or AuthenticationError(-1, "no reason given")
