"""Whether the other end of a RELAY connection is still there.

A dead peer does not close its socket. Two clocks notice it: our own ping, sent at an
interval and due within a time-out, and a watchdog that runs only once the server has
shown that it pings. Anything received counts as life for both.

Pure.
"""

from __future__ import annotations

from relay_client.timing import Timing


class Liveness:
    """Signs of life on one connection."""

    def __init__(self, timing: Timing, now: float) -> None:
        self._timing = timing
        self._server_pings = False
        self._received_at = now
        self._traffic_at = now
        self.ping_at: float | None = None
        """When our next ping is due; None before authentication."""

    def authenticated(self, now: float) -> None:
        """Start our own pings."""
        self.ping_at = now + self._timing.ping_interval

    def ping_sent(self, now: float) -> None:
        """Note that our ping went out."""
        self.ping_at = now + self._timing.ping_interval

    def received(self, now: float) -> None:
        """Note that anything at all arrived."""
        self._received_at = now

    def server_pinged(self) -> None:
        """Note that this server pings, so that its silence means something."""
        self._server_pings = True

    def exchanged(self, now: float) -> None:
        """Note a message other than a ping, in either direction."""
        self._traffic_at = now

    def heard_since(self, at: float) -> bool:
        """Return whether anything arrived after `at`."""
        return self._received_at > at

    @property
    def dead_at(self) -> float | None:
        """When the silence becomes too long; None while silence means nothing."""
        if not self._server_pings:
            return None
        return self._received_at + self._timing.watchdog

    @property
    def quiet_at(self) -> float:
        """When nothing but pings will have passed for the draining time."""
        return self._traffic_at + self._timing.drain_quiet
