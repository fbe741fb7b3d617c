"""The states of a RELAY connection, and the only ways from one to another.

    DISCONNECTED ──open──► CONNECTING ──opened──► AUTHENTICATING ──accepted──► READY
         ▲                     │                     │    │                    │  │
         ├──────── lost ───────┴──────── lost ───────┘    │             drain  │  │
         ├──────────────────────── lost ◄── DRAINING ◄────┼────────────────────┘  │
         ├──────────────────────── lost ◄─────────────────┼───────────────────────┘
         │                                             refused
         └◄── stop ──┬─────────────────────────────── REJECTED
                     └─ open (slow retry) ──► CONNECTING

DISCONNECTED waits for the back-off, or for ever once stopped. REJECTED is entered by
the third refusal of the credentials in a row. It is final if the credentials never
worked; if they did (they may have been revoked, and may come back) it is left every few
minutes for one more attempt.

Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from relay_client.errors import RelayError


class ConnectionState(enum.StrEnum):
    """Where the connection to the platform stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    DRAINING = "draining"
    REJECTED = "rejected"


class Trigger(enum.StrEnum):
    """What moves the connection from one state to another."""

    OPEN = "open"
    OPENED = "opened"
    ACCEPTED = "accepted"
    DRAIN = "drain"
    LOST = "lost"
    REFUSED = "refused"
    STOP = "stop"


_S, _T = ConnectionState, Trigger

TRANSITIONS: Mapping[tuple[ConnectionState, Trigger], ConnectionState] = (
    MappingProxyType(
        {
            (_S.DISCONNECTED, _T.OPEN): _S.CONNECTING,
            (_S.DISCONNECTED, _T.STOP): _S.DISCONNECTED,
            (_S.CONNECTING, _T.OPENED): _S.AUTHENTICATING,
            (_S.CONNECTING, _T.LOST): _S.DISCONNECTED,
            (_S.CONNECTING, _T.STOP): _S.DISCONNECTED,
            (_S.AUTHENTICATING, _T.ACCEPTED): _S.READY,
            (_S.AUTHENTICATING, _T.REFUSED): _S.REJECTED,
            (_S.AUTHENTICATING, _T.LOST): _S.DISCONNECTED,
            (_S.AUTHENTICATING, _T.STOP): _S.DISCONNECTED,
            (_S.READY, _T.DRAIN): _S.DRAINING,
            (_S.READY, _T.LOST): _S.DISCONNECTED,
            (_S.READY, _T.STOP): _S.DISCONNECTED,
            (_S.DRAINING, _T.DRAIN): _S.DRAINING,
            (_S.DRAINING, _T.LOST): _S.DISCONNECTED,
            (_S.DRAINING, _T.STOP): _S.DISCONNECTED,
            (_S.REJECTED, _T.OPEN): _S.CONNECTING,
            (_S.REJECTED, _T.STOP): _S.DISCONNECTED,
        }
    )
)

SERVING = frozenset({ConnectionState.READY, ConnectionState.DRAINING})
"""States in which requests are sent as they come."""

WITH_SOCKET = SERVING | {ConnectionState.AUTHENTICATING}
"""States in which a WebSocket is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """The connection moved from one state to another."""

    state: ConnectionState
    previous: ConnectionState
    reason: str
    """A sentence fit for a log: secrets are masked."""
    error: RelayError | None = None
    """The platform's refusal, on the way to REJECTED."""
    is_final: bool = False
    """True if the client will not try again by itself."""
    retry_in: float | None = None
    """Seconds to the next attempt, if one is planned."""
