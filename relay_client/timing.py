"""Every duration and limit of the RELAY client, in one place.

The defaults follow the official SDKs where they agree. All durations are in seconds.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long the client waits for what."""

    open_timeout: float = 10.0
    """For the WebSocket to open, TLS included."""
    request_timeout: float = 10.0
    """From sending a request to its reply; after that the socket counts as dead."""
    queue_timeout: float = 60.0
    """How long a request may wait for a connection before it is sent at all."""
    ping_interval: float = 30.0
    ping_timeout: float = 10.0
    watchdog: float = 20.0
    """Silence after which a server that has pinged before counts as dead.

    Servers ping more often than every 15 s: one official SDK closes after that long.
    """
    drain_quiet: float = 10.0
    """Silence after which a connection that the server asked us to leave is closed."""
    backoff_min: float = 1.0
    backoff_max: float = 30.0
    stable_after: float = 10.0
    """How long a connection must have been ready for the back-off to start afresh."""
    slow_retry: float = 300.0
    """Between attempts once credentials that used to work are refused."""
    stop_grace: float = 5.0
    """From an accepted stop to the tap being taken for finished without an event."""
    answer_grace: float = 5.0
    """From an accepted answer to the call's `answered` event, before tapping."""
    dial_timeout: float = 120.0
    shutdown_timeout: float = 5.0
    """For handlers to end once the client disconnects."""

    max_rejections: int = 3
    """Consecutive refusals of the credentials before the client gives up."""
    max_queued: int = 500
    """Requests that may wait for a connection."""
